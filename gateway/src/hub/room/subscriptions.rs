//! Subscriptions of a room: entered, replayed, opened, ended. Every step is decided under the room's
//! lock, by what the room is at that moment.

use std::sync::Arc;

use bytes::Bytes;
use roomcast_protocol::{RoomId, Seq, ServerFrame};

use super::{PAUSED, RoomState, Subscriber};
use crate::clock::Seconds;
use crate::connection;
use crate::hub::{User, UserConnection};

/// Names one replay of one subscription within its room.
pub(crate) type ReplayId = u64;

/// A held subscription whose client has had its `SUBSCRIBED` and is getting what it missed.
#[derive(Debug)]
pub(super) struct Replay {
    id: ReplayId,
    pub(super) connection: Arc<UserConnection>,
    /// The event that ended the subscription; the replay continues up to it.
    ends_at: Option<Seq>,
}

/// The next step of a replay.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SubscriptionStart {
    /// The subscription is live; these frames come first.
    CaughtUp(Vec<Bytes>),
    /// The subscription has ended; these frames come first, then `UNSUBSCRIBED`.
    Ended(Vec<Bytes>),
    /// Events after the cursor must be read.
    Behind,
    /// Another `SUBSCRIBE` or an `UNSUBSCRIBE` has taken its place.
    Unsubscribed,
}

impl RoomState {
    pub(super) fn end_subscriptions(
        &mut self,
        place: Seq,
        which: impl Fn(&UserConnection) -> bool,
    ) -> Vec<Arc<UserConnection>> {
        for replay in &mut self.replays {
            if replay.ends_at.is_none() && which(&replay.connection) {
                replay.ends_at = Some(place);
            }
        }
        let ends =
            |known: &mut Subscriber| known.deliver_after != PAUSED && which(&known.connection);
        let ended = self.subscribers.extract_if(.., ends);
        ended.map(|known| known.connection).collect()
    }

    /// Subscribes a connection of a member to what comes after `place`.
    fn enter(&mut self, connection: &Arc<UserConnection>, user: &Arc<User>, place: u64) {
        self.replays
            .retain(|known| !Arc::ptr_eq(&known.connection, connection));
        if let Some(at) = self.position(connection) {
            self.subscribers[at].deliver_after = place;
        } else {
            self.subscribers.push(Subscriber {
                connection: connection.clone(),
                deliver_after: place,
            });
            self.member(user).subscribed += 1;
        }
    }

    /// Subscribes a member's connection from now on, in a room whose head is `head` at least; gives the
    /// seq where that is, or `None` if the user is no member any more.
    pub(crate) fn subscribe(
        &mut self,
        connection: &Arc<UserConnection>,
        user: &Arc<User>,
        head: Seq,
    ) -> Option<Seq> {
        let last = self.last.filter(|_| self.is_member(user))?;
        let now = last.max(head);
        self.enter(connection, user, now.get());
        Some(now)
    }

    /// Subscribes a member's connection and holds its live events, which come after what is replayed
    /// to it; `None` if the user is no member any more.
    pub(crate) fn subscribe_paused(
        &mut self,
        connection: &Arc<UserConnection>,
        user: &Arc<User>,
    ) -> Option<ReplayId> {
        self.last.filter(|_| self.is_member(user))?;
        self.enter(connection, user, PAUSED);
        self.next_replay += 1;
        self.replays.push(Replay {
            id: self.next_replay,
            connection: connection.clone(),
            ends_at: None,
        });
        Some(self.next_replay)
    }

    fn replay(&self, id: ReplayId) -> Option<usize> {
        self.replays.iter().position(|replay| replay.id == id)
    }

    /// How far a replay may go; `None` when something has taken its place.
    pub(crate) fn replay_end(&self, id: ReplayId) -> Option<Seq> {
        let at = self.replay(id)?;
        Some(self.replays[at].ends_at.unwrap_or(Seq::MAX))
    }

    /// Ends a replay that has come to `cursor`, if what comes next is here.
    pub(crate) fn activate_after(&mut self, id: ReplayId, cursor: Seq) -> SubscriptionStart {
        let Some(at) = self.replay(id) else {
            return SubscriptionStart::Unsubscribed;
        };
        let (connection, ends_at) = (
            self.replays[at].connection.clone(),
            self.replays[at].ends_at,
        );
        let last = self.last.unwrap_or(Seq::ZERO);
        let end = ends_at.unwrap_or(last);
        let frames = if cursor >= end {
            Vec::new()
        } else if let Some(missed) = self.recent.after(cursor) {
            let missed = missed.take_while(|recent| recent.seq <= end);
            missed.map(|recent| recent.frame.clone()).collect()
        } else {
            return SubscriptionStart::Behind;
        };
        if ends_at.is_some() {
            self.unsubscribe(&connection);
            return SubscriptionStart::Ended(frames);
        }
        self.replays.swap_remove(at);
        if let Some(at) = self.position(&connection) {
            self.subscribers[at].deliver_after = last.max(cursor).get();
        }
        SubscriptionStart::CaughtUp(frames)
    }

    /// Subscribes a member's connection after `after` immediately, if the recent events kept here reach back
    /// so far and are at most `most`; gives the room's seq and the frames that come first. None of them
    /// may be a deletion: a deleted message's content is not sent again.
    pub(crate) fn recover_from_cache(
        &mut self,
        connection: &Arc<UserConnection>,
        user: &Arc<User>,
        after: Seq,
        most: usize,
    ) -> Option<(Seq, Vec<Bytes>)> {
        let last = self.last.filter(|last| *last >= after)?;
        if self.filling || !self.is_member_now(user) {
            return None;
        }
        let mut frames = Vec::new();
        if last > after {
            let missed = self.recent.after(after)?;
            if missed.clone().any(|recent| recent.deletes) || missed.clone().count() > most {
                return None;
            }
            frames = missed.map(|recent| recent.frame.clone()).collect();
        }
        self.enter(connection, user, last.get());
        Some((last, frames))
    }
}

/// Sends `UNSUBSCRIBED` to connections whose subscription has ended.
pub(crate) fn send_unsubscribed(
    room_id: &RoomId,
    connections: &[Arc<UserConnection>],
    now: Seconds,
) {
    if connections.is_empty() {
        return;
    }
    let frame = connection::encode(&ServerFrame::Unsubscribed {
        reference: None,
        room_id: room_id.clone(),
    });
    for connection in connections {
        connection.send(&frame, now);
    }
}
