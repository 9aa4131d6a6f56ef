//! A connection with its user and the rooms it may be subscribed to.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use roomcast_protocol::{RoomId, SessionId};

use super::{Room, User};
use crate::connection::Connection;
use crate::lock::lock;

/// A connection, its user from authentication on, and its rooms. In one allocation with the connection,
/// which it gives access to.
#[derive(Debug)]
pub(crate) struct UserConnection {
    connection: Connection,
    user: OnceLock<Arc<User>>,
    /// Rooms this connection may be subscribed to; the rooms themselves know better.
    subscriptions: Mutex<Vec<Arc<Room>>>,
}

impl UserConnection {
    /// One that has not authenticated yet.
    pub(crate) const fn new(connection: Connection) -> Self {
        Self {
            connection,
            user: OnceLock::new(),
            subscriptions: Mutex::new(Vec::new()),
        }
    }

    /// Sets the connection's user and session; the user once, the session with each token.
    pub(crate) fn identify(&self, user: &Arc<User>, session_id: Option<SessionId>) {
        let known = self.user.get_or_init(|| user.clone());
        debug_assert!(Arc::ptr_eq(known, user), "a connection keeps its user");
        self.set_session(session_id);
    }

    pub(crate) fn user(&self) -> Option<&Arc<User>> {
        self.user.get()
    }

    /// Whether this connection may be subscribed to the room.
    pub(crate) fn may_read_events(&self, room_id: &RoomId) -> bool {
        self.subscriptions().iter().any(|room| room.id == *room_id)
    }

    /// Rooms this connection may be subscribed to.
    pub(crate) fn subscriptions(&self) -> MutexGuard<'_, Vec<Arc<Room>>> {
        lock(&self.subscriptions)
    }
}

impl Deref for UserConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}
