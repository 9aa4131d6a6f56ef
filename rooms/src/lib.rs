//! Rooms and who is in them: made, joined, changed, left, ended.
//!
//! The log comes first: a join or a rename is an event of the room, judged by the state the room has at
//! that place and appended only if it still is in that place. The tables are derived from it. Whoever
//! appends also writes the derived rows before answering, so that the caller's next call sees them;
//! should that fail, readers find the event in the log's tail, and ingest writes it later.

mod change;
mod change_role;
mod commit;
mod create;
mod cursor;
mod delete;
mod depart;
mod find_public;
mod founding;
mod get;
mod list;
mod load;
mod members;
mod put_member;
mod refusals;
mod remove_member;
mod rules;
mod snapshots;
mod standing;
mod state;
mod tail;

use std::sync::Arc;

use roomcast_ports::directory::RoomDirectory;
use roomcast_ports::event_log::EventLog;
use roomcast_ports::message_store::{MessageReader, MessageWriter};

pub use change::RoomPatch;
pub use create::CreateRoom;

/// What can be done with rooms.
#[derive(Clone)]
pub struct Rooms {
    log: Arc<dyn EventLog>,
    directory: Arc<dyn RoomDirectory>,
    writer: Arc<dyn MessageWriter>,
    reader: Arc<dyn MessageReader>,
    snapshots: Arc<snapshots::Snapshots>,
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
