//! Delivered changes of sweeps, acknowledged to Redis with a later sweep.

use std::collections::HashMap;

use fred::bytes_utils::Str;
use parking_lot::{Mutex, MutexGuard};
use roomcast_protocol::UserId;

/// Pending acks of one shard; past it changes are delivered twice.
const ARRIVALS_MAX: usize = 4_096;

/// A change that has arrived.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryAck {
    pub(crate) shard: u16,
    pub(crate) user_id: UserId,
    /// Which change of the user's presence.
    pub(crate) version: Str,
}

/// Delivered changes that are not acknowledged to Redis yet.
#[derive(Debug, Default)]
pub(crate) struct PendingAcks(Mutex<HashMap<u16, Vec<DeliveryAck>>>);

impl PendingAcks {
    /// Takes some of these shards, as many as given at most.
    pub(crate) fn take(&self, shards: &[u16], most: usize) -> Vec<DeliveryAck> {
        let mut by_shard = self.lock();
        let mut taken = Vec::new();
        for shard in shards {
            let Some(arrivals) = by_shard.get_mut(shard) else {
                continue;
            };
            let rest = arrivals.len().saturating_sub(most - taken.len());
            taken.extend(arrivals.drain(rest..));
            if arrivals.is_empty() {
                by_shard.remove(shard);
            }
        }
        taken
    }

    pub(crate) fn add(&self, arrived: impl IntoIterator<Item = DeliveryAck>) {
        let mut by_shard = self.lock();
        for arrival in arrived {
            let arrivals = by_shard.entry(arrival.shard).or_default();
            if arrivals.len() < ARRIVALS_MAX {
                arrivals.push(arrival);
            }
        }
    }

    /// The shards something has arrived from.
    pub(crate) fn shards(&self) -> Vec<u16> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u16, Vec<DeliveryAck>>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(shard: u16, name: &str) -> DeliveryAck {
        DeliveryAck {
            shard,
            user_id: UserId::new(name).unwrap(),
            version: "1".into(),
        }
    }

    #[test]
    fn arrivals_are_taken_once_and_of_the_shards_asked() {
        let arrivals = PendingAcks::default();
        arrivals.add([
            arrival(1, "a"),
            arrival(1, "b"),
            arrival(2, "c"),
            arrival(3, "d"),
        ]);
        assert_eq!(arrivals.take(&[1, 2], 2).len(), 2);
        let taken = arrivals.take(&[1, 2], 2);
        assert_eq!((taken.len(), taken[0].user_id.as_str()), (1, "c"));
        assert!(arrivals.take(&[1, 2], 2).is_empty());
        assert_eq!(arrivals.shards(), [3]);
    }

    #[test]
    fn arrivals_of_a_shard_are_bounded() {
        let arrivals = PendingAcks::default();
        arrivals.add((0..ARRIVALS_MAX + 10).map(|_| arrival(1, "a")));
        assert_eq!(arrivals.take(&[1], usize::MAX).len(), ARRIVALS_MAX);
    }
}
