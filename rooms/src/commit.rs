//! Commits a room change: validated against a head, appended on condition of it, derived.

use std::sync::Arc;
use std::time::Duration;

use roomcast_ports::access::Caller;
use roomcast_ports::back_off::BackOff;
use roomcast_ports::event_log::{Append, LogError};
use roomcast_ports::timeline::ReadError;
use roomcast_protocol::limits::APPEND_TIMEOUT;
use roomcast_protocol::{
    EventBody, EventId, MemberRole, Refusal, RoomEvent, RoomId, StoredEvent, Timestamp, UserId,
};
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::state::RoomSnapshot;
use crate::{Rooms, errors, log_tail};

/// Races lost in a row after which what no race can spoil is appended wherever the room is by then:
/// above all in the busiest room, a removal must succeed.
const CONFLICTS_MAX: u32 = 40;
/// The first and the longest wait before judging again.
const BACKOFF_MIN: Duration = Duration::from_millis(1);
const BACKOFF_MAX: Duration = Duration::from_millis(8);

/// What came of it.
pub(crate) struct CommitResult {
    /// The room afterwards.
    pub(crate) state: RoomSnapshot,
    /// Something was added to the log.
    pub(crate) changed: bool,
}

impl Rooms {
    /// Appends what `judge` makes of the room's state, if that state still holds then; else judges
    /// again. `judge` sees the roles of the caller and of `target`.
    pub(crate) async fn commit(
        &self,
        caller: &Caller,
        room_id: &RoomId,
        target: &UserId,
        judge: impl Fn(&RoomSnapshot) -> Result<Option<EventBody>, Refusal> + Send,
    ) -> Result<CommitResult, Refusal> {
        let users = [&caller.user_id, target];
        let event_id = EventId::generate();
        let until = Instant::now() + APPEND_TIMEOUT;
        let (mut races, mut back_off) = (0, BackOff::new(BACKOFF_MIN, BACKOFF_MAX));
        let (mut state, _) = self
            .load(room_id, &users)
            .await
            .map_err(errors::precondition_unavailable)?;
        loop {
            let Some(body) = judge(&state)? else {
                return Ok(CommitResult {
                    state,
                    changed: false,
                });
            };
            let in_place = races < CONFLICTS_MAX || removes_an_owner(&state, &body);
            let event = RoomEvent {
                id: event_id.clone(),
                room_id: room_id.clone(),
                sender_id: caller.user_id.clone(),
                client_message_id: None,
                sent_at: Timestamp::now(),
                body,
            };
            let expected_head = in_place.then_some(state.log_head);
            let append = self
                .log
                .append(Append {
                    event: event.clone(),
                    expected_head,
                })
                .await;
            match append {
                Ok(placed) => {
                    let stored = StoredEvent {
                        seq: placed.seq,
                        prev: placed.prev,
                        event,
                    };
                    self.apply_early(&[Arc::new(stored.clone())]).await;
                    if in_place {
                        state.apply(&stored);
                    } else {
                        self.catch_up_state(room_id, &users, &mut state)
                            .await
                            .map_err(errors::read_failed)?;
                    }
                    return Ok(CommitResult {
                        state,
                        changed: true,
                    });
                }
                Err(LogError::HeadMismatch { .. }) if Instant::now() < until => {}
                Err(failure) => return Err(errors::append_failed(failure)),
            }
            sleep(back_off.delay_after(races / 4)).await;
            races += 1;
            // Last, so that what is judged next is as fresh as can be.
            self.catch_up_state(room_id, &users, &mut state)
                .await
                .map_err(errors::precondition_unavailable)?;
        }
    }

    /// Writes what follows from the events, so that the caller's next call sees it. The log has
    /// them: a store that is away takes nothing back.
    pub(crate) async fn apply_early(&self, events: &[Arc<StoredEvent>]) {
        if let Err(failure) = self.writer.apply(events, None).await {
            warn!(
                ?failure,
                "failed to write a room's rows; ingest will write them"
            );
        }
    }

    /// Brings the state to the room's head, from the log alone if all users concerned are known.
    async fn catch_up_state(
        &self,
        room_id: &RoomId,
        users: &[&UserId],
        state: &mut RoomSnapshot,
    ) -> Result<(), ReadError> {
        let tail = log_tail::follow(&*self.log, room_id, state.head).await?;
        let known = tail.filter(|tail| {
            let mut control = tail.control.iter();
            tail.head > state.head && control.all(|stored| state.covers(&stored.event))
        });
        if let Some(tail) = known {
            state.apply_all(&tail.control);
            (state.head, state.log_head) = (tail.head, tail.head);
        } else {
            (*state, _) = self.load(room_id, users).await?;
        }
        Ok(())
    }
}

/// Whether the room has an owner less afterwards. It must not become one too few because two such
/// changes did not know of each other; all others can stand side by side.
fn removes_an_owner(state: &RoomSnapshot, body: &EventBody) -> bool {
    match body {
        EventBody::MemberLeft { user_id, .. } => state.role(user_id) == Some(MemberRole::Owner),
        EventBody::MemberChanged { user_id, role } => {
            *role != MemberRole::Owner && state.role(user_id) == Some(MemberRole::Owner)
        }
        _ => false,
    }
}
