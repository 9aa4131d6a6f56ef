//! One room as this gateway knows it: who of the people here is a member, which connections are
//! subscribed, how far it has been fanned out.

mod subscriptions;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use roomcast_ports::access::Membership;
use roomcast_protocol::limits::TYPING_INTERVAL;
use roomcast_protocol::{MessageId, RoomId, Seq, StoredEvent, UserId};

use super::recent_frames::RecentFrames;
use super::{User, UserConnection};
use crate::clock::{Seconds, after, ticks};
use subscriptions::Replay;
pub(crate) use subscriptions::{ReplayId, SubscriptionStart, send_unsubscribed};

/// Events that wait while a gap before them is read.
const REORDER_BUFFER_MAX: usize = 4_096;
/// How long a comparison with the log proves that it still holds what came after. Far below
/// what any log retains, far above the interval of the audits.
const HEAD_CHECK_TTL: Duration = Duration::from_secs(60);

/// Interval of `LOG_UNAVAILABLE` warnings to a room.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// A room with local interest.
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
struct LocalMember {
    user: Arc<User>,
    /// Their connections that are subscribed.
    subscribed: u32,
    /// Confirmed by the log, not only by the directory's list.
    confirmed: bool,
}

#[derive(Debug)]
struct Subscriber {
    connection: Arc<UserConnection>,
    /// Gets events after this; [`PAUSED`] while older ones are being replayed to it.
    deliver_after: u64,
}

const PAUSED: u64 = u64::MAX;

/// What is known of a room; nothing in it must survive.
#[derive(Debug, Default)]
pub(crate) struct RoomState {
    /// Every event up to this seq has been applied here, or was part of the first membership answer.
    /// `None` while nothing is known of the room: then no member is certain.
    last: Option<Seq>,
    /// The greatest seq known to exist. Behind it, what is known of members may be outdated.
    head: Seq,
    /// Membership answers of an older seq have missed an event that is not applied to them.
    answers_from: Seq,
    /// When the log had nothing after `last`.
    compared_at: Seconds,
    /// The last message fanned out, deleted or not; `None` while none has been seen.
    pub(super) last_message: Option<MessageId>,
    /// By the user's address, so that membership is a binary search.
    members: Vec<LocalMember>,
    subscribers: Vec<Subscriber>,
    replays: Vec<Replay>,
    next_replay: ReplayId,
    recent: RecentFrames,
    /// Events that came after a gap, until it is filled.
    pub(super) reorder_buffer: Vec<Arc<StoredEvent>>,
    pub(super) filling: bool,
    /// A user is about to subscribe or to become a member.
    pub(crate) pins: u32,
    pub(crate) evicted: bool,
    typing: Vec<(UserId, Instant)>,
    /// When its members last got the warning that the log is unavailable.
    warned_at: Option<Seconds>,
}

/// What became of a membership answer.
#[derive(Debug)]
pub(crate) struct Learnt {
    /// The room's position here is new.
    pub(crate) began: bool,
    /// Connections whose subscription has ended.
    pub(crate) ended: Vec<Arc<UserConnection>>,
}

impl RoomState {
    pub(super) fn is_idle(&self) -> bool {
        self.pins == 0 && self.members.is_empty() && self.subscribers.is_empty()
    }

    fn find(&self, user: &Arc<User>) -> Result<usize, usize> {
        let address = Arc::as_ptr(user);
        self.members
            .binary_search_by_key(&address, |here| Arc::as_ptr(&here.user))
    }

    fn member(&mut self, user: &Arc<User>) -> &mut LocalMember {
        let at = match self.find(user) {
            Ok(at) => at,
            Err(at) => {
                self.members.insert(
                    at,
                    LocalMember {
                        user: user.clone(),
                        subscribed: 0,
                        confirmed: false,
                    },
                );
                at
            }
        };
        &mut self.members[at]
    }

    /// The place up to which events have been applied.
    pub(crate) const fn last(&self) -> Option<Seq> {
        self.last
    }

    /// Starts to follow the room at `place`, unless started: what is known of members is so as of
    /// then, and every later event is applied.
    pub(super) fn begin(&mut self, place: Seq, now: Seconds) -> bool {
        if self.last.is_some() {
            return false;
        }
        self.last = Some(place);
        self.head = self.head.max(place);
        self.answers_from = self.answers_from.max(place);
        self.compared_at = now;
        true
    }

    /// Notes that the room has an event at `place`; whether that has not been applied.
    pub(crate) fn observe_head(&mut self, place: Seq) -> bool {
        self.head = self.head.max(place);
        self.is_behind()
    }

    /// The log, asked at `now`, had nothing after `last`.
    pub(super) fn head_checked(&mut self, now: Seconds) {
        self.compared_at = now;
    }

    /// Whether the log has events that have not been applied here.
    pub(crate) fn is_behind(&self) -> bool {
        self.last.is_some_and(|last| last < self.head)
    }

    /// Whether nothing can be missing between what has been applied and this event.
    pub(super) fn is_next(&self, event: &StoredEvent) -> bool {
        self.last.is_none_or(|last| event.continues(last))
    }

    /// Whether the event, whose predecessor the log does not know, is next all the same: what came
    /// after the last comparison, the log would still hold.
    pub(super) fn is_next_by_age(&self, event: &StoredEvent, now: Seconds) -> bool {
        let incarnation = event.seq.incarnation();
        let same_log = self
            .last
            .is_some_and(|last| last.incarnation() == incarnation);
        event.prev == Seq::ZERO
            && same_log
            && now.saturating_sub(self.compared_at) < ticks(HEAD_CHECK_TTL)
    }

    /// Applies the seq of an event that is next, and keeps its frame.
    pub(super) fn advance(&mut self, event: &StoredEvent, frame: Bytes, now: Seconds) {
        let follows = self.last.replace(event.seq).unwrap_or(event.prev);
        self.head = self.head.max(event.seq);
        if event.event.body.changes_room() {
            self.answers_from = event.seq;
        }
        self.recent.cache_frame(event, follows, frame, now);
    }

    /// Whether the user is certainly a member, as of `last`.
    pub(crate) fn is_member(&self, user: &Arc<User>) -> bool {
        self.find(user).is_ok_and(|at| self.members[at].confirmed)
    }

    /// Whether the user is certainly a member, as far as anything is known of the room.
    pub(crate) fn is_member_now(&self, user: &Arc<User>) -> bool {
        !self.is_behind() && self.is_member(user)
    }

    /// The directory lists the user; good enough for notifications.
    pub(crate) fn add_unconfirmed_member(&mut self, user: &Arc<User>) {
        self.member(user);
    }

    /// Takes an answer of [`Memberships`](roomcast_ports::access::Memberships) about a user; `None`
    /// if the room has changed since, and it must be asked again.
    pub(crate) fn apply_membership(
        &mut self,
        user: &Arc<User>,
        standing: &Membership,
        now: Seconds,
    ) -> Option<Learnt> {
        if standing.as_of < self.answers_from {
            return None;
        }
        let (mut began, mut ended) = (false, Vec::new());
        if standing.role.is_some() {
            began = self.begin(standing.as_of, now);
            self.member(user).confirmed = true;
        } else if self.last.is_some_and(|last| last < standing.as_of) {
            // The event itself is still to be applied, and ends subscriptions at its seq.
            if let Ok(at) = self.find(user) {
                self.members[at].confirmed = false;
            }
        } else {
            ended = self.remove_member(user, standing.as_of);
        }
        if self.last.is_some() {
            self.observe_head(standing.as_of);
        }
        Some(Learnt { began, ended })
    }

    pub(crate) fn joined(&mut self, user: &Arc<User>) {
        self.member(user).confirmed = true;
    }

    /// Nothing is certain of any member any more, because events were lost for good; gives the
    /// connections that were to get them.
    pub(super) fn mark_unconfirmed(&mut self) -> Vec<Arc<UserConnection>> {
        for member in &mut self.members {
            member.confirmed = false;
        }
        let connections = self.subscribers.iter().map(|known| &known.connection);
        connections.cloned().collect()
    }

    /// The user has left this gateway.
    pub(crate) fn forget_user(&mut self, user: &Arc<User>) {
        if let Ok(at) = self.find(user) {
            self.members.remove(at);
        }
        self.subscribers
            .retain(|known| !is_of(&known.connection, user));
        self.replays.retain(|known| !is_of(&known.connection, user));
    }

    /// The user is no member after `place`: returns the connections whose subscription ends immediately.
    /// Replays continue up to there.
    pub(super) fn remove_member(
        &mut self,
        user: &Arc<User>,
        place: Seq,
    ) -> Vec<Arc<UserConnection>> {
        if let Ok(at) = self.find(user) {
            self.members.remove(at);
        }
        self.end_subscriptions(place, |connection| is_of(connection, user))
    }

    /// Removes all members after `place`; returns the users, and the connections whose subscription ends.
    pub(super) fn clear(&mut self, place: Seq) -> (Vec<Arc<User>>, Vec<Arc<UserConnection>>) {
        let users = self.members.drain(..).map(|here| here.user).collect();
        (users, self.end_subscriptions(place, |_| true))
    }

    /// Whether a warning that the log is unavailable is due.
    pub(crate) fn may_warn(&mut self, now: Seconds) -> bool {
        let lately = self
            .warned_at
            .is_some_and(|at| now < after(at, WARN_INTERVAL));
        if !lately {
            self.warned_at = Some(now);
        }
        !lately
    }

    fn position(&self, connection: &Arc<UserConnection>) -> Option<usize> {
        self.subscribers
            .iter()
            .position(|known| Arc::ptr_eq(&known.connection, connection))
    }

    pub(crate) fn is_subscribed(&self, connection: &Arc<UserConnection>) -> bool {
        self.position(connection).is_some()
    }

    pub(crate) fn unsubscribe(&mut self, connection: &Arc<UserConnection>) {
        let Some(at) = self.position(connection) else {
            return;
        };
        self.subscribers.swap_remove(at);
        self.replays
            .retain(|known| !Arc::ptr_eq(&known.connection, connection));
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
            if subscriber.deliver_after < first.get() {
                subscriber.connection.send(all, now);
            } else if subscriber.deliver_after != PAUSED {
                for (_, frame) in run
                    .iter()
                    .filter(|(seq, _)| seq.get() > subscriber.deliver_after)
                {
                    subscriber.connection.send(frame, now);
                }
            }
        }
        self.subscribers.len()
    }

    /// Gives back memory when the room has been quiet.
    pub(super) fn evict_idle_cache(&mut self, now: Seconds) {
        self.recent.evict_idle(now);
        self.typing.retain(|(_, at)| at.elapsed() < TYPING_INTERVAL);
        if self.typing.is_empty() {
            self.typing = Vec::new();
        }
    }

    /// Holds an event behind a gap; `false` when too many wait already.
    pub(super) fn buffer_out_of_order(&mut self, event: Arc<StoredEvent>) -> bool {
        self.head = self.head.max(event.seq);
        if self.reorder_buffer.len() >= REORDER_BUFFER_MAX {
            return false;
        }
        self.reorder_buffer.push(event);
        true
    }

    /// Whether typing of this user may be passed on now.
    pub(crate) fn may_type(&mut self, user_id: &UserId) -> bool {
        self.typing.retain(|(_, at)| at.elapsed() < TYPING_INTERVAL);
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

    /// The open connections of all members but `except`.
    pub(crate) fn broadcast_ephemeral(&self, frame: &Bytes, except: Option<&UserId>, now: Seconds) {
        for subscriber in self
            .subscribers
            .iter()
            .filter(|subscriber| subscriber.deliver_after != PAUSED)
        {
            let user = subscriber.connection.user();
            if except.is_none() || user.map(|user| &user.id) != except {
                subscriber.connection.send(frame, now);
            }
        }
    }

    /// Members with a connection here that is not subscribed, with those connections.
    pub(super) fn unsubscribed_connections(
        &self,
    ) -> impl Iterator<Item = (&Arc<User>, Vec<Arc<UserConnection>>)> {
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
    pub(super) fn subscriber_count(&self) -> usize {
        self.subscribers.len()
    }

    /// Whether a local connection needs this room's events.
    pub(crate) fn has_local_interest(&self) -> bool {
        !self.subscribers.is_empty() || !self.members.is_empty()
    }
}

fn is_of(connection: &UserConnection, user: &Arc<User>) -> bool {
    connection
        .user()
        .is_some_and(|owner| Arc::ptr_eq(owner, user))
}
