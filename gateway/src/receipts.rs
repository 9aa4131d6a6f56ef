//! `RECEIPT`s, coalesced: one for each user and room in an interval, with the last state.
//!
//! A client may move its marks with every message it scrolls past, and every subscriber of the room gets
//! each `RECEIPT`. The first is published immediately; those that follow within [`RECEIPT_INTERVAL`] are merged
//! and published when it is over. The last state is always published, at the latest when the gateway
//! stops.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;

use roomcast_ports::pubsub::{EphemeralEvent, PubSub};
use roomcast_protocol::api::Marks;
use roomcast_protocol::limits::{RECEIPT_INTERVAL, RECEIPT_QUEUE_MAX};
use roomcast_protocol::{RoomId, UserId};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::lock::lock;
use crate::pubsub::publish_signal;

type Key = (RoomId, UserId);

/// Marks that have moved, and which of them to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) marks: Marks,
    pub(crate) read: bool,
    pub(crate) delivered: bool,
}

impl Moved {
    fn merge(&mut self, later: Self) {
        self.marks.read = self.marks.read.max(later.marks.read);
        self.marks.delivered = self.marks.delivered.max(later.marks.delivered);
        self.read |= later.read;
        self.delivered |= later.delivered;
    }

    pub(crate) fn signal(self, (room_id, user_id): Key) -> EphemeralEvent {
        EphemeralEvent::Receipt {
            room_id,
            user_id,
            marks: self.marks,
            read: self.read,
            delivered: self.delivered,
        }
    }
}

/// What is to be published, and what was within the last interval.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// `None` for a receipt that was published in this interval and has not changed since.
    by_key: HashMap<Key, Option<Moved>>,
    /// Those with none in this interval yet.
    fresh: Vec<Key>,
}

impl Receipts {
    /// Takes marks that have moved. Past [`RECEIPT_QUEUE_MAX`] returns what the caller is to publish.
    pub(crate) fn add(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        moved: Moved,
    ) -> Option<EphemeralEvent> {
        let mut waiting = lock(&self.waiting);
        let is_full = waiting.by_key.len() >= RECEIPT_QUEUE_MAX;
        let key = (room_id.clone(), user_id.clone());
        match waiting.by_key.entry(key) {
            Entry::Occupied(entry) => match entry.into_mut() {
                Some(pending) => pending.merge(moved),
                none => *none = Some(moved),
            },
            Entry::Vacant(entry) if is_full => return Some(moved.signal(entry.into_key())),
            Entry::Vacant(entry) => {
                let key = entry.key().clone();
                entry.insert(Some(moved));
                waiting.fresh.push(key);
                self.wake.notify_one();
            }
        }
        None
    }

    /// The first of each interval, to be published immediately.
    fn take_fresh(&self) -> Vec<EphemeralEvent> {
        let mut waiting = lock(&self.waiting);
        let keys = std::mem::take(&mut waiting.fresh);
        keys.into_iter()
            .filter_map(|key| {
                let moved = waiting.by_key.get_mut(&key)?.take()?;
                Some(moved.signal(key))
            })
            .collect()
    }

    /// Ends an interval: what has changed in it, to be published now. Whether there is another to end.
    fn turn(&self) -> (Vec<EphemeralEvent>, bool) {
        let mut waiting = lock(&self.waiting);
        waiting.fresh.clear();
        let mut signals = Vec::new();
        waiting.by_key.retain(|key, pending| match pending.take() {
            Some(moved) => {
                signals.push(moved.signal(key.clone()));
                true
            }
            None => false,
        });
        if waiting.by_key.is_empty() {
            waiting.by_key = HashMap::new();
        }
        (signals, !waiting.by_key.is_empty())
    }
}

impl Receipts {
    /// Publishes receipts until `stop`, and then flushes the rest.
    pub(crate) async fn run(&self, signals: &dyn PubSub, stop: &CancellationToken) {
        let mut turn_at = None;
        loop {
            let turn = async {
                match turn_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.wake.notified() => {
                    turn_at.get_or_insert_with(|| Instant::now() + RECEIPT_INTERVAL);
                    publish(signals, self.take_fresh()).await;
                }
                () = turn => {
                    let (changed, is_next) = self.turn();
                    turn_at = is_next.then(|| Instant::now() + RECEIPT_INTERVAL);
                    publish(signals, changed).await;
                }
                () = stop.cancelled() => {
                    publish(signals, self.turn().0).await;
                    return;
                }
            }
        }
    }
}

async fn publish(signals: &dyn PubSub, receipts: Vec<EphemeralEvent>) {
    for receipt in receipts {
        publish_signal(signals, receipt).await;
    }
}

#[cfg(test)]
mod tests {
    use roomcast_protocol::Seq;

    use super::*;

    fn moved(read: u64, delivered: u64) -> Moved {
        let seq = |place| Seq::new(place).unwrap();
        Moved {
            marks: Marks {
                read: seq(read),
                delivered: seq(delivered),
            },
            read: read > 0,
            delivered: true,
        }
    }

    #[test]
    fn receipts_of_an_interval_are_the_first_and_the_last_state() {
        let receipts = Receipts::default();
        let (room, ann) = (RoomId::new("r").unwrap(), UserId::new("ann").unwrap());
        let key = || (room.clone(), ann.clone());
        for place in 1..=4_000 {
            assert_eq!(receipts.add(&room, &ann, moved(place, place)), None);
            if place == 1 {
                assert_eq!(receipts.take_fresh(), [moved(1, 1).signal(key())]);
            }
        }
        assert_eq!(receipts.take_fresh(), []);
        assert_eq!(
            receipts.turn(),
            (vec![moved(4_000, 4_000).signal(key())], true)
        );
        assert_eq!(receipts.turn(), (Vec::new(), false));
        receipts.add(&room, &ann, moved(0, 4_001));
        assert_eq!(receipts.take_fresh(), [moved(0, 4_001).signal(key())]);
    }

    #[test]
    fn receipts_that_have_waited_since_before_an_interval_ended_are_not_lost() {
        let receipts = Receipts::default();
        let (room, ann) = (RoomId::new("r").unwrap(), UserId::new("ann").unwrap());
        receipts.add(&room, &ann, moved(3, 5));
        receipts.add(&room, &ann, moved(0, 7));
        let (signals, _) = receipts.turn();
        assert_eq!(signals, [moved(3, 7).signal((room.clone(), ann.clone()))]);
        assert_eq!(receipts.take_fresh(), []);
    }
}
