//! A timer wheel: one timer for the deadlines of all connections.
//!
//! A timer of its own for each of ten thousand connections would cost more than the connection. Each
//! stands in one slot of the wheel instead, the tick it next wants to be looked at; the wheel's
//! turn wakes it, and it sets its next tick. A hashed wheel after Varghese and Lauck (1987).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Weak};

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, TICK, Ticks};
use crate::hub::UserConnection;
use crate::lock::lock;
use crate::outbound;

/// Slots, and so the longest wait in ticks, 25 s: longer than between two heartbeats.
const SLOTS: u32 = 512;

const FARTHEST: Ticks = SLOTS - 2;

/// Ticks between two looks at what the process has to send: a second.
const GAUGE_INTERVAL: Ticks = 20;

#[derive(Debug)]
pub(crate) struct TimerWheel {
    slots: [Mutex<Vec<Weak<UserConnection>>>; SLOTS as usize],
    /// The last tick whose slot was emptied. Changed under that slot's lock.
    turned_to: AtomicU32,
}

impl TimerWheel {
    pub(crate) fn new() -> Self {
        Self {
            slots: std::array::from_fn(|_| Mutex::new(Vec::new())),
            turned_to: AtomicU32::new(0),
        }
    }

    fn slot(&self, tick: Ticks) -> &Mutex<Vec<Weak<UserConnection>>> {
        &self.slots[(tick % SLOTS) as usize]
    }

    /// The last tick whose connections were woken.
    pub(crate) fn turned_to(&self) -> Ticks {
        self.turned_to.load(Ordering::Acquire)
    }

    /// Wakes the connection at `due` or, when that is far, before; at the next turn if it has passed.
    /// Returns the tick at which that will be.
    pub(crate) fn schedule(&self, connection: Weak<UserConnection>, due: Ticks) -> Ticks {
        loop {
            let turned_to = self.turned_to();
            let at = due.clamp(
                turned_to.saturating_add(1),
                turned_to.saturating_add(FARTHEST),
            );
            let mut slot = lock(self.slot(at));
            // Between the two the wheel may have passed the slot, which would keep it for a whole turn.
            if self.turned_to() < at {
                slot.push(connection);
                return at;
            }
        }
    }

    /// Turns until `stop`.
    pub(crate) async fn run(&self, clock: &Clock, stop: &CancellationToken) {
        let gauge = metrics::gauge!("chat_outbound_bytes");
        let mut gauged_at = 0;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => return,
            }
            let now = clock.now();
            self.turn(now);
            if now >= gauged_at + GAUGE_INTERVAL {
                gauged_at = now;
                #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
                gauge.set(outbound::used() as f64);
            }
        }
    }

    /// Wakes every connection that is due at `now` or was before.
    fn turn(&self, now: Ticks) {
        for tick in self.turned_to()..now {
            let due = {
                let mut slot = lock(self.slot(tick + 1));
                self.turned_to.store(tick + 1, Ordering::Release);
                std::mem::take(&mut *slot)
            };
            for connection in due.into_iter().filter_map(|weak| weak.upgrade()) {
                connection.wake_for_tick();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wheel_keeps_what_is_far_for_less_than_a_turn_and_what_has_passed_for_one_tick() {
        let wheel = TimerWheel::new();
        assert_eq!(wheel.schedule(Weak::new(), 7), 7);
        wheel.turn(1_000);
        assert_eq!(wheel.turned_to(), 1_000);
        assert_eq!(wheel.schedule(Weak::new(), 3), 1_001);
        assert_eq!(wheel.schedule(Weak::new(), Ticks::MAX), 1_000 + FARTHEST);
    }
}
