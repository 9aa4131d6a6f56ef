//! Whether this process should be given work, and if not, why.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use roomcast_ports::event_log::EventLog;
use roomcast_protocol::RoomId;

/// How long the log may take to answer before it counts as away.
const LOG_WITHIN: Duration = Duration::from_secs(1);

const STARTING: u8 = 0;
const SERVING: u8 = 1;
const DRAINING: u8 = 2;

/// The process's own view of itself.
pub(crate) struct Readiness {
    stage: AtomicU8,
    log: Arc<dyn EventLog>,
    asked: RoomId,
}

impl Readiness {
    /// Not ready yet.
    pub(crate) fn starting(log: Arc<dyn EventLog>) -> Self {
        Self {
            stage: AtomicU8::new(STARTING),
            log,
            asked: RoomId::generate(),
        }
    }

    /// Give it work.
    pub(crate) fn serving(&self) {
        self.stage.store(SERVING, Ordering::Release);
    }

    /// Give it no more.
    pub(crate) fn draining(&self) {
        self.stage.store(DRAINING, Ordering::Release);
    }

    /// Everything that is in the way; nothing when it is ready.
    pub(crate) async fn obstacles(&self) -> Vec<&'static str> {
        match self.stage.load(Ordering::Acquire) {
            STARTING => return vec!["starting"],
            DRAINING => return vec!["draining"],
            _ => {}
        }
        // Any room will do: whether it exists does not matter to the answer coming.
        match tokio::time::timeout(LOG_WITHIN, self.log.head(&self.asked)).await {
            Ok(Ok(_)) => Vec::new(),
            Ok(Err(_)) | Err(_) => vec!["log"],
        }
    }
}
