//! The rooms service: creates, changes and deletes rooms and memberships.
//!
//! The log comes first: a join or a rename is an event of the room, checked against the room's state at
//! that seq and appended only if the head is still there. The tables are derived from it. The
//! appending call also writes the derived rows before it returns, so that the caller's next call sees them;
//! should that fail, readers find the event in the log's tail, and ingest writes it later.

mod add_member;
mod cache;
mod change_role;
mod commit;
mod create;
mod creation;
mod cursor;
mod delete;
mod depart;
mod errors;
mod get;
mod list;
mod load;
mod log_tail;
mod members;
mod membership;
mod permissions;
mod remove_member;
mod search_public;
mod state;
mod update;

use std::sync::Arc;

use roomcast_ports::directory::RoomDirectory;
use roomcast_ports::event_log::EventLog;
use roomcast_ports::message_store::{MessageReader, MessageWriter};

pub use creation::CreateRoom;
pub use update::RoomPatch;

/// What can be done with rooms.
#[derive(Clone)]
pub struct Rooms {
    log: Arc<dyn EventLog>,
    directory: Arc<dyn RoomDirectory>,
    writer: Arc<dyn MessageWriter>,
    reader: Arc<dyn MessageReader>,
    snapshots: Arc<cache::RoomCache>,
}

impl Rooms {
    /// Rooms as `log` has them; `directory`, `writer` and `reader` are of the store derived from it.
    pub fn new(
        log: Arc<dyn EventLog>,
        directory: Arc<dyn RoomDirectory>,
        writer: Arc<dyn MessageWriter>,
        reader: Arc<dyn MessageReader>,
    ) -> Self {
        Self {
            log,
            directory,
            writer,
            reader,
            snapshots: Arc::default(),
        }
    }
}
