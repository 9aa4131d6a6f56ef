//! Reports to the log which events the store has durably, so that it can delete them.
//!
//! A log with bounds deletes nothing by itself, since it does not know what has been derived. What the store has
//! acknowledged counts only once the store can no longer forget it: a position must have been its checkpoint for as
//! long as a store may lose writes, without one of its nodes having restarted in that time. While a machine is known to be away
//! nothing is deleted: what the store has confirmed since may be missing on it when it returns.

use std::collections::VecDeque;
use std::time::Duration;

use roomcast_ports::StoreError;
use roomcast_ports::event_log::LogError;
use tokio::time::{Instant, sleep};
use tracing::{debug, info};

use crate::Ingest;

/// How often the log is trimmed.
const TRIM_INTERVAL: Duration = Duration::from_secs(2);
/// Checkpoints remembered of a partition at most, spread over the time in which a store may forget.
const SAMPLES_MAX: u32 = 20;

/// Trims every partition until it is dropped. Restarted after each backfill, since what was sampled before may be
/// what a machine of the store has forgotten.
pub(crate) async fn run(ingest: &Ingest) {
    let window = ingest.writer.crash_loss_window().unwrap_or_default();
    let mut partitions: Vec<Samples> = (0..ingest.log.partitions())
        .map(|_| Samples::new(window))
        .collect();
    let requests = ingest.writer.resync_requests();
    let mut is_held = false;
    loop {
        let is_any_away = requests.borrow().is_any_away();
        if is_any_away != is_held {
            is_held = is_any_away;
            info!(is_held, "trim is held while a store node is down");
        }
        if is_held {
            // A checkpoint that was confirmed without the node is not settled when the node returns.
            for samples in &mut partitions {
                samples.kept.clear();
            }
            sleep(TRIM_INTERVAL).await;
            continue;
        }
        for (partition, samples) in (0..).zip(&mut partitions) {
            if let Err(error) = trim(ingest, partition, samples).await {
                debug!(partition, ?error, "failed to trim a partition");
            }
        }
        sleep(TRIM_INTERVAL).await;
    }
}

#[derive(Debug, thiserror::Error)]
enum TrimError {
    #[error("read the checkpoint")]
    Store(#[from] StoreError),
    #[error("trim the log")]
    Log(#[from] LogError),
}

async fn trim(ingest: &Ingest, partition: u16, samples: &mut Samples) -> Result<(), TrimError> {
    if samples.is_due(Instant::now()) {
        let position = ingest.writer.checkpoint(partition).await?;
        samples.push(Instant::now(), position);
    }
    if let Some(settled) = samples.settled(Instant::now()) {
        ingest.log.trim(partition, settled).await?;
    }
    Ok(())
}

/// The checkpoints of one partition, as they were read.
#[derive(Debug)]
struct Samples {
    window: Duration,
    kept: VecDeque<(Instant, u64)>,
}

impl Samples {
    const fn new(window: Duration) -> Self {
        Self {
            window,
            kept: VecDeque::new(),
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let interval = self.window / SAMPLES_MAX;
        let is_old = |(at, _): &(Instant, u64)| now.saturating_duration_since(*at) >= interval;
        self.kept.back().is_none_or(is_old)
    }

    fn push(&mut self, now: Instant, position: u64) {
        // A store that was set back has forgotten what is behind this.
        self.kept.retain(|(_, before)| *before <= position);
        self.kept.push_back((now, position));
    }

    /// The newest checkpoint that is as old as the window; older ones are dropped.
    fn settled(&mut self, now: Instant) -> Option<u64> {
        let window = self.window;
        let is_settled = |(at, _): &(Instant, u64)| now.saturating_duration_since(*at) >= window;
        while self.kept.get(1).is_some_and(is_settled) {
            self.kept.pop_front();
        }
        let first = self.kept.front().filter(|sample| is_settled(sample));
        first.map(|(_, position)| *position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_settled_once_it_is_as_old_as_a_store_may_forget() {
        let (start, window) = (Instant::now(), Duration::from_secs(300));
        let mut samples = Samples::new(window);
        let mut most = 0;
        for second in 0..2_000_u64 {
            let now = start + Duration::from_secs(second);
            if samples.is_due(now) {
                samples.push(now, second * 10);
            }
            most = most.max(samples.kept.len());
            match samples.settled(now) {
                None => assert!(second < 300, "{second}"),
                Some(settled) => {
                    let age = second - settled / 10;
                    assert!((300..=315).contains(&age), "{second}: {age}");
                }
            }
        }
        assert!(most <= SAMPLES_MAX as usize + 2, "{most}");
    }

    #[test]
    fn checkpoints_behind_one_that_went_back_are_dropped() {
        let (now, mut samples) = (Instant::now(), Samples::new(Duration::ZERO));
        samples.push(now, 70);
        assert_eq!(samples.settled(now), Some(70));
        samples.push(now, 40);
        assert_eq!(samples.settled(now), Some(40));
    }
}
