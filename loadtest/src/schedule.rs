//! The open-loop schedule: when each message is due, its sender and room, from the seed alone.
//!
//! The latency of a message counts from its due time. A stalled fleet does not stall the schedule,
//! so the waiting time of users is measured (no coordinated omission).

use crate::clock::micros;
use crate::plan::{Plan, as_f64};
use crate::rng::Rng;
use crate::settings::{ArrivalProcess, Settings};

/// Stream of the seed for a worker's schedule; its number is added.
const SENDS: u64 = 1_000;

/// One message to be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Due {
    /// Due time, in microseconds from the start of the load.
    pub at: u64,
    /// The sending connection.
    pub connection: u32,
    /// The room.
    pub room: u32,
    /// The length of its content, in bytes.
    pub content_bytes: usize,
}

/// The messages of one worker, in the order in which they are due.
#[derive(Debug)]
pub struct Schedule {
    settings: Settings,
    rng: Rng,
    /// Senders and rooms, with cumulative weights.
    speakers: Vec<(f64, u32, u32)>,
    /// Base rate of this worker, in messages per second.
    rate: f64,
    /// Seconds from the start of the load.
    now: f64,
}

impl Schedule {
    /// The schedule of `worker` for `settings`.
    pub fn new(settings: &Settings, plan: &Plan, worker: usize) -> Self {
        let mut speakers = Vec::new();
        let mut sum = 0.0;
        for (room, share) in (0..).zip(&plan.share) {
            let count = as_f64(plan.senders_of(room).count());
            for sender in plan.senders_of(room) {
                if plan.holder(sender) == worker {
                    sum += share / count;
                    speakers.push((sum, sender, u32::try_from(room).expect("few rooms")));
                }
            }
        }
        let part = SENDS + worker as u64;
        let mut schedule = Self {
            settings: settings.clone(),
            rng: Rng::new(settings.seed, part),
            speakers,
            rate: settings.rate * sum,
            now: 0.0,
        };
        if schedule.settings.arrivals == ArrivalProcess::Constant && schedule.rate > 0.0 {
            // Workers that begin together must not send together.
            schedule.now = schedule.rng.unit() / schedule.rate;
        }
        schedule
    }

    /// The time from `now` to the next message; a change of the rate in between counts from its moment on.
    fn step(&mut self) -> f64 {
        // In messages at the usual rate's pace; a spike walks through them faster.
        let mut left = match self.settings.arrivals {
            ArrivalProcess::Poisson => self.rng.exponential(1.0),
            ArrivalProcess::Constant => 1.0,
        };
        let mut at = self.now;
        let edges = self.settings.spike().map(|(from, until)| [from, until]);
        for edge in edges.into_iter().flatten() {
            let edge = edge.as_secs_f64();
            let pace = self.rate * self.times(at);
            if at < edge && at + left / pace > edge {
                left -= (edge - at) * pace;
                at = edge;
            }
        }
        at + left / (self.rate * self.times(at)) - self.now
    }

    fn times(&self, at: f64) -> f64 {
        let at = std::time::Duration::from_secs_f64(at);
        self.settings.rate_times(at)
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let sum = self.speakers.last()?.0;
        if self.rate <= 0.0 {
            return None;
        }
        self.now += self.step();
        if self.now >= self.settings.duration.as_secs_f64() {
            return None;
        }
        let wanted = self.rng.unit() * sum;
        let place = self.speakers.partition_point(|(upto, ..)| *upto <= wanted);
        let (_, connection, room) = self.speakers[place.min(self.speakers.len() - 1)];
        let (shortest, longest) = self.settings.content_bytes;
        Some(Due {
            at: micros(std::time::Duration::from_secs_f64(self.now)),
            connection,
            room,
            content_bytes: shortest + self.rng.below(longest - shortest + 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::tests::settings;
    use crate::settings::{Distribution, Profile};

    fn all(settings: &Settings) -> Vec<Due> {
        let plan = Plan::new(settings);
        let part = |worker| Schedule::new(settings, &plan, worker);
        (0..settings.workers).flat_map(part).collect()
    }

    #[test]
    fn workers_together_send_at_the_asked_rate_and_each_in_order() {
        for arrivals in [ArrivalProcess::Poisson, ArrivalProcess::Constant] {
            let settings = Settings {
                connections: 100,
                senders: 60,
                rooms: 7,
                rate: 500.0,
                workers: 3,
                arrivals,
                popularity: Distribution::Zipf(1.0),
                ..settings()
            };
            let sends = all(&settings);
            let expected = 15_000.0;
            assert!((as_f64(sends.len()) - expected).abs() < 4.0 * expected.sqrt());
            assert!(
                sends
                    .iter()
                    .all(|due| due.connection < 60 && due.at < 30_000_000)
            );
            assert!(sends.is_sorted_by_key(|due| (due.connection % 3, due.at)));
            assert_eq!(sends, all(&settings), "the seed decides");
        }
    }

    #[test]
    fn a_spike_is_ten_times_the_rate_while_it_lasts() {
        for arrivals in [ArrivalProcess::Poisson, ArrivalProcess::Constant] {
            let settings = Settings {
                profile: Profile::Spike,
                rate: 200.0,
                arrivals,
                ..settings()
            };
            let (from, until) = settings.spike().unwrap();
            assert_eq!(until - from, Duration::from_secs(10));
            let sends = all(&settings);
            let within = |due: &&Due| (micros(from)..micros(until)).contains(&due.at);
            let spike = as_f64(sends.iter().filter(within).count());
            assert!((spike - 20_000.0).abs() < 600.0, "{spike}");
            assert!((as_f64(sends.len()) - spike - 4_000.0).abs() < 300.0);
        }
    }
}
