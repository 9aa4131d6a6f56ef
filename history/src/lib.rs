//! Serves a room's history, from its first event to the head.
//!
//! The store is behind the log by as much as ingest has not written yet, so every answer is the store
//! up to the seq it is complete to, and the log's tail from there: acknowledged events are immediately
//! in history, and it stays readable while ingest stands still. Equal reads share one, so that a room
//! whose clients all reconnect at the same time costs the store what one client costs it.

mod admission;
mod catch_up;
mod message_state;
mod page;
mod read_source;
mod singleflight;
mod tail;
mod timeline;
mod window;

use std::sync::Arc;

use roomcast_ports::event_log::EventLog;
use roomcast_ports::message_store::{MessageReader, MessageState};
use roomcast_ports::timeline::EventPage;
use roomcast_protocol::api::MessageView;
use roomcast_protocol::{RoomId, Seq};

use admission::AdmissionControl;
pub use page::PageQuery;
use singleflight::SingleFlight;
use window::MessagePage;

/// The read side of rooms. Clones share their reads.
#[derive(Clone)]
pub struct History {
    log: Arc<dyn EventLog>,
    reader: Arc<dyn MessageReader>,
    catch_ups: Arc<SingleFlight<(RoomId, Seq, usize, usize), EventPage>>,
    pages: Arc<SingleFlight<(RoomId, PageQuery, usize), MessagePage>>,
    turns: Arc<AdmissionControl>,
}

impl History {
    /// Reads from `reader` what it has, and the rest from `log`.
    pub fn new(log: Arc<dyn EventLog>, reader: Arc<dyn MessageReader>) -> Self {
        Self {
            log,
            reader,
            catch_ups: Arc::default(),
            pages: Arc::default(),
            turns: Arc::default(),
        }
    }
}

/// A message as readers are shown it.
pub fn view_of(state: MessageState) -> MessageView {
    state.view()
}
