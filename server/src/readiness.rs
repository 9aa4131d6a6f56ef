//! Readiness: whether this process should receive traffic, and if not, why.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use roomcast_ports::event_log::EventLog;

/// How long one question to the log may take.
const LOG_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the log may give no answer before it counts as away. A partition whose leader has died gives
/// none for some seconds: sending every client to another gateway, which sees the same, would not help.
const LOG_AWAY_AFTER: Duration = Duration::from_secs(15);

const STARTING: u8 = 0;
const SERVING: u8 = 1;
const DRAINING: u8 = 2;

/// The process's own view of itself.
pub(crate) struct Readiness {
    stage: AtomicU8,
    log: Arc<dyn EventLog>,
    answered_at: Mutex<Instant>,
}

impl Readiness {
    /// Not ready yet.
    pub(crate) fn starting(log: Arc<dyn EventLog>) -> Self {
        Self {
            stage: AtomicU8::new(STARTING),
            log,
            answered_at: Mutex::new(Instant::now()),
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

    fn answered_at(&self) -> MutexGuard<'_, Instant> {
        self.answered_at.lock()
    }

    /// Everything that is in the way; nothing when it is ready.
    pub(crate) async fn not_ready_reasons(&self) -> Vec<&'static str> {
        match self.stage.load(Ordering::Acquire) {
            STARTING => return vec!["starting"],
            DRAINING => return vec!["draining"],
            _ => {}
        }
        match tokio::time::timeout(LOG_TIMEOUT, self.log.ping()).await {
            Ok(Ok(())) => {
                *self.answered_at() = Instant::now();
                Vec::new()
            }
            Ok(Err(_)) | Err(_) if self.answered_at().elapsed() < LOG_AWAY_AFTER => Vec::new(),
            Ok(Err(_)) | Err(_) => vec!["log"],
        }
    }
}
