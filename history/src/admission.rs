//! Concurrency limit of page reads, by the events they may have, and how many readers may wait.
//!
//! Past both a reader gets `RATE_LIMITED`: an unbounded queue would answer every reader too late.

use roomcast_protocol::Refusal;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Events of the pages that are read concurrently: 64 pages of 50, or 16 of 200. Equal pages count once.
pub(crate) const EVENT_CONCURRENCY_MAX: usize = 3_200;
/// Readers that may be inside, those that wait for their turn or for an equal page among them.
pub(crate) const READERS_MAX: usize = 4_160;
/// Retry delay of a refused reader, in milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

/// The bounds of one process.
pub(crate) struct AdmissionControl {
    events: Semaphore,
    readers: Semaphore,
    events_at_once: usize,
}

impl Default for AdmissionControl {
    fn default() -> Self {
        Self::new(EVENT_CONCURRENCY_MAX, READERS_MAX)
    }
}

impl AdmissionControl {
    pub(crate) const fn new(events_at_once: usize, readers: usize) -> Self {
        Self {
            events: Semaphore::const_new(events_at_once),
            readers: Semaphore::const_new(readers),
            events_at_once,
        }
    }

    /// Enters the queue, unless it is full. To be held until the answer.
    pub(crate) fn try_enqueue(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.readers.try_acquire().map_err(|_| {
            metrics::counter!("chat_history_refused_total").increment(1);
            Refusal {
                message: "too many readers at once".into(),
                ..Refusal::rate_limited(RETRY_AFTER_MS)
            }
        })
    }

    /// Waits for the turn to read a page of so many events. To be held while reading.
    pub(crate) async fn acquire(&self, events: usize) -> SemaphorePermit<'_> {
        let events = u32::try_from(events.clamp(1, self.events_at_once)).unwrap_or(1);
        let turn = self.events.acquire_many(events).await;
        turn.expect("it is never closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reader_past_the_queue_limit_is_refused_until_another_has_left() {
        let turns = AdmissionControl::new(200, 3);
        let mut inside: Vec<_> = (0..3).map(|_| turns.try_enqueue().unwrap()).collect();
        let refusal = turns.try_enqueue().expect_err("the queue is full");
        assert_eq!(refusal.code, roomcast_protocol::ErrorCode::RateLimited);
        inside.pop();
        let _again = turns.try_enqueue().expect("one has left");
        let first = turns.acquire(200).await;
        assert_eq!(turns.events.available_permits(), 0);
        drop(first);
        let _second = turns.acquire(200).await;
    }
}
