//! Losses: live events that did not reach this gateway, of rooms that are not known.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Counts losses, and those that an audit of all rooms has looked into.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    recorded: AtomicU64,
    reconciled: AtomicU64,
    wake: Notify,
}

impl Losses {
    /// Notes a loss, and asks for the audit.
    pub(crate) fn record(&self) {
        self.recorded.fetch_add(1, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Resolves when an audit was asked for.
    pub(crate) async fn recorded(&self) {
        self.wake.notified().await;
    }

    /// How many there have been.
    pub(crate) fn noted(&self) -> u64 {
        self.recorded.load(Ordering::Acquire)
    }

    /// An audit that began after so many losses has compared every room.
    pub(crate) fn looked_into(&self, noted: u64) {
        self.reconciled.store(noted, Ordering::Release);
    }

    /// Whether any room may lack an event without knowing it.
    pub(crate) fn has_unreconciled(&self) -> bool {
        self.reconciled.load(Ordering::Acquire) != self.noted()
    }
}
