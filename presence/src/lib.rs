//! Presence reads, and the sweep that publishes presence changes.
//!
//! The truth is in the store, as a deadline per connection, and is right at every read even when
//! no sweep runs. The sweep only publishes changes: without it, a user's watchers would
//! get nothing until they read.

mod sweep;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use roomcast_ports::presence::{Presence, PresenceStore};
use roomcast_ports::pubsub::PubSub;
use roomcast_protocol::api::{PresenceView, PresenceViews};
use roomcast_protocol::{Refusal, UserId};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Reads presence and keeps its news going; cheap to clone. Any number of them may run concurrently.
#[derive(Clone)]
pub struct PresenceService {
    store: Arc<dyn PresenceStore>,
    signals: Arc<dyn PubSub>,
}

impl PresenceService {
    /// The service over its ports.
    pub fn new(store: Arc<dyn PresenceStore>, signals: Arc<dyn PubSub>) -> Self {
        Self { store, signals }
    }

    /// Who of these is here, in the order asked.
    pub async fn read(&self, user_ids: &[UserId]) -> Result<PresenceViews, Refusal> {
        let users = self.store.read(user_ids).await.map_err(|error| {
            warn!(cause = ?error, "failed to read presence");
            Refusal::internal()
        })?;
        Ok(PresenceViews {
            users: users.into_iter().map(view_of).collect(),
        })
    }

    /// Sweeps until `stop`, publishes `EphemeralEvent::Presence` for every user whose status changed, and keeps the
    /// gauge `presence_online_users`. A store that is away is tried again for as long as it takes.
    pub async fn run(&self, stop: CancellationToken) {
        stop.run_until_cancelled(sweep::run(&*self.store, &*self.signals))
            .await;
    }
}

fn view_of(presence: Presence) -> PresenceView {
    PresenceView {
        user_id: presence.user_id,
        status: presence.status,
        last_seen: presence.last_seen,
    }
}
