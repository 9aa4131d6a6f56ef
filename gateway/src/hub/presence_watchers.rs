//! Presence watchers: connections by the users whose presence they watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use roomcast_ports::presence::Presence;
use roomcast_protocol::{PresenceStatus, ServerFrame, Timestamp, UserId};

use super::UserConnection;
use crate::clock::Seconds;
use crate::connection;
use crate::lock::lock;
use crate::outbound;

/// The connections that watch each user.
#[derive(Debug, Default)]
pub(crate) struct PresenceWatchers {
    by_user: Mutex<HashMap<UserId, Vec<Watcher>>>,
}

#[derive(Debug)]
struct Watcher {
    connection: Arc<UserConnection>,
    /// The state sent last; none since it started to watch.
    last_sent: Option<PresenceStatus>,
}

impl PresenceWatchers {
    /// Starts or restarts a watch.
    pub(crate) fn watch(&self, connection: &Arc<UserConnection>, user_ids: &[UserId]) {
        let mut by_user = lock(&self.by_user);
        for user_id in user_ids {
            let watching = by_user.entry(user_id.clone()).or_default();
            match watching
                .iter_mut()
                .find(|known| Arc::ptr_eq(&known.connection, connection))
            {
                Some(known) => known.last_sent = None,
                None => watching.push(Watcher {
                    connection: connection.clone(),
                    last_sent: None,
                }),
            }
        }
    }

    pub(crate) fn unwatch(&self, connection: &Arc<UserConnection>, user_ids: &[UserId]) {
        let mut by_user = lock(&self.by_user);
        for user_id in user_ids {
            if let Some(watching) = by_user.get_mut(user_id) {
                watching.retain(|known| !Arc::ptr_eq(&known.connection, connection));
                if watching.is_empty() {
                    by_user.remove(user_id);
                }
            }
        }
    }

    /// Sends a change to the user's watchers that have not got it yet.
    pub(crate) fn notify(
        &self,
        user_id: &UserId,
        status: PresenceStatus,
        last_seen: Option<Timestamp>,
        now: Seconds,
    ) {
        let mut by_user = lock(&self.by_user);
        let Some(watching) = by_user.get_mut(user_id) else {
            return;
        };
        let frame = presence_frame(user_id, status, last_seen);
        for known in watching {
            if known.last_sent.replace(status) != Some(status) {
                known.connection.send(&frame, now);
            }
        }
    }

    /// All watched users.
    pub(crate) fn watched(&self) -> Vec<UserId> {
        lock(&self.by_user).keys().cloned().collect()
    }

    /// Sends a new watcher the presence of these users, in one write, unless a change, which
    /// is newer than the read, was sent already.
    pub(crate) fn send_initial(
        &self,
        connection: &Arc<UserConnection>,
        all: &[Presence],
        now: Seconds,
    ) {
        let mut by_user = lock(&self.by_user);
        let mut frames = Vec::new();
        for presence in all {
            let watching = by_user.get_mut(&presence.user_id).into_iter().flatten();
            for known in watching {
                if Arc::ptr_eq(&known.connection, connection) && known.last_sent.is_none() {
                    known.last_sent = Some(presence.status);
                    let last_seen = presence.last_seen;
                    let frame = presence_frame(&presence.user_id, presence.status, last_seen);
                    frames.extend_from_slice(&frame);
                }
            }
        }
        if !frames.is_empty() {
            connection.send(&outbound::counted(frames), now);
        }
    }
}

fn presence_frame(user_id: &UserId, status: PresenceStatus, last_seen: Option<Timestamp>) -> Bytes {
    connection::encode(&ServerFrame::Presence {
        user_id: user_id.clone(),
        status,
        last_seen,
    })
}
