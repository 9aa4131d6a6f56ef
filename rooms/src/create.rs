//! Creates a room.

use std::sync::Arc;

use roomcast_ports::access::Caller;
use roomcast_ports::event_log::{Append, Appended, LogError};
use roomcast_ports::timeline::ReadError;
use roomcast_protocol::api::RoomView;
use roomcast_protocol::{ErrorCode, EventId, Refusal, RoomEvent, RoomId, StoredEvent};

use crate::creation::{CreateRoom, CreationPlan};
use crate::log_tail::Tail;
use crate::state::RoomSnapshot;
use crate::{Rooms, errors};

/// How often founding is tried while others found the same room.
const ATTEMPTS_MAX: usize = 8;

impl Rooms {
    /// Makes the room, unless it is there already; and whether it was made.
    pub async fn create(
        &self,
        caller: &Caller,
        request: CreateRoom,
    ) -> Result<(RoomView, bool), Refusal> {
        let plan = CreationPlan::of(caller, request)?;
        for _ in 0..ATTEMPTS_MAX {
            let loaded = self.load(&plan.room_id, &[&caller.user_id]).await;
            let (state, tail) = loaded.map_err(errors::precondition_unavailable)?;
            if state.room.is_some() {
                let state = self.resume_creation(caller, &plan, state, &tail).await?;
                return Ok((self.view(&state, caller).await?, false));
            }
            match self.create_new(caller, &plan, state).await {
                Ok(Some(state)) => return Ok((self.view(&state, caller).await?, true)),
                // Another was first: the room is there now.
                Ok(None) | Err(LogError::HeadMismatch { .. }) => {}
                Err(failure) => return Err(errors::append_failed(failure)),
            }
        }
        Err(errors::contention())
    }

    /// Founds the room and gives its state; none when another has.
    async fn create_new(
        &self,
        caller: &Caller,
        plan: &CreationPlan,
        mut state: RoomSnapshot,
    ) -> Result<Option<RoomSnapshot>, LogError> {
        let (first, rest) = plan.events(&caller.user_id);
        let expected_head = Some(state.log_head);
        let placed = self
            .log
            .append(Append {
                event: first.clone(),
                expected_head,
            })
            .await?;
        if placed.duplicate {
            return Ok(None);
        }
        let mut events = vec![stored(first, &placed)];
        events.extend(self.append_all(rest).await?);
        self.apply_early(&events).await;
        state.from_start = true;
        state.apply_all(&events);
        Ok(Some(state))
    }

    /// The room that was there, as it is; only what its founding still lacks is added.
    async fn resume_creation(
        &self,
        caller: &Caller,
        plan: &CreationPlan,
        state: RoomSnapshot,
        tail: &Tail,
    ) -> Result<RoomSnapshot, Refusal> {
        if state.open().is_none() {
            return Err(Refusal::new(
                ErrorCode::Conflict,
                "this room has ended; its id is not used again",
            ));
        }
        // So that the caller's next call sees the room, also if another call created it.
        if !tail.control.is_empty() {
            self.apply_early(&tail.control).await;
        }
        let (_, rest) = plan.events(&caller.user_id);
        if !self
            .lacks(plan, &rest, tail)
            .await
            .map_err(errors::precondition_unavailable)?
        {
            return Ok(state);
        }
        let added = self.append_all(rest).await.map_err(errors::append_failed)?;
        self.apply_early(&added).await;
        let loaded = self.load(&plan.room_id, &[&caller.user_id]).await;
        Ok(loaded.map_err(errors::read_failed)?.0)
    }

    /// Whether this very request has founded the room and was interrupted.
    async fn lacks(
        &self,
        plan: &CreationPlan,
        rest: &[RoomEvent],
        tail: &Tail,
    ) -> Result<bool, ReadError> {
        let Some(last) = rest.last() else {
            return Ok(false);
        };
        let first = self
            .event(&plan.room_id, &plan.first_event_id(), tail)
            .await?;
        let request_id = first
            .as_ref()
            .and_then(|it| it.event.client_message_id.as_ref());
        let ours = request_id == Some(&plan.request_fingerprint());
        Ok(ours && self.event(&plan.room_id, &last.id, tail).await?.is_none())
    }

    async fn event(
        &self,
        room_id: &RoomId,
        event_id: &EventId,
        tail: &Tail,
    ) -> Result<Option<Arc<StoredEvent>>, ReadError> {
        let in_tail = tail
            .control
            .iter()
            .find(|stored| stored.event.id == *event_id);
        match in_tail {
            Some(stored) => Ok(Some(Arc::clone(stored))),
            None => Ok(self.reader.event(room_id, event_id).await?),
        }
    }

    /// Appends the events in their order; those the room has already are left out of the answer.
    async fn append_all(&self, events: Vec<RoomEvent>) -> Result<Vec<Arc<StoredEvent>>, LogError> {
        // The calls fix the order and take effect even if their futures are dropped.
        let appends: Vec<_> = events
            .into_iter()
            .map(|event| (self.log.append(Append::new(event.clone())), event))
            .collect();
        let mut added = Vec::with_capacity(appends.len());
        for (append, event) in appends {
            let placed = append.await?;
            if !placed.duplicate {
                added.push(stored(event, &placed));
            }
        }
        Ok(added)
    }
}

fn stored(event: RoomEvent, placed: &Appended) -> Arc<StoredEvent> {
    Arc::new(StoredEvent {
        seq: placed.seq,
        prev: placed.prev,
        event,
    })
}
