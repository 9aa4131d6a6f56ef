//! Subscribing to a room: from a place in its past, or from now, without a hole between.
//!
//! The connection is registered first, with its live events held back. Then what it missed is read and
//! sent, and the gate is opened at the place where the reading ended: from the room's short ring of
//! recent events if the room has moved on meanwhile, by reading again if the ring does not reach back.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use roomcast_protocol::fleet_frame::WarningCode;
use roomcast_protocol::limits::{OUTBOX_BYTES_MAX, WATCHED_USERS_MAX};
use roomcast_protocol::{Close, FleetFrame, Refusal, RoomId, Seq, StoredEvent, UserId};

use crate::Shared;
use crate::connection::{self, Connection};
use crate::hub::room::Opened;
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

/// Subscribes; everything the client is to get before live events has been queued when it returns.
pub(crate) async fn subscribe(
    shared: &Shared,
    connection: &Arc<Connection>,
    user: &Arc<User>,
    subscription: Subscription,
) -> Result<(), Refusal> {
    let pinned = shared.pin(&subscription.room_id);
    let room = &pinned.room;
    shared.ensure_member(room, user).await?;
    {
        let mut state = lock(&room.state);
        if !state.is_member(user) {
            return Err(Refusal::not_member());
        }
        state.hold(connection, user);
    }
    remember(connection, room);
    let result = open(shared, connection, room, &subscription).await;
    let mut state = lock(&room.state);
    if result.is_err() {
        state.unsubscribe(connection);
    }
    if std::mem::take(&mut state.look_again) {
        shared.second_looks.ask(room);
    }
    drop(state);
    result
}

fn remember(connection: &Connection, room: &Arc<Room>) {
    let mut subscriptions = connection.subscriptions();
    if !subscriptions.iter().any(|known| Arc::ptr_eq(known, room)) {
        subscriptions.push(room.clone());
    }
}

async fn open(
    shared: &Shared,
    connection: &Arc<Connection>,
    room: &Arc<Room>,
    subscription: &Subscription,
) -> Result<(), Refusal> {
    if let Some(after) = subscription.after
        && resume_at_once(shared, connection, room, subscription, after)
    {
        return Ok(());
    }
    let head = shared
        .ports
        .timeline
        .head(&room.id)
        .await
        .map_err(|error| unreadable(&error))?;
    let Some(after) = subscription.after else {
        return open_now(shared, connection, room, subscription, head, true);
    };
    if after > head {
        return open_now(shared, connection, room, subscription, head, false);
    }
    let replay_max = shared.config.replay_max;
    let missed = shared
        .ports
        .timeline
        .after(&room.id, after, replay_max)
        .await;
    let missed = missed.map_err(|error| unreadable(&error))?;
    let whole = missed
        .events
        .first()
        .is_none_or(|first| first.prev <= after);
    if missed.more || !whole {
        return open_now(
            shared,
            connection,
            room,
            subscription,
            missed.head.max(head),
            false,
        );
    }
    let cursor = missed.events.last().map_or(after, |event| event.seq);
    let head = missed.head.max(head).max(cursor);
    say_subscribed(shared, connection, room, subscription, head, true, after);
    replay(shared, connection, &missed.events).await;
    if catch_up(shared, connection, room, cursor).await.is_err() {
        // The client has been told that it misses nothing; only a close takes that back.
        connection.close(Close::PromisesLost, shared.clock.now());
    }
    Ok(())
}

/// Resumes from what the room has here, without asking anybody: when a gateway's clients all come back
/// at once, the log is read by rooms and not by clients. Whether that was possible.
fn resume_at_once(
    shared: &Shared,
    connection: &Arc<Connection>,
    room: &Arc<Room>,
    subscription: &Subscription,
    after: Seq,
) -> bool {
    if shared.blind.load(std::sync::atomic::Ordering::Acquire) {
        return false;
    }
    let mut state = lock(&room.state);
    let Some((head, frames)) = state.resume(connection, after, shared.config.replay_max) else {
        return false;
    };
    // Under the room's lock, so that no live event goes out before these.
    say_subscribed(shared, connection, room, subscription, head, true, after);
    for frame in &frames {
        connection.send(frame, shared.clock.now());
    }
    true
}

/// Goes live from the room's head on. The answer goes out before the gate opens.
fn open_now(
    shared: &Shared,
    connection: &Arc<Connection>,
    room: &Arc<Room>,
    subscription: &Subscription,
    head: Seq,
    recovered: bool,
) -> Result<(), Refusal> {
    let mut state = lock(&room.state);
    let now = state
        .open_now(connection, head)
        .ok_or_else(Refusal::not_member)?;
    // Under the room's lock, so that no live event goes out before the answer.
    let after = if recovered {
        now
    } else {
        subscription.after.unwrap_or(now)
    };
    say_subscribed(
        shared,
        connection,
        room,
        subscription,
        now,
        recovered,
        after,
    );
    Ok(())
}

/// Brings a held connection from `cursor` to the room's present, and opens it.
async fn catch_up(
    shared: &Shared,
    connection: &Arc<Connection>,
    room: &Arc<Room>,
    mut cursor: Seq,
) -> Result<(), Refusal> {
    loop {
        {
            let mut state = lock(&room.state);
            match state.open(connection, cursor) {
                Opened::Live(frames) => {
                    for frame in &frames {
                        connection.send(frame, shared.clock.now());
                    }
                    return Ok(());
                }
                Opened::Gone => return Ok(()),
                Opened::Behind => {}
            }
        }
        let more = shared.ports.timeline.after(&room.id, cursor, PAGE).await;
        let more = more.map_err(|error| unreadable(&error))?;
        if let Some(last) = more.events.last() {
            cursor = last.seq;
        }
        replay(shared, connection, &more.events).await;
        tokio::task::yield_now().await;
    }
}

/// Sends events in pieces, at the client's pace.
async fn replay(shared: &Shared, connection: &Arc<Connection>, events: &[Arc<StoredEvent>]) {
    let mut piece = BytesMut::new();
    for event in events {
        piece.extend_from_slice(&connection::encode(&event.frame()));
        if piece.len() >= PIECE_BYTES {
            send_piece(shared, connection, piece.split().freeze()).await;
        }
    }
    if !piece.is_empty() {
        send_piece(shared, connection, piece.freeze()).await;
    }
}

async fn send_piece(shared: &Shared, connection: &Arc<Connection>, piece: Bytes) {
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
    connection.send(&piece, shared.clock.now());
}

fn say_subscribed(
    shared: &Shared,
    connection: &Arc<Connection>,
    room: &Arc<Room>,
    subscription: &Subscription,
    head: Seq,
    recovered: bool,
    after: Seq,
) {
    let frame = FleetFrame::Subscribed {
        reference: subscription.reference.clone(),
        room_id: room.id.clone(),
        head,
        recovered,
        after,
    };
    connection.say(&frame, shared.clock.now());
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
