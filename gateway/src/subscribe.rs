//! Subscribes to a room: from a seq or from the head, without a gap.
//!
//! What is read before the answer is applied to the room first, up to the head that the answer names.
//! Then, under the room's lock, the user is a member or not, and the subscription is entered with its
//! `SUBSCRIBED`. Live events are held back while what was missed is replayed (see [`replay`]), and the
//! gate is opened at the place where that ended.

pub(crate) mod replay;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use roomcast_ports::access::Memberships;
use roomcast_ports::directory::RoomDirectory;
use roomcast_protocol::limits::{REPLAY_PAGE_BYTES, WATCHED_USERS_MAX};
use roomcast_protocol::server_frame::WarningCode;
use roomcast_protocol::{Refusal, RoomId, Seq, ServerFrame, UserId};

use crate::clock::Ticks;
use crate::connection::Connection;
use crate::hub::fanout::catch_up_to;
use crate::hub::room::ReplayId;
use crate::hub::{Hub, Room, User, UserConnection};
use crate::lock::lock;
use crate::port_errors::read_error_to_refusal;
use replay::{Replay, ReplayLimits};

/// What a `SUBSCRIBE` asks for.
pub(crate) struct Subscription {
    pub(crate) room_id: RoomId,
    pub(crate) after: Option<Seq>,
    pub(crate) reference: Option<Cow<'static, str>>,
}

/// Subscribes, and gives the replay that continues at the client's pace, if what was missed has not
/// been queued yet. After a refusal the connection is subscribed as it was before.
pub(crate) async fn subscribe(
    hub: &Arc<Hub>,
    memberships: &dyn Memberships,
    limits: &ReplayLimits,
    connection: &Arc<UserConnection>,
    user: &Arc<User>,
    subscription: Subscription,
) -> Result<Option<Replay>, Refusal> {
    let pinned = hub.pin_room(&subscription.room_id);
    hub.ensure_member(memberships, &pinned.room, user).await?;
    remember(connection, &pinned.room);
    let subscriber = Subscriber {
        hub,
        limits,
        connection,
        user,
        room: &pinned.room,
    };
    subscriber.open(&subscription).await
}

fn remember(connection: &UserConnection, room: &Arc<Room>) {
    let mut subscriptions = connection.subscriptions();
    if !subscriptions.iter().any(|known| Arc::ptr_eq(known, room)) {
        subscriptions.push(room.clone());
    }
}

/// Who subscribes to what.
struct Subscriber<'a> {
    hub: &'a Arc<Hub>,
    limits: &'a ReplayLimits,
    connection: &'a Arc<UserConnection>,
    user: &'a Arc<User>,
    room: &'a Arc<Room>,
}

impl Subscriber<'_> {
    async fn open(&self, subscription: &Subscription) -> Result<Option<Replay>, Refusal> {
        if let Some(after) = subscription.after
            && self.resume_at_once(subscription, after)
        {
            return Ok(None);
        }
        let (timeline, room_id) = (&self.hub.timeline, &self.room.id);
        let head = timeline.head(room_id).await;
        let head = head.map_err(|error| read_error_to_refusal(&error))?;
        let Some(after) = subscription.after else {
            return self.activate_at_head(subscription, head, true).await;
        };
        if after > head {
            return self.activate_at_head(subscription, head, false).await;
        }
        let most = self.limits.events_max;
        // A user who has had much replayed waits before more is read.
        self.limits.pace(self.user, 0).await;
        let turn = self.limits.reads.acquire().await;
        let missed = timeline
            .first_events_after(room_id, after, most, REPLAY_PAGE_BYTES)
            .await;
        let missed = missed.map_err(|error| read_error_to_refusal(&error))?;
        self.limits.charge(self.user, &missed);
        let head = missed.head.max(head);
        if missed.has_more || !missed.is_complete {
            return self.activate_at_head(subscription, head, false).await;
        }
        let id = self.start_replay(subscription, head, after).await?;
        let mut replay = Replay::new(self.room.clone(), self.user.clone(), id, after);
        let is_done = replay.start(self.hub, self.connection, &missed);
        drop(turn);
        Ok((!is_done).then_some(replay))
    }

    /// Resumes from the room's recent frames, without a read: when all clients of a gateway come
    /// back at the same time, the log is read by rooms and not by clients. Whether that was possible.
    fn resume_at_once(&self, subscription: &Subscription, after: Seq) -> bool {
        if self.hub.blind.load(Ordering::Acquire) || self.hub.losses.has_unreconciled() {
            return false;
        }
        let most = self.limits.events_max;
        let mut state = lock(&self.room.state);
        let Some((head, frames)) =
            state.recover_from_cache(self.connection, self.user, after, most)
        else {
            return false;
        };
        // Under the room's lock, so that no live event goes out before these.
        self.send_subscribed(subscription, head, true, after);
        for frame in &frames {
            self.connection.send(frame, self.hub.clock.now());
        }
        true
    }

    /// Goes live from the room's head on.
    async fn activate_at_head(
        &self,
        subscription: &Subscription,
        head: Seq,
        recovered: bool,
    ) -> Result<Option<Replay>, Refusal> {
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
        self.send_subscribed(subscription, now, recovered, after);
        Ok(None)
    }

    /// Sends `SUBSCRIBED` for missed events up to `head`, and holds live events back.
    async fn start_replay(
        &self,
        subscription: &Subscription,
        head: Seq,
        after: Seq,
    ) -> Result<ReplayId, Refusal> {
        self.catch_up_room(head).await?;
        let mut state = lock(&self.room.state);
        let replay = state
            .subscribe_paused(self.connection, self.user)
            .ok_or_else(Refusal::not_member)?;
        self.send_subscribed(subscription, head, true, after);
        Ok(replay)
    }

    /// Applies to the room what the answer will know of, a removal of this user among it.
    async fn catch_up_room(&self, place: Seq) -> Result<(), Refusal> {
        let done = catch_up_to(self.hub, self.room, place).await;
        done.map_err(|error| read_error_to_refusal(&error))
    }

    fn send_subscribed(&self, subscription: &Subscription, head: Seq, recovered: bool, after: Seq) {
        let frame = ServerFrame::Subscribed {
            reference: subscription.reference.clone(),
            room_id: self.room.id.clone(),
            head,
            recovered,
            after,
        };
        self.connection.send_frame(&frame, self.hub.clock.now());
    }
}

/// The members of a room to watch with it, unless they and those watched already are too many.
pub(crate) async fn watchable_members(
    directory: &dyn RoomDirectory,
    room_id: &RoomId,
    watched: &[UserId],
) -> Result<Option<Vec<UserId>>, Refusal> {
    let members = directory
        .members(room_id, None, WATCHED_USERS_MAX + 1)
        .await;
    let members = members.map_err(|error| read_error_to_refusal(&error.into()))?;
    if members.len() > WATCHED_USERS_MAX {
        return Ok(None);
    }
    let mut all: Vec<UserId> = watched.to_vec();
    all.extend(members.into_iter().map(|member| member.user_id));
    all.sort();
    all.dedup();
    Ok((all.len() <= WATCHED_USERS_MAX).then_some(all))
}

/// Sends the warning that a room is too large to watch.
pub(crate) fn warn_too_large(connection: &Connection, now: Ticks) {
    let frame = ServerFrame::Warning {
        code: WarningCode::PresenceTooLarge,
        message: "the room has more members than one connection may watch".into(),
    };
    connection.send_frame(&frame, now);
}
