//! Loads the rooms of newly connected users into the hub, with bounded concurrency.
//!
//! When a gateway's clients all connect at the same time these lists wait for each other, behind what the clients
//! themselves ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roomcast_ports::directory::RoomDirectory;
use roomcast_protocol::limits::ROOMS_PER_CONNECTION_MAX;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::hub::{Hub, User};

/// Concurrent reads of users' room lists.
const CONCURRENCY_MAX: usize = 16;

/// Turns to read the lists, and whether they can be read.
#[derive(Debug)]
pub(crate) struct RoomLists {
    /// The last list could not be read: the next is loaded in the background.
    failing: AtomicBool,
    permits: Semaphore,
}

impl RoomLists {
    pub(crate) fn new() -> Self {
        Self {
            failing: AtomicBool::new(false),
            permits: Semaphore::new(CONCURRENCY_MAX),
        }
    }

    /// Whether a list can probably be read without waiting.
    pub(crate) fn are_ready(&self) -> bool {
        !self.failing.load(Ordering::Acquire) && self.permits.available_permits() > 0
    }

    /// Reads the user's list, and enters the user into its rooms.
    pub(crate) async fn load(&self, hub: &Hub, directory: &dyn RoomDirectory, user: &Arc<User>) {
        let Ok(_turn) = self.permits.acquire().await else {
            return;
        };
        if user.connection_count() == 0 {
            return;
        }
        let room_ids = directory
            .room_ids_of(&user.id, ROOMS_PER_CONNECTION_MAX)
            .await;
        self.failing.store(room_ids.is_err(), Ordering::Release);
        match room_ids {
            Ok(room_ids) => hub.enter_rooms(user, room_ids),
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                "failed to load a user's rooms"
            ),
        }
    }
}
