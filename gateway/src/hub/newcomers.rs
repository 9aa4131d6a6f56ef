//! Upgraded connections that have not authenticated yet.
//!
//! The hub knows users, and these have none; but a gateway that drains notifies them as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use roomcast_protocol::ConnectionId;

use super::UserConnection;
use crate::connection::Connection;
use crate::lock::lock;

/// Bounded by the sockets that were accepted within [`AUTH_TIMEOUT`](roomcast_protocol::limits::AUTH_TIMEOUT).
#[derive(Debug, Default)]
pub(crate) struct Newcomers {
    by_id: Mutex<HashMap<ConnectionId, Arc<UserConnection>>>,
}

impl Newcomers {
    pub(crate) fn add(&self, connection: &Arc<UserConnection>) {
        lock(&self.by_id).insert(connection.id(), connection.clone());
    }

    /// Removes it: it has authenticated, or ended.
    pub(crate) fn remove(&self, connection: &Connection) {
        lock(&self.by_id).remove(&connection.id());
    }

    pub(crate) fn all(&self) -> Vec<Arc<UserConnection>> {
        lock(&self.by_id).values().cloned().collect()
    }
}
