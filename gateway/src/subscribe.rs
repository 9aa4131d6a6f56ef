//! Subscribing to a room: from a place in its past, or from now, without a hole between.
//!
//! What is read before the answer is applied to the room first, up to the head that the answer names.
//! Then, under the room's lock, the user is a member or not, and the subscription is entered with its
//! `SUBSCRIBED`. Live events are held back while what was missed is replayed, and the gate is opened at
//! the place where that ended: from the room's short ring of recent events if the room has moved on
//! since, by reading again if the ring does not reach back.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use roomcast_protocol::fleet_frame::WarningCode;
use roomcast_protocol::limits::{OUTBOX_BYTES_MAX, WATCHED_USERS_MAX};
use roomcast_protocol::{Close, FleetFrame, Refusal, RoomId, Seq, StoredEvent, UserId};

use crate::Shared;
use crate::connection::{self, Connection};
use crate::hub::fanout::{catch_up_to, tell_unsubscribed};
use crate::hub::room::{Opened, ReplayId};
use crate::hub::{Room, User};
use crate::lock::lock;
use crate::speech::unreadable;

/// A piece of a replay: what goes out at once before the client's pace is looked at again.
const PIECE_BYTES: usize = 64 << 10;
/// Events read at once while catching up with a room that moves.
const PAGE: usize = 1_000;

/// What a `SUBSCRIBE` asks for.
pub(crate) struct Subscription {
    pub(crate) room_id: RoomId,
    pub(crate) after: Option<Seq>,
    pub(crate) reference: Option<Cow<'static, str>>,
}

/// Subscribes; everything the client is to get before live events has been queued when it returns. After
/// a refusal the connection is subscribed as it was before.
pub(crate) async fn subscribe(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    user: &Arc<User>,
    subscription: Subscription,
) -> Result<(), Refusal> {
    let pinned = shared.pin(&subscription.room_id);
    shared.ensure_member(&pinned.room, user).await?;
    remember(connection, &pinned.room);
    let subscriber = Subscriber {
        shared,
        connection,
        user,
        room: &pinned.room,
    };
    subscriber.open(&subscription).await
}

fn remember(connection: &Connection, room: &Arc<Room>) {
    let mut subscriptions = connection.subscriptions();
    if !subscriptions.iter().any(|known| Arc::ptr_eq(known, room)) {
        subscriptions.push(room.clone());
    }
}

/// Who subscribes to what.
struct Subscriber<'a> {
    shared: &'a Arc<Shared>,
    connection: &'a Arc<Connection>,
    user: &'a Arc<User>,
    room: &'a Arc<Room>,
}

impl Subscriber<'_> {
    async fn open(&self, subscription: &Subscription) -> Result<(), Refusal> {
        if let Some(after) = subscription.after
            && self.resume_at_once(subscription, after)
        {
            return Ok(());
        }
        let (timeline, room_id) = (&self.shared.ports.timeline, &self.room.id);
        let head = timeline.head(room_id).await;
        let head = head.map_err(|error| unreadable(&error))?;
        let Some(after) = subscription.after else {
            return self.open_now(subscription, head, true).await;
        };
        if after > head {
            return self.open_now(subscription, head, false).await;
        }
        let replay_max = self.shared.config.replay_max;
        let missed = timeline.after(room_id, after, replay_max).await;
        let missed = missed.map_err(|error| unreadable(&error))?;
        let cursor = missed.events.last().map_or(after, |event| event.seq);
        let head = missed.head.max(head).max(cursor);
        if missed.more || !missed.whole {
            return self.open_now(subscription, head, false).await;
        }
        let replay = self.begin_replay(subscription, head, after).await?;
        self.replay(&missed.events).await;
        if self.catch_up(replay, cursor).await.is_err() {
            // The client has been told that it misses nothing; only a close takes that back.
            let now = self.shared.clock.now();
            self.connection.close(Close::PromisesLost, now);
        }
        Ok(())
    }

    /// Resumes from what the room has here, without asking anybody: when a gateway's clients all come
    /// back at once, the log is read by rooms and not by clients. Whether that was possible.
    fn resume_at_once(&self, subscription: &Subscription, after: Seq) -> bool {
        if self.shared.blind.load(Ordering::Acquire) || self.shared.losses.are_open() {
            return false;
        }
        let most = self.shared.config.replay_max;
        let mut state = lock(&self.room.state);
        let Some((head, frames)) = state.resume(self.connection, self.user, after, most) else {
            return false;
        };
        // Under the room's lock, so that no live event goes out before these.
        self.say_subscribed(subscription, head, true, after);
        for frame in &frames {
            self.connection.send(frame, self.shared.clock.now());
        }
        true
    }

    /// Goes live from the room's head on.
    async fn open_now(
        &self,
        subscription: &Subscription,
        head: Seq,
        recovered: bool,
    ) -> Result<(), Refusal> {
        self.catch_up_room(head).await?;
        let mut state = lock(&self.room.state);
        let now = state
            .subscribe(self.connection, self.user, head)
            .ok_or_else(Refusal::not_member)?;
        let after = if recovered {
            now
        } else {
            subscription.after.unwrap_or(now)
        };
        // Under the room's lock, so that no live event goes out before the answer.
        self.say_subscribed(subscription, now, recovered, after);
        Ok(())
    }

    /// Says that what was missed up to `head` comes now, and holds live events back.
    async fn begin_replay(
        &self,
        subscription: &Subscription,
        head: Seq,
        after: Seq,
    ) -> Result<ReplayId, Refusal> {
        self.catch_up_room(head).await?;
        let mut state = lock(&self.room.state);
        let replay = state
            .hold(self.connection, self.user)
            .ok_or_else(Refusal::not_member)?;
        self.say_subscribed(subscription, head, true, after);
        Ok(replay)
    }

    /// Applies to the room what the answer will know of, a removal of this user among it.
    async fn catch_up_room(&self, place: Seq) -> Result<(), Refusal> {
        let done = catch_up_to(self.shared, self.room, place).await;
        done.map_err(|error| unreadable(&error))
    }

    /// Brings a replay from `cursor` to the room's present and opens it, or to where it ended.
    async fn catch_up(&self, replay: ReplayId, mut cursor: Seq) -> Result<(), Refusal> {
        while !self.close_up(replay, cursor) {
            let more = self
                .shared
                .ports
                .timeline
                .after(&self.room.id, cursor, PAGE);
            let mut more = more.await.map_err(|error| unreadable(&error))?;
            let Some(last) = more.events.last().filter(|_| more.whole) else {
                return Err(Refusal::internal());
            };
            cursor = last.seq;
            self.catch_up_room(cursor).await?;
            let Some(end) = lock(&self.room.state).replay_end(replay) else {
                return Ok(());
            };
            more.events.retain(|event| event.seq <= end);
            self.replay(&more.events).await;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Ends a replay that has come to `cursor`, if what comes next is at hand.
    fn close_up(&self, replay: ReplayId, cursor: Seq) -> bool {
        let now = self.shared.clock.now();
        let mut state = lock(&self.room.state);
        let (frames, ended) = match state.open(replay, cursor) {
            Opened::Live(frames) => (frames, false),
            Opened::Ended(frames) => (frames, true),
            Opened::Gone => return true,
            Opened::Behind => return false,
        };
        for frame in &frames {
            self.connection.send(frame, now);
        }
        if ended {
            tell_unsubscribed(&self.room.id, std::slice::from_ref(self.connection), now);
        }
        true
    }

    /// Sends events in pieces, at the client's pace.
    async fn replay(&self, events: &[Arc<StoredEvent>]) {
        let mut piece = BytesMut::new();
        for event in events {
            piece.extend_from_slice(&connection::encode(&event.frame()));
            if piece.len() >= PIECE_BYTES {
                self.send_piece(piece.split().freeze()).await;
            }
        }
        if !piece.is_empty() {
            self.send_piece(piece.freeze()).await;
        }
    }

    async fn send_piece(&self, piece: Bytes) {
        let connection = self.connection;
        // Polled by the connection's own task, which comes by whenever the socket has taken something.
        std::future::poll_fn(|_| {
            let room = connection.waiting_bytes() < OUTBOX_BYTES_MAX / 4 || connection.is_closing();
            if room {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        connection.send(&piece, self.shared.clock.now());
    }

    fn say_subscribed(&self, subscription: &Subscription, head: Seq, recovered: bool, after: Seq) {
        let frame = FleetFrame::Subscribed {
            reference: subscription.reference.clone(),
            room_id: self.room.id.clone(),
            head,
            recovered,
            after,
        };
        self.connection.say(&frame, self.shared.clock.now());
    }
}

/// The members of a room to watch with it, unless they and those watched already are too many.
pub(crate) async fn watchable_members(
    shared: &Shared,
    room_id: &RoomId,
    watched: &[UserId],
) -> Result<Option<Vec<UserId>>, Refusal> {
    let members = shared
        .ports
        .directory
        .members(room_id, None, WATCHED_USERS_MAX + 1)
        .await;
    let members = members.map_err(|error| unreadable(&error.into()))?;
    if members.len() > WATCHED_USERS_MAX {
        return Ok(None);
    }
    let mut all: Vec<UserId> = watched.to_vec();
    all.extend(members.into_iter().map(|member| member.user_id));
    all.sort();
    all.dedup();
    Ok((all.len() <= WATCHED_USERS_MAX).then_some(all))
}

/// Says that a room is too large to watch.
pub(crate) fn warn_too_large(shared: &Shared, connection: &Connection) {
    let frame = FleetFrame::Warning {
        code: WarningCode::PresenceTooLarge,
        message: "the room has more members than one connection may watch".into(),
    };
    connection.say(&frame, shared.clock.now());
}
