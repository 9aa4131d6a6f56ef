//! The plan of a run: members, senders and workers, derived from the settings.
//!
//! Every process derives the same plan, so it is not transferred.

use crate::rng::Rng;
use crate::settings::{Distribution, Settings};

/// Stream of the seed for membership.
const MEMBERSHIP: u64 = 1;

/// Members, rooms and shares of messages.
#[derive(Debug)]
pub struct Plan {
    /// The rooms of each connection, in no order, none twice.
    pub rooms_of: Vec<Box<[u32]>>,
    /// The members of each room, by connection; the first owns it.
    pub members: Vec<Vec<u32>>,
    /// Each room's share of all messages; the sum is one.
    pub share: Vec<f64>,
    senders: usize,
    workers: usize,
}

impl Plan {
    /// The plan that follows from `settings`.
    pub fn new(settings: &Settings) -> Self {
        let (connections, rooms) = (settings.connections, settings.rooms);
        let mut rng = Rng::new(settings.seed, MEMBERSHIP);
        let sizes = weights(settings.room_sizes, rooms);
        let mut members = vec![Vec::new(); rooms];
        let mut rooms_of = Vec::with_capacity(connections);
        for connection in 0..connections {
            let mut own: Vec<u32> = Vec::with_capacity(settings.rooms_per_connection);
            // The first ones see to it that no room is empty.
            let mut room = match settings.room_sizes {
                Distribution::Zipf(_) if connection >= rooms => pick(&sizes, &mut rng),
                _ => connection % rooms,
            };
            while own.len() < settings.rooms_per_connection.min(rooms) {
                let number = narrow(room);
                if !own.contains(&number) {
                    own.push(number);
                    members[room].push(narrow(connection));
                }
                room = match settings.room_sizes {
                    Distribution::Uniform => rng.below(rooms),
                    Distribution::Zipf(_) => pick(&sizes, &mut rng),
                };
            }
            rooms_of.push(own.into_boxed_slice());
        }
        let mut plan = Self {
            rooms_of,
            members,
            share: Vec::new(),
            senders: settings.senders,
            workers: settings.workers,
        };
        plan.share = plan.shares(settings.popularity);
        plan
    }

    /// The senders in a room.
    pub fn senders_of(&self, room: usize) -> impl Iterator<Item = u32> + '_ {
        let speaks = |&connection: &u32| (connection as usize) < self.senders;
        self.members[room].iter().copied().filter(speaks)
    }

    /// The connections that this worker holds.
    pub fn held_by(&self, worker: usize) -> impl Iterator<Item = u32> + '_ {
        (worker..self.rooms_of.len())
            .step_by(self.workers)
            .map(narrow)
    }

    /// The worker that holds this connection.
    pub fn holder(&self, connection: u32) -> usize {
        connection as usize % self.workers
    }

    /// The messages a second of the busiest sender, for `rate` of all of them.
    pub fn busiest_sender(&self, rate: f64) -> f64 {
        let mut by_sender = vec![0.0; self.rooms_of.len()];
        for room in 0..self.members.len() {
            let count = self.senders_of(room).count();
            for sender in self.senders_of(room) {
                by_sender[sender as usize] += rate * self.share[room] / as_f64(count);
            }
        }
        by_sender.into_iter().fold(0.0, f64::max)
    }

    /// The average number of deliveries per message.
    pub fn deliveries_per_message(&self) -> f64 {
        let of = |(members, share): (&Vec<u32>, &f64)| as_f64(members.len()) * share;
        self.members.iter().zip(&self.share).map(of).sum()
    }

    fn shares(&self, popularity: Distribution) -> Vec<f64> {
        let mut shares = weights(popularity, self.members.len());
        for (room, share) in shares.iter_mut().enumerate() {
            if self.senders_of(room).next().is_none() {
                *share = 0.0;
            }
        }
        let sum: f64 = shares.iter().sum();
        for share in &mut shares {
            *share /= sum.max(f64::MIN_POSITIVE);
        }
        shares
    }
}

/// Weights of `count` things, the first the heaviest.
fn weights(spread: Distribution, count: usize) -> Vec<f64> {
    let weight = |place: usize| match spread {
        Distribution::Uniform => 1.0,
        Distribution::Zipf(power) => as_f64(place + 1).powf(-power),
    };
    (0..count).map(weight).collect()
}

/// A random index, with probability proportional to its weight.
fn pick(weights: &[f64], rng: &mut Rng) -> usize {
    let mut left = rng.unit() * weights.iter().sum::<f64>();
    for (place, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return place;
        }
    }
    weights.len() - 1
}

/// A number as a double, for rates and shares.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub fn as_f64(number: usize) -> f64 {
    number as f64
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("settings keep counts below 2^32")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    #[test]
    fn every_room_has_its_members_and_members_know_their_rooms() {
        for room_sizes in [Distribution::Uniform, Distribution::Zipf(1.0)] {
            let plan = Plan::new(&crate::settings::Settings {
                connections: 500,
                rooms: 40,
                rooms_per_connection: 3,
                senders: 100,
                room_sizes,
                ..settings()
            });
            assert!(plan.members.iter().all(|members| !members.is_empty()));
            let pairs: usize = plan.members.iter().map(Vec::len).sum();
            assert_eq!(pairs, 1_500);
            for (connection, rooms) in plan.rooms_of.iter().enumerate() {
                for &room in rooms {
                    assert!(plan.members[room as usize].contains(&narrow(connection)));
                }
            }
        }
    }

    #[test]
    fn a_thousand_rooms_of_ten_are_just_that() {
        let plan = Plan::new(&crate::settings::Settings {
            connections: 10_000,
            rooms: 1_000,
            senders: 10_000,
            ..settings()
        });
        assert!(plan.members.iter().all(|members| members.len() == 10));
        assert!((plan.deliveries_per_message() - 10.0).abs() < 1e-6);
        assert!((plan.busiest_sender(1_000.0) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn workers_share_the_connections_without_rest_or_overlap() {
        let plan = Plan::new(&crate::settings::Settings {
            connections: 101,
            workers: 4,
            ..settings()
        });
        let mut held: Vec<u32> = (0..4).flat_map(|worker| plan.held_by(worker)).collect();
        held.sort_unstable();
        assert_eq!(held, (0..101).collect::<Vec<u32>>());
        assert!(
            plan.held_by(2)
                .all(|connection| plan.holder(connection) == 2)
        );
    }

    #[test]
    fn popular_room_gets_more_messages() {
        let plan = Plan::new(&crate::settings::Settings {
            connections: 100,
            rooms: 10,
            senders: 100,
            popularity: Distribution::Zipf(1.0),
            ..settings()
        });
        assert!((plan.share[0] / plan.share[9] - 10.0).abs() < 1e-6);
        assert!((plan.share.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
