//! What an event means for people here who are not looking at the room: who is a member from now on,
//! and which users get a notification.

use std::sync::Arc;
use std::time::Duration;

use roomcast_protocol::event::Message;
use roomcast_protocol::room::NotificationKind;
use roomcast_protocol::{EventBody, MessageId, RoomId, Seq, ServerFrame, StoredEvent, UserId};
use tracing::debug;

use super::room::send_unsubscribed;
use super::{Hub, Room, RoomState, User, UserConnection};
use crate::clock::Seconds;
use crate::connection;
use crate::lock::lock;

/// Concurrent lookups for notifications; past it notifications go out without.
pub(crate) const LOOKUPS_MAX: usize = 64;
/// Timeout of one.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);
/// Events read after a changed message, to know whether it was the room's last.
const CHANGES_READ_MAX: usize = 200;

impl Hub {
    /// The room, entered into the hub because one of these events makes a connected user a member.
    pub(super) fn room_for_local_joins(&self, events: &[Arc<StoredEvent>]) -> Option<Arc<Room>> {
        let mut wanted = false;
        for event in events {
            match &event.event.body {
                EventBody::MemberJoined { user_id, .. } => wanted |= self.user(user_id).is_some(),
                EventBody::MembersAdded { user_ids, .. } => {
                    wanted |= user_ids.iter().any(|user_id| self.user(user_id).is_some());
                }
                EventBody::MemberLeft { user_id, .. } => {
                    self.record_membership_change(&event.event.room_id, user_id, false);
                }
                _ => {}
            }
        }
        wanted.then(|| self.with_room(&events[0].event.room_id, |_, _| ()).0)
    }

    /// Applies membership changes, and notifies the users concerned.
    pub(super) fn apply_membership_event(
        &self,
        room: &Arc<Room>,
        state: &mut RoomState,
        stored: &StoredEvent,
        now: Seconds,
    ) {
        match &stored.event.body {
            EventBody::MemberJoined { user_id, .. } => {
                self.on_member_joined(room, state, stored, user_id, now);
            }
            EventBody::MembersAdded { user_ids, .. } => {
                for user_id in user_ids {
                    self.on_member_joined(room, state, stored, user_id, now);
                }
            }
            EventBody::MemberLeft { user_id, .. } => {
                self.record_membership_change(&room.id, user_id, false);
                let Some(user) = self.user(user_id) else {
                    return;
                };
                let kind = if stored.event.sender_id == *user_id {
                    NotificationKind::Left
                } else {
                    NotificationKind::Removal
                };
                send_to_user(state, stored, &user, kind, now);
                let ended = state.remove_member(&user, stored.seq);
                send_unsubscribed(&room.id, &ended, now);
                user.leave(room);
            }
            EventBody::RoomChanged(_) => {
                notify_all(state, stored, NotificationKind::RoomChanged, now);
            }
            EventBody::RoomDeleted => {
                notify_all(state, stored, NotificationKind::RoomDeleted, now);
                let (users, connections) = state.clear(stored.seq);
                send_unsubscribed(&room.id, &connections, now);
                for user in users {
                    self.record_membership_change(&room.id, &user.id, false);
                    user.leave(room);
                }
            }
            _ => {}
        }
    }

    fn on_member_joined(
        &self,
        room: &Arc<Room>,
        state: &mut RoomState,
        stored: &StoredEvent,
        user_id: &UserId,
        now: Seconds,
    ) {
        self.record_membership_change(&room.id, user_id, true);
        let Some(user) = self.user(user_id) else {
            return;
        };
        state.joined(&user);
        if !user.enter(room) {
            state.forget_user(&user);
            return;
        }
        let kind = if stored.event.sender_id == *user_id {
            NotificationKind::Joined
        } else {
            NotificationKind::Invitation
        };
        send_to_user(state, stored, &user, kind, now);
    }
}

/// Notifies members here of what happened to a message, on their connections that do not show the room.
pub(super) fn message_event(
    hub: &Arc<Hub>,
    room: &Arc<Room>,
    state: &mut RoomState,
    stored: &Arc<StoredEvent>,
    now: Seconds,
) {
    match &stored.event.body {
        EventBody::MessageSent(message) => {
            state.last_message = stored.event.message_id();
            sent(hub, room, state, stored, message, now);
        }
        EventBody::MessageEdited { message_id, .. } | EventBody::MessageDeleted { message_id } => {
            match &state.last_message {
                Some(last) if last == message_id => changed(state, stored, now),
                Some(_) => {}
                None if state.unsubscribed_connections().next().is_some() => {
                    spawn_change_of_unknown(hub, room, stored, message_id.clone());
                }
                None => {}
            }
        }
        _ => {}
    }
}

fn sent(
    hub: &Arc<Hub>,
    room: &Arc<Room>,
    state: &RoomState,
    stored: &Arc<StoredEvent>,
    message: &Message,
    now: Seconds,
) {
    let mut frames = Frames::of(stored);
    let mut is_reply_to_someone = false;
    for (user, connections) in state.unsubscribed_connections() {
        if user.id == stored.event.sender_id {
            frames.send_to_sender(NotificationKind::Read, &connections, now);
        } else if message.mentions.contains(&user.id) {
            frames.send(NotificationKind::Mention, &connections, now);
        } else if message.reply_to.is_some() {
            is_reply_to_someone = true;
        } else {
            frames.send(NotificationKind::Message, &connections, now);
        }
    }
    if is_reply_to_someone && let Some(target) = message.reply_to.clone() {
        spawn_reply(hub, room, stored, target);
    }
}

/// Notifies of a reply, once the sender of the message it replies to has been looked up: one lookup per
/// event. While too many lookups run, or the lookup fails, the kind is `MESSAGE` for everyone.
fn spawn_reply(hub: &Arc<Hub>, room: &Arc<Room>, stored: &Arc<StoredEvent>, target: MessageId) {
    let tracker = &hub.tracker;
    let (hub, room, stored) = (hub.clone(), room.clone(), stored.clone());
    tracker.spawn(async move {
        let author = lookup(&hub, async {
            hub.timeline.message(&room.id, &target, None).await
        });
        let author = author.await.flatten().map(|message| message.sender_id);
        let EventBody::MessageSent(message) = &stored.event.body else {
            return;
        };
        let now = hub.clock.now();
        let mut frames = Frames::of(&stored);
        for (user, connections) in lock(&room.state).unsubscribed_connections() {
            if user.id == stored.event.sender_id || message.mentions.contains(&user.id) {
                continue;
            }
            let kind = if author.as_ref() == Some(&user.id) {
                NotificationKind::Reply
            } else {
                NotificationKind::Message
            };
            frames.send(kind, &connections, now);
        }
    });
}

/// Notifies of an edit or deletion where the gateway has seen no message of the room yet, if the log
/// shows that no message came after the changed one.
fn spawn_change_of_unknown(
    hub: &Arc<Hub>,
    room: &Arc<Room>,
    stored: &Arc<StoredEvent>,
    target: MessageId,
) {
    let tracker = &hub.tracker;
    let (hub, room, stored) = (hub.clone(), room.clone(), stored.clone());
    tracker.spawn(async move {
        let timeline = &hub.timeline;
        let is_last = lookup(&hub, async {
            let Some(message) = timeline.message(&room.id, &target, None).await? else {
                return Ok(false);
            };
            let after = timeline
                .events_after(&room.id, message.seq, CHANGES_READ_MAX)
                .await?;
            let is_message = |event: &Arc<StoredEvent>| {
                event.seq < stored.seq && matches!(event.event.body, EventBody::MessageSent(_))
            };
            Ok(!after.events.iter().any(is_message))
        });
        if is_last.await == Some(true) {
            let mut state = lock(&room.state);
            state.last_message.get_or_insert(target);
            changed(&state, &stored, hub.clock.now());
        }
    });
}

/// The answer of a lookup that a notification needs, unless too many run or it takes too long.
async fn lookup<T>(
    hub: &Hub,
    ask: impl Future<Output = Result<T, roomcast_ports::timeline::ReadError>>,
) -> Option<T> {
    let _permit = hub.notification_lookups.try_acquire().ok()?;
    match tokio::time::timeout(LOOKUP_TIMEOUT, ask).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            debug!(
                error = &error as &dyn std::error::Error,
                "failed to load data for a notification"
            );
            None
        }
        Err(_) => None,
    }
}

/// Notifies of a change to the room's last message.
fn changed(state: &RoomState, stored: &StoredEvent, now: Seconds) {
    let kind = match stored.event.body {
        EventBody::MessageDeleted { .. } => NotificationKind::MessageDeleted,
        _ => NotificationKind::MessageEdited,
    };
    let mut frames = Frames::of(stored);
    for (user, connections) in state.unsubscribed_connections() {
        if user.id == stored.event.sender_id {
            frames.send_to_sender(kind, &connections, now);
        } else {
            frames.send(kind, &connections, now);
        }
    }
}

/// Notifies every member of a change to the room itself.
fn notify_all(state: &RoomState, stored: &StoredEvent, kind: NotificationKind, now: Seconds) {
    let mut frames = Frames::of(stored);
    for (_, connections) in state.unsubscribed_connections() {
        frames.send(kind, &connections, now);
    }
}

/// Notifies a user's connections that their read mark moved on another one.
pub(crate) fn read(
    state: Option<&RoomState>,
    user: &User,
    room_id: &RoomId,
    seq: Seq,
    now: Seconds,
) {
    let frame = connection::encode(&ServerFrame::Notification {
        kind: NotificationKind::Read,
        room_id: room_id.clone(),
        seq,
        message_id: None,
        sender_id: user.id.clone(),
    });
    for connection in user.connections() {
        let shows = state.is_some_and(|state| state.is_subscribed(&connection));
        if !shows && !connection.has_read(room_id, seq) {
            connection.send(&frame, now);
        }
    }
}

fn send_to_user(
    state: &RoomState,
    stored: &StoredEvent,
    user: &Arc<User>,
    kind: NotificationKind,
    now: Seconds,
) {
    let mut connections = user.connections();
    connections.retain(|connection| !state.is_subscribed(connection));
    Frames::of(stored).send(kind, &connections, now);
}

/// The notifications of one event, each kind encoded at most once.
struct Frames<'a> {
    stored: &'a StoredEvent,
    encoded: Vec<(NotificationKind, bytes::Bytes)>,
}

impl<'a> Frames<'a> {
    const fn of(stored: &'a StoredEvent) -> Self {
        Self {
            stored,
            encoded: Vec::new(),
        }
    }

    fn send(&mut self, kind: NotificationKind, connections: &[Arc<UserConnection>], now: Seconds) {
        if connections.is_empty() {
            return;
        }
        let frame = self.encoded(kind);
        for connection in connections {
            connection.send(&frame, now);
        }
    }

    /// Sends to the connections of who did it, but not to the one it was done on.
    fn send_to_sender(
        &mut self,
        kind: NotificationKind,
        connections: &[Arc<UserConnection>],
        now: Seconds,
    ) {
        for connection in connections {
            if !connection.has_appended(&self.stored.event.id) {
                connection.send(&self.encoded(kind), now);
            }
        }
    }

    fn encoded(&mut self, kind: NotificationKind) -> bytes::Bytes {
        if let Some((_, frame)) = self.encoded.iter().find(|(known, _)| *known == kind) {
            return frame.clone();
        }
        let frame = frame(self.stored, kind);
        self.encoded.push((kind, frame.clone()));
        frame
    }
}

fn frame(stored: &StoredEvent, kind: NotificationKind) -> bytes::Bytes {
    connection::encode(&ServerFrame::Notification {
        kind,
        room_id: stored.event.room_id.clone(),
        seq: stored.seq,
        message_id: stored.event.message_id(),
        sender_id: stored.event.sender_id.clone(),
    })
}
