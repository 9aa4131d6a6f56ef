//! One room as this gateway knows it: who of the people here is a member, which connections are
//! subscribed, how far it has been fanned out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use roomcast_ports::access::Standing;
use roomcast_protocol::limits::TYPING_EVERY;
use roomcast_protocol::{EventBody, RoomId, Seq, StoredEvent, UserId};

use super::User;
use crate::clock::Seconds;
use crate::connection::Connection;

/// Recent events kept for those who subscribe just now: frames, and bytes.
const RING_FRAMES_MAX: usize = 64;
const RING_BYTES_MAX: usize = 128 << 10;
/// Events that wait while a gap before them is read.
const PENDING_MAX: usize = 4_096;

/// A room is told that the log is away at most so often.
const WARN_EVERY_SECONDS: Seconds = 10;

/// A room that somebody here cares about.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) state: Mutex<RoomState>,
}

impl Room {
    pub(crate) fn new(id: RoomId) -> Self {
        Self {
            id,
            state: Mutex::default(),
        }
    }
}

/// A member connected here.
#[derive(Debug)]
struct Here {
    user: Arc<User>,
    /// Their connections that are subscribed.
    subscribed: u32,
    /// The log itself said so, not only a list of the directory's.
    certain: bool,
}

#[derive(Debug)]
struct Subscriber {
    connection: Arc<Connection>,
    /// Gets events after this; [`HELD`] while older ones are being read for it.
    from: u64,
}

const HELD: u64 = u64::MAX;

#[derive(Debug)]
struct Recent {
    seq: Seq,
    prev: Seq,
    deletes: bool,
    frame: Bytes,
}

/// What is known of a room; nothing in it must survive.
#[derive(Debug, Default)]
pub(crate) struct RoomState {
    /// The last event fanned out; `None` while none has been seen.
    pub(super) last: Option<Seq>,
    /// The last event that changed who is a member.
    pub(super) last_control: Seq,
    /// By the user's address, so that membership is a binary search.
    members: Vec<Here>,
    subscribers: Vec<Subscriber>,
    ring: VecDeque<Recent>,
    ring_bytes: usize,
    ring_used_at: Seconds,
    /// Events that came after a gap, until it is filled.
    pub(super) pending: Vec<Arc<StoredEvent>>,
    pub(super) filling: bool,
    /// Somebody is about to subscribe or to become a member.
    pub(crate) pins: u32,
    pub(crate) evicted: bool,
    typing: Vec<(UserId, Instant)>,
    /// When its people were last told that the log is away.
    warned_at: Option<Seconds>,
    /// Its first subscription may have raced an event: the log's head is to be looked at once more.
    pub(crate) look_again: bool,
}

/// What opening a subscription needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It is open; these frames come first.
    Live(Vec<Bytes>),
    /// Events after the cursor must be read from the log.
    Behind,
    /// The subscription was taken away meanwhile.
    Gone,
}

impl RoomState {
    pub(super) fn is_unwanted(&self) -> bool {
        self.pins == 0 && self.members.is_empty() && self.subscribers.is_empty()
    }

    fn find(&self, user: &Arc<User>) -> Result<usize, usize> {
        let address = Arc::as_ptr(user);
        self.members
            .binary_search_by_key(&address, |here| Arc::as_ptr(&here.user))
    }

    fn member(&mut self, user: &Arc<User>) -> &mut Here {
        let at = match self.find(user) {
            Ok(at) => at,
            Err(at) => {
                self.members.insert(
                    at,
                    Here {
                        user: user.clone(),
                        subscribed: 0,
                        certain: false,
                    },
                );
                at
            }
        };
        &mut self.members[at]
    }

    /// Whether the user is certainly a member.
    pub(crate) fn is_member(&self, user: &Arc<User>) -> bool {
        self.find(user).is_ok_and(|at| self.members[at].certain)
    }

    /// The directory lists the user; good enough for notifications.
    pub(crate) fn expect_member(&mut self, user: &Arc<User>) {
        self.member(user);
    }

    /// Takes an answer of [`Memberships`](roomcast_ports::access::Memberships) about a user; `false`
    /// if the room has changed since, and it must be asked again.
    pub(crate) fn learn(&mut self, user: &Arc<User>, standing: &Standing) -> bool {
        if standing.as_of < self.last_control {
            return false;
        }
        if standing.role.is_some() {
            self.member(user).certain = true;
        } else {
            self.forget_member(user);
        }
        true
    }

    pub(crate) fn joined(&mut self, user: &Arc<User>) {
        self.member(user).certain = true;
    }

    /// The user has left this gateway or the room; their connections here lose their subscription.
    pub(crate) fn forget_member(&mut self, user: &Arc<User>) -> Vec<Arc<Connection>> {
        if let Ok(at) = self.find(user) {
            self.members.remove(at);
        }
        let mut taken = Vec::new();
        self.subscribers.retain(|subscriber| {
            let theirs = subscriber
                .connection
                .user()
                .is_some_and(|owner| Arc::ptr_eq(owner, user));
            if theirs {
                taken.push(subscriber.connection.clone());
            }
            !theirs
        });
        taken
    }

    /// Everybody leaves; gives the users and the connections that were subscribed.
    pub(super) fn clear(&mut self) -> (Vec<Arc<User>>, Vec<Arc<Connection>>) {
        let users = self.members.drain(..).map(|here| here.user).collect();
        let connections = self
            .subscribers
            .drain(..)
            .map(|subscriber| subscriber.connection)
            .collect();
        (users, connections)
    }

    /// Registers a connection whose events are held until [`open`](Self::open); its user is a member.
    pub(crate) fn hold(&mut self, connection: &Arc<Connection>, user: &Arc<User>) {
        match self
            .subscribers
            .iter_mut()
            .find(|known| Arc::ptr_eq(&known.connection, connection))
        {
            Some(known) => known.from = HELD,
            None => {
                self.subscribers.push(Subscriber {
                    connection: connection.clone(),
                    from: HELD,
                });
                self.member(user).subscribed += 1;
            }
        }
    }

    /// Opens a held subscription for what comes after `cursor`.
    pub(crate) fn open(&mut self, connection: &Arc<Connection>, cursor: Seq) -> Opened {
        let last = self.last.unwrap_or(Seq::ZERO);
        let Some(at) = self.position(connection) else {
            return Opened::Gone;
        };
        if last <= cursor {
            self.subscribers[at].from = cursor.get();
            self.begin(cursor);
            return Opened::Live(Vec::new());
        }
        let missed = self.ring.iter().skip_while(|recent| recent.seq <= cursor);
        if missed
            .clone()
            .next()
            .is_none_or(|first| first.prev > cursor)
        {
            return Opened::Behind;
        }
        let frames = missed.map(|recent| recent.frame.clone()).collect();
        self.subscribers[at].from = last.get();
        Opened::Live(frames)
    }

    /// Opens a held subscription for what comes from now on; gives the place where that is.
    pub(crate) fn open_now(&mut self, connection: &Arc<Connection>, head: Seq) -> Option<Seq> {
        let now = self.last.unwrap_or(head).max(head);
        let at = self.position(connection)?;
        self.begin(now);
        self.subscribers[at].from = now.get();
        Some(now)
    }

    /// A room that has just come to the hub begins where its first subscriber does.
    fn begin(&mut self, place: Seq) {
        if self.last.is_none() {
            self.last = Some(place);
            self.look_again = true;
        }
    }

    /// Opens a subscription after `after` at once, if the recent events kept here reach back so far and
    /// are at most `most`; gives the room's place and the frames that come first. None of them may be a
    /// deletion: what a deleted message said is not shown again.
    pub(crate) fn resume(
        &mut self,
        connection: &Arc<Connection>,
        after: Seq,
        most: usize,
    ) -> Option<(Seq, Vec<Bytes>)> {
        let last = self.last.filter(|last| *last >= after)?;
        if self.filling || !self.pending.is_empty() || self.look_again {
            return None;
        }
        let at = self.position(connection)?;
        let missed = || self.ring.iter().filter(|recent| recent.seq > after);
        let reaches = last == after || missed().next().is_some_and(|first| first.prev <= after);
        if !reaches || missed().any(|recent| recent.deletes) || missed().count() > most {
            return None;
        }
        let frames = missed().map(|recent| recent.frame.clone()).collect();
        self.subscribers[at].from = last.get();
        Some((last, frames))
    }

    /// Whether it is time to say that the log is away: not again within some seconds.
    pub(crate) fn may_warn(&mut self, now: Seconds) -> bool {
        let lately = self
            .warned_at
            .is_some_and(|at| now.saturating_sub(at) < WARN_EVERY_SECONDS);
        if !lately {
            self.warned_at = Some(now);
        }
        !lately
    }

    fn position(&self, connection: &Arc<Connection>) -> Option<usize> {
        self.subscribers
            .iter()
            .position(|known| Arc::ptr_eq(&known.connection, connection))
    }

    pub(crate) fn is_subscribed(&self, connection: &Arc<Connection>) -> bool {
        self.position(connection).is_some()
    }

    pub(crate) fn unsubscribe(&mut self, connection: &Arc<Connection>) {
        let Some(at) = self.position(connection) else {
            return;
        };
        self.subscribers.swap_remove(at);
        let Some(user) = connection.user() else {
            return;
        };
        if let Ok(at) = self.find(user) {
            self.members[at].subscribed = self.members[at].subscribed.saturating_sub(1);
        }
    }

    /// Writes the frames of a run of events to every open subscriber: in one piece to those who get
    /// all of it. Gives how many connections were written to.
    pub(super) fn deliver(&mut self, run: &[(Seq, Bytes)], all: &Bytes, now: Seconds) -> usize {
        let Some((first, _)) = run.first() else {
            return 0;
        };
        for subscriber in &self.subscribers {
            if subscriber.from < first.get() {
                subscriber.connection.send(all, now);
            } else if subscriber.from != HELD {
                for (_, frame) in run.iter().filter(|(seq, _)| seq.get() > subscriber.from) {
                    subscriber.connection.send(frame, now);
                }
            }
        }
        self.subscribers.len()
    }

    /// Keeps a frame for those who subscribe in this moment.
    pub(super) fn keep(&mut self, event: &StoredEvent, frame: Bytes, now: Seconds) {
        self.ring_used_at = now;
        self.ring_bytes += frame.len();
        self.ring.push_back(Recent {
            seq: event.seq,
            prev: event.prev,
            deletes: matches!(event.event.body, EventBody::MessageDeleted { .. }),
            frame,
        });
        while self.ring.len() > RING_FRAMES_MAX || self.ring_bytes > RING_BYTES_MAX {
            let oldest = self.ring.pop_front().expect("the ring is over its bound");
            self.ring_bytes -= oldest.frame.len();
        }
    }

    /// Gives back the ring's memory when the room has been quiet.
    pub(super) fn trim(&mut self, now: Seconds) {
        if now.saturating_sub(self.ring_used_at) >= 5 && self.ring.capacity() > 0 {
            self.ring = VecDeque::new();
            self.ring_bytes = 0;
        }
        self.typing.retain(|(_, at)| at.elapsed() < TYPING_EVERY);
        if self.typing.is_empty() {
            self.typing = Vec::new();
        }
    }

    /// Holds an event behind a gap; `false` when too many wait already.
    pub(super) fn postpone(&mut self, event: Arc<StoredEvent>) -> bool {
        if self.pending.len() >= PENDING_MAX {
            return false;
        }
        self.pending.push(event);
        true
    }

    /// Whether typing of this user may be passed on now.
    pub(crate) fn may_type(&mut self, user_id: &UserId) -> bool {
        self.typing.retain(|(_, at)| at.elapsed() < TYPING_EVERY);
        if self.typing.iter().any(|(who, _)| who == user_id) {
            return false;
        }
        self.typing.push((user_id.clone(), Instant::now()));
        true
    }

    /// What this user typed has been sent: typing again is news.
    pub(super) fn typed(&mut self, user_id: &UserId) {
        self.typing.retain(|(who, _)| who != user_id);
    }

    /// The open connections of everybody but `except`.
    pub(crate) fn tell(&self, frame: &Bytes, except: Option<&UserId>, now: Seconds) {
        for subscriber in self
            .subscribers
            .iter()
            .filter(|subscriber| subscriber.from != HELD)
        {
            let user = subscriber.connection.user();
            if except.is_none() || user.map(|user| &user.id) != except {
                subscriber.connection.send(frame, now);
            }
        }
    }

    /// Members with a connection here that is not subscribed, with those connections.
    pub(super) fn elsewhere(&self) -> impl Iterator<Item = (&Arc<User>, Vec<Arc<Connection>>)> {
        self.members
            .iter()
            .filter(|here| here.user.connection_count() > here.subscribed)
            .map(|here| {
                let mut connections = here.user.connections();
                connections.retain(|connection| !self.is_subscribed(connection));
                (&here.user, connections)
            })
    }

    /// How many connections are subscribed.
    pub(super) fn audience(&self) -> usize {
        self.subscribers.len()
    }

    /// Whether anybody waits for this room's events.
    pub(crate) fn is_followed(&self) -> bool {
        !self.subscribers.is_empty() || !self.members.is_empty()
    }
}
