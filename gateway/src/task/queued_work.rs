//! Queued work of a connection: the rooms of one `SUBSCRIBE`, one after another, and replays.
//!
//! All rooms of a `SUBSCRIBE` are handled before the next frame, as if each had its own frame. Replays run
//! concurrently with later frames, one at a time.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use roomcast_protocol::{CloseCode, RoomAfter, RoomId, Seq};

use super::{PollResult, Task};
use crate::dispatch::{HandlerResult, Outcome};
use crate::session::{FrameCost, RequestRef};
use crate::subscribe::replay::Replay;

/// Boxed, since few connections have one.
#[derive(Default)]
pub(super) struct QueuedWork {
    /// At most as many as one frame may name.
    rooms: VecDeque<(RoomId, Option<Seq>)>,
    /// The frame's `ref`.
    reference: Option<Cow<'static, str>>,
    presence: bool,
    replay: Option<BoxFuture<'static, Result<(), CloseCode>>>,
    /// At most one for each room of the connection.
    waiting: VecDeque<Replay>,
}

impl QueuedWork {
    fn is_over(&self) -> bool {
        self.rooms.is_empty() && self.replay.is_none() && self.waiting.is_empty()
    }
}

impl Task {
    /// Subscribes to each of these rooms.
    pub(super) fn subscribe_each(
        &mut self,
        rooms: &[RoomAfter<'_>],
        presence: bool,
        reference: Option<Cow<'static, str>>,
    ) {
        let later = self.queued.get_or_insert_default();
        let all = rooms.iter();
        later.rooms = all.map(|room| (room.room_id.to_id(), room.after)).collect();
        (later.presence, later.reference) = (presence, reference);
        self.subscribe_next();
    }

    /// Subscribes to the next rooms, until something must be waited for.
    pub(super) fn subscribe_next(&mut self) {
        while self.work.is_none() && !self.actor.connection.is_closing() {
            let Some(later) = &mut self.queued else {
                return;
            };
            let Some((room_id, after)) = later.rooms.pop_front() else {
                return;
            };
            let presence = later.presence;
            let echo = RequestRef {
                reference: later.reference.clone(),
                room_id: Some(room_id.clone()),
                client_message_id: None,
            };
            let now = self.actor.shared.clock.now();
            if let Err(refusal) = self.session.take(FrameCost::Rooms, now) {
                self.finish(Outcome::Refused(refusal, echo));
                continue;
            }
            let Some(user) = self.actor.connection.user().cloned() else {
                return;
            };
            let (actor, watched) = (&self.actor, &self.watched);
            match actor.subscribe(&user, watched, room_id, after, presence, echo) {
                HandlerResult::Ready(done) => self.finish(done),
                HandlerResult::Deferred(work) => self.work = Some(work),
            }
        }
    }

    /// Replays after those that wait already.
    pub(super) fn queue_replay(&mut self, replay: Replay) {
        let waiting = &mut self.queued.get_or_insert_default().waiting;
        // Subscribing again to a room takes the place of its replay.
        waiting.retain(|replay| !replay.is_gone());
        waiting.push_back(replay);
    }

    /// Goes on with the replay; whether it has ended.
    pub(super) fn poll_queued(&mut self, cx: &mut Context<'_>) -> PollResult {
        let Some(later) = &mut self.queued else {
            return PollResult::Pending;
        };
        if later.replay.is_none()
            && let Some(next) = later.waiting.pop_front()
        {
            let (shared, connection) = (self.actor.shared.clone(), self.actor.connection.clone());
            later.replay = Some(Box::pin(async move {
                next.run(&shared.hub, &shared.replay_limits, &connection)
                    .await
            }));
        }
        let Some(replay) = &mut later.replay else {
            if later.is_over() {
                self.queued = None;
            }
            return PollResult::Pending;
        };
        match replay.as_mut().poll(cx) {
            Poll::Pending => PollResult::Pending,
            Poll::Ready(ended) => {
                later.replay = None;
                if let Err(close) = ended {
                    self.finish(Outcome::Close(close));
                }
                PollResult::Continue
            }
        }
    }
}
