//! Keeps the order of a connection's sends to a room when one of them is refused.
//!
//! A client may send several messages to a room before the first is answered. When the first is not
//! stored, those behind it must not be stored either: the client sends the first again, and the room
//! would show them in another order than they were sent. The log fails what it holds behind the first.
//! This module fails what the log does not hold yet: sends that the connection's task has not read from
//! the socket, or is still judging. For that the task answers a refusal only after it has read all that
//! had reached the gateway. While the task waits for something else it answers immediately, and still fails
//! what it reads next. Sends that come after the answer are new.

use std::sync::atomic::Ordering;

use roomcast_protocol::{ErrorCode, Refusal, RoomId};

use super::Connection;
use crate::lock::lock;
use crate::session::RequestRef;

/// A refused send whose answer the connection's task gives.
#[derive(Debug)]
pub(crate) struct RefusedSend {
    pub(crate) refusal: Refusal,
    pub(crate) echo: RequestRef<'static>,
    /// The log was given it, so it counts among those that wait for an answer.
    pub(crate) was_given: bool,
}

/// The refused sends of one connection, from the refusal until all sends behind it have been read.
#[derive(Debug, Default)]
pub(super) struct Refused {
    room_ids: Vec<RoomId>,
    unanswered: Vec<RefusedSend>,
}

/// Whether a refusal with this code fails the sends behind it. The client repeats such a send unchanged;
/// that it sends too fast it knows without an answer.
pub(crate) fn fails_later_sends(refusal: &Refusal) -> bool {
    matches!(
        refusal.code,
        ErrorCode::LogUnavailable | ErrorCode::Unconfirmed | ErrorCode::Internal
    )
}

/// The refusal of a send behind a refused one.
pub(crate) fn behind_refused() -> Refusal {
    Refusal::new(
        ErrorCode::LogUnavailable,
        "not stored, since a message sent before it was not; send both again in order",
    )
}

impl Connection {
    /// Fails later sends to the room of a refused one until [`Self::take_all_refused`], and has the task
    /// answer it.
    pub(crate) fn refuse_send(&self, send: RefusedSend) {
        let mut parts = lock(&self.parts);
        let all = parts
            .rare
            .get_or_insert_default()
            .refused
            .get_or_insert_default();
        if let Some(room_id) = &send.echo.room_id
            && !all.room_ids.contains(room_id)
        {
            all.room_ids.push(room_id.clone());
        }
        all.unanswered.push(send);
        self.has_refused.store(true, Ordering::Release);
        drop(parts);
        self.waker.wake();
    }

    /// Whether a send to the room would be stored before one that was refused.
    pub(crate) fn is_behind_refused(&self, room_id: &RoomId) -> bool {
        self.has_refused.load(Ordering::Acquire)
            && lock(&self.parts)
                .rare
                .as_ref()
                .and_then(|rare| rare.refused.as_ref())
                .is_some_and(|refused| refused.room_ids.contains(room_id))
    }

    /// The refusals to answer; later sends to their rooms still fail.
    pub(crate) fn take_unanswered_refused(&self) -> Vec<RefusedSend> {
        if !self.has_refused.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut parts = lock(&self.parts);
        let rare = parts.rare.as_mut();
        let refused = rare.and_then(|rare| rare.refused.as_mut());
        refused.map_or_else(Vec::new, |it| std::mem::take(&mut it.unanswered))
    }

    /// The refusals to answer; later sends are new.
    pub(crate) fn take_all_refused(&self) -> Vec<RefusedSend> {
        if !self.has_refused.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut parts = lock(&self.parts);
        self.has_refused.store(false, Ordering::Release);
        let rare = parts.rare.as_mut();
        rare.and_then(|rare| rare.refused.take())
            .map_or_else(Vec::new, |it| it.unanswered)
    }
}
