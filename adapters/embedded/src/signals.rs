//! Signals within one process: whoever listens has them at once.

use async_trait::async_trait;
use roomcast_ports::signals::{Signal, SignalError, SignalStream, Signals};
use tokio::sync::broadcast;

/// Signals a listener may be behind before it loses the oldest.
const BEHIND_MAX: usize = 16_384;

/// All listeners of this process.
#[derive(Debug)]
pub(crate) struct EmbeddedSignals {
    sender: broadcast::Sender<Signal>,
}

impl EmbeddedSignals {
    pub(crate) fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(BEHIND_MAX),
        }
    }
}

#[async_trait]
impl Signals for EmbeddedSignals {
    async fn publish(&self, signal: Signal) -> Result<(), SignalError> {
        // Nobody listening is no fault.
        let _ = self.sender.send(signal);
        Ok(())
    }

    fn listen(&self) -> SignalStream {
        SignalStream::new(self.sender.subscribe())
    }
}
