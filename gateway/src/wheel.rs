//! One timer for every connection: a wheel of seconds.
//!
//! A timer of its own for each of ten thousand connections would cost more than the connection. Each
//! stands in one slot of the wheel instead, the second it next wants to be looked at; the wheel's
//! turn wakes it, and it says when to come again. A hashed wheel after Varghese and Lauck (1987).

use std::sync::{Mutex, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Seconds};
use crate::connection::Connection;
use crate::lock::lock;

/// Slots, and so the longest wait in seconds; who wants to wait longer comes by in between.
const SLOTS: usize = 64;

const FARTHEST: Seconds = 62;
const _: () = assert!(
    (FARTHEST as usize) < SLOTS - 1,
    "the wheel must not overtake itself"
);

#[derive(Debug)]
pub(crate) struct Wheel {
    slots: [Mutex<Vec<Weak<Connection>>>; SLOTS],
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            slots: std::array::from_fn(|_| Mutex::new(Vec::new())),
        }
    }

    /// Wakes the connection at `due` or, when that is far, somewhat before; at the next turn if it has passed.
    pub(crate) fn schedule(&self, connection: Weak<Connection>, now: Seconds, due: Seconds) {
        let ahead = due.saturating_sub(now).clamp(1, FARTHEST);
        lock(&self.slots[(now + ahead) as usize % SLOTS]).push(connection);
    }

    /// Turns until `stop`.
    pub(crate) async fn run(&self, clock: &Clock, stop: &CancellationToken) {
        let mut turned_to = clock.now();
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => return,
            }
            let now = clock.now();
            while turned_to < now {
                turned_to += 1;
                let due = std::mem::take(&mut *lock(&self.slots[turned_to as usize % SLOTS]));
                for connection in due.into_iter().filter_map(|weak| weak.upgrade()) {
                    connection.wake_for_tick();
                }
            }
        }
    }
}
