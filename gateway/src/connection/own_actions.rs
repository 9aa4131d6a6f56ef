//! The last actions of a connection in rooms it is not subscribed to.
//!
//! A user's other connections are notified of what the user does; the connection that did it is not.
//! The log delivers an event without the connection it came on, so the connection remembers it.
//! It remembers nothing while it acts in rooms it is subscribed to, as clients usually do.

use roomcast_protocol::limits::IN_FLIGHT_SENDS_MAX;
use roomcast_protocol::{EventId, RoomId, Seq};

use super::Connection;
use crate::lock::lock;

/// One of the last acts, of which [`IN_FLIGHT_SENDS_MAX`] are kept; the oldest is evicted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OwnAction {
    Event(EventId),
    Read(RoomId, Seq),
}

impl Connection {
    /// Remembers an event that is about to be appended.
    pub(crate) fn remember_append(&self, event_id: EventId) {
        self.remember(OwnAction::Event(event_id));
    }

    /// Remembers a read mark that has moved.
    pub(crate) fn remember_read(&self, room_id: RoomId, seq: Seq) {
        self.remember(OwnAction::Read(room_id, seq));
    }

    pub(crate) fn has_appended(&self, event_id: &EventId) -> bool {
        self.has_done(|act| matches!(act, OwnAction::Event(known) if known == event_id))
    }

    pub(crate) fn has_read(&self, room_id: &RoomId, seq: Seq) -> bool {
        self.has_done(
            |act| matches!(act, OwnAction::Read(room, read) if room == room_id && *read == seq),
        )
    }

    fn remember(&self, act: OwnAction) {
        let mut parts = lock(&self.parts);
        let acts = &mut parts.rare.get_or_insert_default().own_acts;
        if acts.len() >= IN_FLIGHT_SENDS_MAX {
            acts.pop_front();
        }
        acts.push_back(act);
    }

    fn has_done(&self, is_it: impl Fn(&OwnAction) -> bool) -> bool {
        lock(&self.parts)
            .rare
            .as_ref()
            .is_some_and(|rare| rare.own_acts.iter().any(is_it))
    }
}
