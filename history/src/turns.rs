//! How many pages are read at once, and how many may wait for their turn.
//!
//! Past both a reader is told to come back: a queue without end would answer everybody too late.

use roomcast_protocol::Refusal;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Pages read at once. Equal ones count once.
pub(crate) const AT_ONCE: usize = 64;
/// Readers that may wait, for those or for an equal page.
pub(crate) const WAITING_MAX: usize = 4_096;
/// When who was refused should come back, in milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

/// The bounds of one process.
pub(crate) struct Turns {
    at_once: Semaphore,
    waiting: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self::new(AT_ONCE, WAITING_MAX)
    }
}

impl Turns {
    pub(crate) const fn new(at_once: usize, waiting: usize) -> Self {
        Self {
            at_once: Semaphore::const_new(at_once),
            waiting: Semaphore::const_new(at_once + waiting),
        }
    }

    /// Enters the queue, unless it is full. To be held until the answer.
    pub(crate) fn enter(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.waiting.try_acquire().map_err(|_| {
            metrics::counter!("chat_history_refused_total").increment(1);
            Refusal {
                message: "too many readers at once".into(),
                ..Refusal::rate_limited(RETRY_AFTER_MS)
            }
        })
    }

    /// Waits for the turn to read. To be held while reading.
    pub(crate) async fn turn(&self) -> SemaphorePermit<'_> {
        self.at_once.acquire().await.expect("it is never closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn past_the_queue_a_reader_is_told_to_come_back_and_then_it_goes_on() {
        let turns = Turns::new(1, 2);
        let mut inside: Vec<_> = (0..3).map(|_| turns.enter().unwrap()).collect();
        let refusal = turns.enter().expect_err("the queue is full");
        assert_eq!(refusal.code, roomcast_protocol::Code::RateLimited);
        inside.pop();
        let _again = turns.enter().expect("one has left");
        let first = turns.turn().await;
        assert_eq!(turns.at_once.available_permits(), 0);
        drop(first);
        let _second = turns.turn().await;
    }
}
