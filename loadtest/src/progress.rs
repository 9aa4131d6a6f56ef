//! The progress of a run: the ticks of all workers, merged, now and per second.

use std::collections::BTreeMap;

use crate::ipc::Tick;
use crate::stats::{Counts, LatencyHistogram, times};

/// The progress of a run.
#[derive(Default)]
pub struct Progress {
    workers: Vec<Seen>,
    /// When the load began, in microseconds of the run.
    began: u64,
    /// Each second since then, by the clock; deliveries by the time they were due.
    seconds: BTreeMap<u64, Second>,
}

/// One second of the load.
#[derive(Clone)]
pub struct Second {
    /// Counters of the second.
    pub counts: Counts,
    /// Delivery latency of messages due in it.
    pub times: LatencyHistogram,
    /// Open connections at its end, by worker.
    pub connections: Vec<u64>,
    /// Refusals and closes in it.
    pub errors: BTreeMap<String, u64>,
    /// The maximum send lag, in microseconds.
    pub lag_us: u64,
}

#[derive(Clone, Default)]
struct Seen {
    tick: Option<Tick>,
}

/// The current state, summed over all workers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgressSnapshot {
    /// Counters so far.
    pub counts: Counts,
    /// Refusals and closes so far.
    pub errors: BTreeMap<String, u64>,
    /// Open connections.
    pub connections: u64,
    /// Clients that have caught up.
    pub caught_up: u64,
    /// Since when all clients have caught up, in microseconds of the run.
    pub all_caught_up_since: Option<u64>,
    /// Messages without a response.
    pub pending: u64,
    /// Room cursors behind the awaited heads; `None` unless every worker waits.
    pub behind: Option<u64>,
    /// Processor time, in microseconds.
    pub cpu_us: u64,
    /// Memory, in bytes.
    pub resident_bytes: u64,
}

impl Progress {
    /// The progress of this many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            workers: vec![Seen::default(); workers],
            ..Self::default()
        }
    }

    /// Starts the count of seconds at `at`.
    pub fn load_begins(&mut self, at: u64) {
        self.began = at;
        self.seconds.clear();
    }

    /// Adds a tick of a worker.
    pub fn take(&mut self, worker: usize, tick: &Tick) -> anyhow::Result<()> {
        let before = self.workers[worker].tick.replace(tick.clone());
        if self.began == 0 {
            return Ok(());
        }
        let workers = self.workers.len();
        for (due, packed) in &tick.recent {
            let second = due.saturating_sub(self.began / 1_000_000);
            packed.add_to(&mut self.second(second, workers).times)?;
        }
        let Some(at) = tick.at.checked_sub(self.began) else {
            return Ok(());
        };
        let (counts, errors) = match &before {
            Some(before) => (
                tick.counts.since(&before.counts),
                newer(&tick.errors, &before.errors),
            ),
            None => (tick.counts.clone(), tick.errors.clone()),
        };
        let second = self.second(at / 1_000_000, workers);
        second.counts.add(&counts);
        for (name, count) in errors {
            *second.errors.entry(name).or_default() += count;
        }
        second.connections[worker] = tick.connections;
        second.lag_us = second.lag_us.max(tick.lag_us);
        Ok(())
    }

    fn second(&mut self, second: u64, workers: usize) -> &mut Second {
        self.seconds.entry(second).or_insert_with(|| Second {
            counts: Counts::default(),
            times: times(),
            connections: vec![0; workers],
            errors: BTreeMap::new(),
            lag_us: 0,
        })
    }

    /// The seconds of the load so far, by number.
    pub fn seconds(&self) -> &BTreeMap<u64, Second> {
        &self.seconds
    }

    /// The current state; `None` before every worker has ticked.
    pub fn snapshot(&self) -> Option<ProgressSnapshot> {
        let mut all = ProgressSnapshot {
            behind: Some(0),
            all_caught_up_since: Some(0),
            ..ProgressSnapshot::default()
        };
        for worker in &self.workers {
            let tick = worker.tick.as_ref()?;
            all.counts.add(&tick.counts);
            for (name, count) in &tick.errors {
                *all.errors.entry(name.clone()).or_default() += count;
            }
            all.connections += tick.connections;
            all.caught_up += tick.caught_up;
            all.all_caught_up_since = all
                .all_caught_up_since
                .zip(tick.all_caught_up_since)
                .map(|(a, b)| a.max(b));
            all.pending += tick.pending;
            all.behind = all.behind.zip(tick.behind).map(|(a, b)| a + b);
            all.cpu_us += tick.cpu_us;
            all.resident_bytes += tick.resident_bytes;
        }
        Some(all)
    }

    /// Whether every worker has ticked at or after `at`.
    pub fn is_later_than(&self, at: u64) -> bool {
        self.workers
            .iter()
            .all(|worker| worker.tick.as_ref().is_some_and(|tick| tick.at >= at))
    }
}

fn newer(now: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let since = |(name, count): (&String, &u64)| {
        let more = count - before.get(name).copied().unwrap_or_default();
        (more > 0).then(|| (name.clone(), more))
    };
    now.iter().filter_map(since).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{EncodedHistogram, record};

    fn tick(at: u64, due: u64, all_caught_up_since: Option<u64>) -> Tick {
        let mut delivered = times();
        record(&mut delivered, 5_000);
        Tick {
            at,
            counts: Counts {
                due,
                ..Counts::default()
            },
            errors: BTreeMap::from([("RATE_LIMITED".to_owned(), due / 2)]),
            recent: vec![(at / 1_000_000, EncodedHistogram::of(&delivered))],
            connections: 10,
            caught_up: 10,
            all_caught_up_since,
            pending: 1,
            behind: None,
            lag_us: 7,
            cpu_us: 100,
            resident_bytes: 1_000,
        }
    }

    #[test]
    fn ticks_of_two_workers_are_one_story() {
        let mut watch = Progress::new(2);
        watch.take(0, &tick(900_000, 4, Some(5))).unwrap();
        assert_eq!(watch.snapshot(), None, "one worker has said nothing yet");
        watch.take(1, &tick(900_000, 4, None)).unwrap();
        watch.load_begins(1_000_000);
        watch.take(0, &tick(1_500_000, 10, Some(5))).unwrap();
        watch.take(1, &tick(1_600_000, 6, Some(1_550_000))).unwrap();
        let snapshot = watch.snapshot().unwrap();
        assert_eq!((snapshot.counts.due, snapshot.connections), (16, 20));
        assert_eq!(snapshot.all_caught_up_since, Some(1_550_000));
        assert_eq!(snapshot.behind, None);
        let second = &watch.seconds()[&0];
        assert_eq!((second.counts.due, second.times.len()), (8, 2));
        assert_eq!(second.errors["RATE_LIMITED"], 4);
        assert!(!watch.is_later_than(1_550_000) && watch.is_later_than(1_500_000));
    }
}
