//! The state of this process's subscription to one kind of bus message: none, starting or active.
//!
//! The servers do not repeat live events. A process that has asked for them therefore delays its own
//! publishes until the subscription is active.

use tokio::sync::watch;

/// Whether this process has a subscription.
#[derive(Debug)]
pub(crate) struct SubscriptionGate {
    stage: watch::Sender<Stage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Beginning,
    Begun,
}

impl SubscriptionGate {
    pub(crate) fn new() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Idle),
        }
    }

    /// Whether live events come here.
    pub(crate) fn listens(&self) -> bool {
        *self.stage.borrow() != Stage::Idle
    }

    /// Waits while the listening is about to begin.
    pub(crate) async fn begun(&self) {
        if *self.stage.borrow() == Stage::Beginning {
            let mut stage = self.stage.subscribe();
            // The sender is ours, so it is there.
            let _ = stage.wait_for(|stage| *stage != Stage::Beginning).await;
        }
    }

    /// Resolves when everything published from now on is received.
    pub(crate) fn has_begun(&self) {
        self.stage.send_replace(Stage::Begun);
    }

    /// Whether the caller has to start the subscription.
    pub(crate) fn begin(&self) -> bool {
        self.stage.send_if_modified(|stage| {
            let first = *stage == Stage::Idle;
            if first {
                *stage = Stage::Beginning;
            }
            first
        })
    }
}
