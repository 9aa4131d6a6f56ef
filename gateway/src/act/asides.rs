//! What is said beside messages: typing, marks, who is here.

use std::sync::Arc;

use roomcast_ports::signals::Signal;
use roomcast_protocol::limits::WATCHED_USERS_MAX;
use roomcast_protocol::{Refusal, RoomId, Seq, UserId};
use tracing::{debug, warn};

use super::{Actor, Begun, Done};
use crate::Shared;
use crate::hub::User;
use crate::lock::lock;
use crate::receipts::Moved;
use crate::session::Echo;
use crate::speech;

impl Actor {
    pub(super) fn typing(&self, user: &Arc<User>, room_id: RoomId, echo: Echo<'_>) -> Begun {
        let (actor, user, echo) = (self.clone(), user.clone(), echo.into_owned());
        Begun::Work(Box::pin(async move {
            let pinned = actor.shared.pin(&room_id);
            if let Err(refusal) = actor.shared.ensure_member(&pinned.room, &user).await {
                return Done::Refused(refusal, echo);
            }
            if lock(&pinned.room.state).may_type(&user.id) {
                actor
                    .shared
                    .publish_signal(Signal::Typing {
                        room_id: room_id.clone(),
                        user_id: user.id.clone(),
                    })
                    .await;
            }
            Done::Nothing
        }))
    }

    pub(super) fn mark(
        &self,
        user: &Arc<User>,
        room_id: RoomId,
        read: Option<Seq>,
        delivered: Option<Seq>,
        echo: Echo<'_>,
    ) -> Begun {
        let (actor, user, echo) = (self.clone(), user.clone(), echo.into_owned());
        Begun::Work(Box::pin(async move {
            match actor.move_marks(&user, &room_id, read, delivered).await {
                Ok(()) => Done::Nothing,
                Err(refusal) => Done::Refused(refusal, echo),
            }
        }))
    }

    async fn move_marks(
        &self,
        user: &Arc<User>,
        room_id: &RoomId,
        read: Option<Seq>,
        delivered: Option<Seq>,
    ) -> Result<(), Refusal> {
        let shared = &self.shared;
        let pinned = shared.pin(room_id);
        shared.ensure_member(&pinned.room, user).await?;
        let head = shared.ports.timeline.head(room_id).await;
        let head = head.map_err(|error| speech::unreadable(&error))?;
        let read = read.unwrap_or(Seq::ZERO).min(head);
        let delivered = delivered.unwrap_or(Seq::ZERO).min(head).max(read);
        let moved = shared
            .ports
            .directory
            .mark(room_id, &user.id, read, delivered)
            .await;
        if let Some(marks) = moved.map_err(|error| speech::unreadable(&error.into()))? {
            let is_read = read > Seq::ZERO;
            if is_read && !self.connection.may_show(room_id) {
                self.connection.remember_read(room_id.clone(), marks.read);
            }
            let moved = Moved {
                marks,
                read: is_read,
                delivered: true,
            };
            if let Some(signal) = shared.receipts.add(room_id, &user.id, moved) {
                shared.publish_signal(signal).await;
            }
        }
        Ok(())
    }

    pub(super) fn watch(&self, mut user_ids: Vec<UserId>) -> Begun {
        let actor = self.clone();
        user_ids.sort();
        user_ids.dedup();
        debug_assert!(user_ids.len() <= WATCHED_USERS_MAX);
        Begun::Work(Box::pin(async move { actor.tell_presence(user_ids).await }))
    }

    /// Watches these users from now on, and tells how they are.
    pub(super) async fn tell_presence(&self, user_ids: Vec<UserId>) -> Done {
        self.shared.hub.watchers.watch(&self.connection, &user_ids);
        match self.shared.ports.presence.read(&user_ids).await {
            Ok(all) => {
                let now = self.shared.clock.now();
                let watchers = &self.shared.hub.watchers;
                watchers.tell_first(&self.connection, &all, now);
            }
            // The watch stands; their next change is told.
            Err(error) => warn!(error = &error as &dyn std::error::Error, "read who is here"),
        }
        Done::Watching(user_ids)
    }
}

impl Shared {
    /// Publishes what may be lost; the log knows when it was.
    pub(crate) async fn publish_signal(&self, signal: Signal) {
        if let Err(error) = self.ports.signals.publish(signal).await {
            debug!(
                error = &error as &dyn std::error::Error,
                "failed to publish a signal"
            );
        }
    }
}
