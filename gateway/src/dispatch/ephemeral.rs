//! Handlers of ephemeral frames: typing, read markers, presence.

use std::sync::Arc;

use roomcast_ports::pubsub::EphemeralEvent;
use roomcast_protocol::limits::WATCHED_USERS_MAX;
use roomcast_protocol::{Refusal, RoomId, Seq, UserId};
use tracing::warn;

use super::{FrameHandler, HandlerResult, Outcome};
use crate::hub::User;
use crate::lock::lock;
use crate::port_errors::read_error_to_refusal;
use crate::pubsub::publish_signal;
use crate::receipts::Moved;
use crate::session::RequestRef;

impl FrameHandler {
    pub(super) fn on_typing(
        &self,
        user: &Arc<User>,
        room_id: RoomId,
        echo: RequestRef<'_>,
    ) -> HandlerResult {
        let (actor, user, echo) = (self.clone(), user.clone(), echo.into_owned());
        HandlerResult::Deferred(Box::pin(async move {
            let (hub, memberships) = (&actor.shared.hub, &*actor.shared.ports.memberships);
            let pinned = hub.pin_room(&room_id);
            if let Err(refusal) = hub.ensure_member(memberships, &pinned.room, &user).await {
                return Outcome::Refused(refusal, echo);
            }
            if lock(&pinned.room.state).may_type(&user.id) {
                let typing = EphemeralEvent::Typing {
                    room_id: room_id.clone(),
                    user_id: user.id.clone(),
                };
                publish_signal(&*actor.shared.ports.signals, typing).await;
            }
            Outcome::Nothing
        }))
    }

    pub(super) fn on_mark(
        &self,
        user: &Arc<User>,
        room_id: RoomId,
        read: Option<Seq>,
        delivered: Option<Seq>,
        echo: RequestRef<'_>,
    ) -> HandlerResult {
        let (actor, user, echo) = (self.clone(), user.clone(), echo.into_owned());
        HandlerResult::Deferred(Box::pin(async move {
            match actor
                .advance_read_markers(&user, &room_id, read, delivered)
                .await
            {
                Ok(()) => Outcome::Nothing,
                Err(refusal) => Outcome::Refused(refusal, echo),
            }
        }))
    }

    async fn advance_read_markers(
        &self,
        user: &Arc<User>,
        room_id: &RoomId,
        read: Option<Seq>,
        delivered: Option<Seq>,
    ) -> Result<(), Refusal> {
        let shared = &self.shared;
        let (hub, memberships) = (&shared.hub, &*shared.ports.memberships);
        let pinned = hub.pin_room(room_id);
        hub.ensure_member(memberships, &pinned.room, user).await?;
        let head = shared.ports.timeline.head(room_id).await;
        let head = head.map_err(|error| read_error_to_refusal(&error))?;
        let read = read.unwrap_or(Seq::ZERO).min(head);
        let delivered = delivered.unwrap_or(Seq::ZERO).min(head).max(read);
        let moved = shared
            .ports
            .directory
            .advance_markers(room_id, &user.id, read, delivered)
            .await;
        if let Some(marks) = moved.map_err(|error| read_error_to_refusal(&error.into()))? {
            let is_read = read > Seq::ZERO;
            if is_read && !self.connection.may_read_events(room_id) {
                self.connection.remember_read(room_id.clone(), marks.read);
            }
            let moved = Moved {
                marks,
                read: is_read,
                delivered: true,
            };
            if let Some(signal) = shared.receipts.add(room_id, &user.id, moved) {
                publish_signal(&*shared.ports.signals, signal).await;
            }
        }
        Ok(())
    }

    pub(super) fn on_watch_presence(&self, mut user_ids: Vec<UserId>) -> HandlerResult {
        let actor = self.clone();
        user_ids.sort();
        user_ids.dedup();
        debug_assert!(user_ids.len() <= WATCHED_USERS_MAX);
        HandlerResult::Deferred(Box::pin(async move {
            actor.send_presence_snapshot(user_ids).await
        }))
    }

    /// Watches these users from now on, and sends their presence.
    pub(super) async fn send_presence_snapshot(&self, user_ids: Vec<UserId>) -> Outcome {
        self.shared.hub.watchers.watch(&self.connection, &user_ids);
        match self.shared.ports.presence.read(&user_ids).await {
            Ok(all) => {
                let now = self.shared.clock.now();
                let watchers = &self.shared.hub.watchers;
                watchers.send_initial(&self.connection, &all, now);
            }
            // The watch stands; the next change is sent.
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                "failed to read presence"
            ),
        }
        Outcome::Watching(user_ids)
    }
}
