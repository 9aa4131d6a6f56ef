//! Rate limits: token buckets of users and connections.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use roomcast_protocol::UserId;
use roomcast_protocol::limits::{READ_KIB_BURST, READ_KIB_PER_SECOND};

use crate::lock::lock;

/// What a bucket holds, and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Units a second.
    pub per_second: u32,
    /// Burst: units from a full bucket.
    pub burst: u32,
}

impl Rate {
    /// How long `units` take to fill.
    fn time_of(self, units: u32) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1) * units
    }
}

/// A token bucket, as the generic cell rate algorithm (ITU-T I.371): it keeps one point in time and no
/// timer.
#[derive(Debug, Default)]
pub(crate) struct TokenBucket {
    /// When the bucket will be full, on the caller's clock.
    full_at: Duration,
}

impl TokenBucket {
    /// Takes `cost` units, or returns the milliseconds until there are as many. More than `burst` are
    /// never there.
    pub(crate) fn take(&mut self, now: Duration, cost: u32, rate: Rate) -> Result<(), u64> {
        let ahead = self.full_at.saturating_sub(now);
        let (wanted, capacity) = (rate.time_of(cost), rate.time_of(rate.burst));
        if ahead + wanted > capacity {
            return Err(milliseconds(ahead + wanted - capacity));
        }
        self.draw(now, cost, rate);
        Ok(())
    }

    /// Takes `cost` units in any case; how long the taker has to pause for them.
    pub(crate) fn draw(&mut self, now: Duration, cost: u32, rate: Rate) -> Duration {
        self.full_at = self.full_at.max(now) + rate.time_of(cost);
        (self.full_at - now).saturating_sub(rate.time_of(rate.burst))
    }

    pub(crate) fn is_full(&self, now: Duration) -> bool {
        self.full_at <= now
    }
}

/// Rounded up, so that the same passes after that time.
fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// One token bucket per user, connected or not: a reconnect does not refill it.
///
/// Full buckets are dropped, so the table is as large as the number of users seen lately.
#[derive(Debug)]
pub struct RateLimiter {
    started: Instant,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    by_user: HashMap<UserId, TokenBucket>,
    /// How many there may be before the full ones are forgotten.
    forget_at: usize,
}

const FORGET_AT_LEAST: usize = 1_024;

impl Default for RateLimiter {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            buckets: Mutex::default(),
        }
    }
}

impl RateLimiter {
    /// Takes `cost` units from the user's bucket.
    ///
    /// # Errors
    /// The milliseconds until there are as many; a cost above the burst is never taken.
    pub fn take(&self, user_id: &UserId, cost: u32, rate: Rate) -> Result<(), u64> {
        self.with(user_id, |bucket, now| bucket.take(now, cost, rate))
    }

    /// Takes `cost` units in any case; how long the user has to pause for what was taken.
    pub fn draw(&self, user_id: &UserId, cost: u32, rate: Rate) -> Duration {
        self.with(user_id, |bucket, now| bucket.draw(now, cost, rate))
    }

    fn with<T>(&self, user_id: &UserId, act: impl FnOnce(&mut TokenBucket, Duration) -> T) -> T {
        let now = self.started.elapsed();
        let mut buckets = lock(&self.buckets);
        if let Some(bucket) = buckets.by_user.get_mut(user_id) {
            return act(bucket, now);
        }
        if buckets.by_user.len() >= buckets.forget_at.max(FORGET_AT_LEAST) {
            buckets.by_user.retain(|_, bucket| !bucket.is_full(now));
            buckets.forget_at = 2 * buckets.by_user.len();
        }
        let bucket = buckets.by_user.entry(user_id.clone()).or_default();
        act(bucket, now)
    }
}

/// The rate at which one user reads history, in KiB.
pub const READING: Rate = Rate {
    per_second: READ_KIB_PER_SECOND,
    burst: READ_KIB_BURST,
};

/// Bytes in whole KiB, as [`READING`] counts them.
pub fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 20,
        burst: 40,
    };

    #[test]
    fn a_burst_passes_at_once_and_then_one_each_interval() {
        let start = Duration::from_secs(100);
        let mut bucket = TokenBucket::default();
        for _ in 0..40 {
            assert_eq!(bucket.take(start, 1, RATE), Ok(()));
        }
        let wait = bucket.take(start, 1, RATE).unwrap_err();
        assert!((1..=50).contains(&wait), "{wait}");
        let later = start + Duration::from_millis(wait);
        assert_eq!(bucket.take(later, 1, RATE), Ok(()));
        assert!(bucket.take(later, 1, RATE).is_err());
    }

    #[test]
    fn what_costs_more_takes_more_and_has_to_wait_for_all_of_it() {
        let start = Duration::from_secs(100);
        let mut bucket = TokenBucket::default();
        assert_eq!(bucket.take(start, 30, RATE), Ok(()));
        assert_eq!(bucket.take(start, 11, RATE), Err(50));
        assert_eq!(bucket.take(start, 10, RATE), Ok(()));
        assert_eq!(bucket.take(start, 40, RATE), Err(2_000));
        let later = start + Duration::from_secs(60);
        assert!(bucket.take(later, 41, RATE).is_err());
        assert_eq!(bucket.take(later, 40, RATE), Ok(()));
    }

    #[test]
    fn calls_that_name_200_members_pass_four_times_at_once() {
        // In tenths of a call, as the budget of changing calls counts.
        let rate = Rate {
            per_second: 100,
            burst: 1_000,
        };
        let start = Duration::from_secs(100);
        let mut bucket = TokenBucket::default();
        for _ in 0..4 {
            assert_eq!(bucket.take(start, 210, rate), Ok(()));
        }
        assert_eq!(bucket.take(start, 210, rate), Err(500));
        assert_eq!(bucket.take(start, 160, rate), Ok(()));
    }

    #[test]
    fn drawing_is_never_refused_and_pauses_past_the_burst() {
        let start = Duration::from_secs(100);
        let mut bucket = TokenBucket::default();
        assert_eq!(bucket.draw(start, 40, RATE), Duration::ZERO);
        assert_eq!(bucket.draw(start, 2, RATE), Duration::from_millis(100));
        assert!(!bucket.is_full(start + Duration::from_secs(2)));
        assert!(bucket.is_full(start + Duration::from_millis(2_100)));
    }
}
