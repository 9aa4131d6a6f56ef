//! Counters and histograms of a worker, and their sums over workers.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};
use serde::{Deserialize, Serialize};

/// Latencies in microseconds, up to ten minutes, with three significant digits.
pub type LatencyHistogram = Histogram<u64>;

/// Distinct error names that are counted.
const NAMES_MAX: usize = 100;

const LONGEST_US: u64 = 600_000_000;

/// An empty histogram.
pub fn times() -> LatencyHistogram {
    Histogram::new_with_bounds(1, LONGEST_US, 3).expect("these bounds are in order")
}

/// Records one latency, capped at the maximum.
pub fn record(times: &mut LatencyHistogram, us: u64) {
    times.saturating_record(us.max(1));
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters since the start of the worker.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        impl Counts {
            /// Adds the counters of another worker or a later time.
            pub fn add(&mut self, other: &Self) { $(self.$name += other.$name;)* }

            /// The difference to `before`.
            pub fn since(&self, before: &Self) -> Self {
                Self { $($name: self.$name.saturating_sub(before.$name),)* }
            }
        }
    };
}

counts! {
    /// Messages that were due.
    due,
    /// Messages due while their sender was away.
    due_away,
    /// Attempts after the first.
    resent,
    /// Messages acknowledged.
    acked,
    /// Acknowledgements with `duplicate`.
    duplicates,
    /// Messages refused permanently.
    refused,
    /// Messages without a response until the end.
    unanswered,
    /// Message frames received live.
    delivered,
    /// Message frames received late: in a replay, from history, or of a sender who was away.
    caught_up,
    /// Upgrades that succeeded.
    connected,
    /// Upgrades that failed.
    connect_failed,
    /// Connections not closed by the client.
    lost,
    /// Subscriptions answered with `recovered:false`.
    not_recovered,
    /// Pages of history read for recovery.
    pages,
    /// Bytes received.
    bytes,
}

/// The statistics of one worker.
pub struct Stats {
    /// Counters.
    pub counts: Counts,
    /// Refusals and closes by name.
    pub errors: BTreeMap<String, u64>,
    /// Delivery latency: from due to delivered, of live messages from connected senders.
    pub prompt: LatencyHistogram,
    /// Late delivery latency: of all other messages.
    pub late: LatencyHistogram,
    /// Acknowledgement latency: from due to acknowledged.
    pub acks: LatencyHistogram,
    /// Send lag: from due to sent, of connected senders.
    pub lag: LatencyHistogram,
    /// Connect time: from the start of connecting to `WELCOME`.
    pub connects: LatencyHistogram,
    /// Recovery times: from the loss of the connection until the client has caught up.
    pub away: LatencyHistogram,
    /// Delivery latency since the last tick, by the second in which the message was due.
    pub recent: BTreeMap<u64, LatencyHistogram>,
    /// The maximum send lag since the last tick.
    pub recent_lag_us: u64,
    /// Fan-out progress of each message; only with one large room.
    pub reach: Option<HashMap<(u8, u32), FanoutProgress>>,
}

/// The fan-out progress of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanoutProgress {
    /// Members that received it.
    pub members: u64,
    /// The maximum delivery latency, in microseconds.
    pub last_us: u64,
}

impl FanoutProgress {
    /// Adds the progress in another worker.
    pub fn add(&mut self, other: Self) {
        self.members += other.members;
        self.last_us = self.last_us.max(other.last_us);
    }
}

impl Stats {
    /// Empty statistics.
    pub fn new(keeps_reach: bool) -> Self {
        Self {
            counts: Counts::default(),
            errors: BTreeMap::new(),
            prompt: times(),
            late: times(),
            acks: times(),
            lag: times(),
            connects: times(),
            away: times(),
            recent: BTreeMap::new(),
            recent_lag_us: 0,
            reach: keeps_reach.then(HashMap::new),
        }
    }

    /// Counts a refusal or a close by its name.
    pub fn error(&mut self, name: &str) {
        // The fleet could make names up; it does not get to fill our memory with them.
        let known = self.errors.contains_key(name) || self.errors.len() < NAMES_MAX;
        let name = if known { name } else { "others" };
        if let Some(count) = self.errors.get_mut(name) {
            *count += 1;
        } else {
            self.errors.insert(name.to_owned(), 1);
        }
    }

    /// Records a message that arrived `us` after it was `due`.
    pub fn delivery(&mut self, due: u64, us: u64, prompt: bool) {
        record(self.recent.entry(due / 1_000_000).or_insert_with(times), us);
        if prompt {
            self.counts.delivered += 1;
            record(&mut self.prompt, us);
        } else {
            self.counts.caught_up += 1;
            record(&mut self.late, us);
        }
    }
}

/// A histogram as text (HdrHistogram V2 encoding, lossless).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncodedHistogram(String);

impl EncodedHistogram {
    /// Encodes a histogram.
    pub fn of(times: &LatencyHistogram) -> Self {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(times, &mut bytes)
            .expect("a vector takes all bytes");
        Self(STANDARD.encode(bytes))
    }

    /// Adds it to `sum`. Fails if it cannot be decoded.
    pub fn add_to(&self, sum: &mut LatencyHistogram) -> anyhow::Result<()> {
        let bytes = STANDARD.decode(&self.0)?;
        let times: LatencyHistogram = Deserializer::new().deserialize(&mut bytes.as_slice())?;
        sum.add(&times)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn what_workers_counted_apart_is_what_one_would_have_counted() {
        let mut rng = Rng::new(1, 1);
        let (mut one, mut merged) = (times(), times());
        for _ in 0..5 {
            let mut part = times();
            for _ in 0..10_000 {
                let us = rng.next_u64() % 5_000_000;
                record(&mut one, us);
                record(&mut part, us);
            }
            EncodedHistogram::of(&part).add_to(&mut merged).unwrap();
        }
        assert_eq!(one, merged);
        assert_eq!(merged.len(), 50_000);
    }

    #[test]
    fn errors_are_counted_by_name_without_end_to_names() {
        let mut stats = Stats::new(false);
        for number in 0..1_000 {
            stats.error(&format!("made-up-{number}"));
        }
        assert!(stats.errors.len() <= 101);
        assert_eq!(stats.errors.values().sum::<u64>(), 1_000);
    }
}
