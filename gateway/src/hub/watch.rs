//! Who wants to know about whose coming and going.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use roomcast_protocol::{FleetFrame, PresenceStatus, Timestamp, UserId};

use crate::clock::Seconds;
use crate::connection::{self, Connection};
use crate::lock::lock;

/// The connections that watch each user.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    by_user: Mutex<HashMap<UserId, Vec<Arc<Connection>>>>,
}

impl Watchers {
    pub(crate) fn watch(&self, connection: &Arc<Connection>, user_ids: &[UserId]) {
        let mut by_user = lock(&self.by_user);
        for user_id in user_ids {
            let watching = by_user.entry(user_id.clone()).or_default();
            if !watching.iter().any(|known| Arc::ptr_eq(known, connection)) {
                watching.push(connection.clone());
            }
        }
    }

    pub(crate) fn unwatch(&self, connection: &Arc<Connection>, user_ids: &[UserId]) {
        let mut by_user = lock(&self.by_user);
        for user_id in user_ids {
            if let Some(watching) = by_user.get_mut(user_id) {
                watching.retain(|known| !Arc::ptr_eq(known, connection));
                if watching.is_empty() {
                    by_user.remove(user_id);
                }
            }
        }
    }

    /// Tells those who watch the user.
    pub(crate) fn tell(
        &self,
        user_id: &UserId,
        status: PresenceStatus,
        last_seen: Option<Timestamp>,
        now: Seconds,
    ) {
        let by_user = lock(&self.by_user);
        let Some(watching) = by_user.get(user_id) else {
            return;
        };
        let frame = presence_frame(user_id, status, last_seen);
        for connection in watching {
            connection.send(&frame, now);
        }
    }
}

pub(crate) fn presence_frame(
    user_id: &UserId,
    status: PresenceStatus,
    last_seen: Option<Timestamp>,
) -> Bytes {
    connection::encode(&FleetFrame::Presence {
        user_id: user_id.clone(),
        status,
        last_seen,
    })
}
