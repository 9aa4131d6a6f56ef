//! How fast somebody may send.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use roomcast_protocol::UserId;

use crate::lock::lock;

/// A token bucket: `burst` at once, then `per_second`. As the generic cell rate algorithm (ITU-T
/// I.371), it keeps one point in time and no timer.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// When the bucket would be full again.
    full_at: Option<Instant>,
}

impl Bucket {
    pub(crate) const fn full() -> Self {
        Self { full_at: None }
    }

    /// Takes one, or returns the milliseconds until there is one.
    #[cfg(test)]
    pub(crate) fn take(&mut self, now: Instant, per_second: u32, burst: u32) -> Result<(), u64> {
        self.take_tenths(now, per_second, burst, 10)
    }

    /// Takes `tenths` of one, or returns the milliseconds until there are as many. More than `burst`
    /// are never there.
    fn take_tenths(
        &mut self,
        now: Instant,
        per_second: u32,
        burst: u32,
        tenths: u32,
    ) -> Result<(), u64> {
        let each = Duration::from_secs(1) / per_second.max(1);
        let (cost, capacity) = (each / 10 * tenths, each * burst);
        let full_at = self.full_at.filter(|at| *at > now).unwrap_or(now);
        let ahead = full_at - now;
        if ahead + cost > capacity {
            let wait = ahead + cost - capacity;
            return Err(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        }
        self.full_at = Some(full_at + cost);
        Ok(())
    }
}

/// One token bucket per user, connected or not: a reconnect does not refill it.
///
/// Full buckets are dropped, so the table is as large as the number of users seen lately.
#[derive(Debug, Default)]
pub struct Rates {
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    by_user: HashMap<UserId, Bucket>,
    /// How many there may be before the full ones are forgotten.
    forget_at: usize,
}

const FORGET_AT_LEAST: usize = 1_024;

impl Rates {
    pub(crate) fn take(
        &self,
        user_id: &UserId,
        now: Instant,
        per_second: u32,
        burst: u32,
    ) -> Result<(), u64> {
        self.take_tenths(user_id, now, per_second, burst, 10)
    }

    /// Takes `tenths` of a token from the user's bucket of `burst` tokens, refilled by `per_second`.
    ///
    /// # Errors
    /// The milliseconds until as much is there; a cost above `burst` is never taken.
    pub fn take_tenths(
        &self,
        user_id: &UserId,
        now: Instant,
        per_second: u32,
        burst: u32,
        tenths: u32,
    ) -> Result<(), u64> {
        let mut buckets = lock(&self.buckets);
        if let Some(bucket) = buckets.by_user.get_mut(user_id) {
            return bucket.take_tenths(now, per_second, burst, tenths);
        }
        if buckets.by_user.len() >= buckets.forget_at.max(FORGET_AT_LEAST) {
            buckets
                .by_user
                .retain(|_, bucket| bucket.full_at.is_some_and(|at| at > now));
            buckets.forget_at = 2 * buckets.by_user.len();
        }
        let bucket = buckets
            .by_user
            .entry(user_id.clone())
            .or_insert_with(Bucket::full);
        bucket.take_tenths(now, per_second, burst, tenths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_one_each_interval() {
        let start = Instant::now();
        let mut bucket = Bucket::full();
        for _ in 0..40 {
            assert_eq!(bucket.take(start, 20, 40), Ok(()));
        }
        let wait = bucket.take(start, 20, 40).unwrap_err();
        assert!((1..=50).contains(&wait), "{wait}");
        assert_eq!(
            bucket.take(start + Duration::from_millis(wait), 20, 40),
            Ok(())
        );
        assert!(
            bucket
                .take(start + Duration::from_millis(wait), 20, 40)
                .is_err()
        );
    }

    #[test]
    fn bucket_charges_tenths_and_waits_for_the_whole_cost() {
        let start = Instant::now();
        let mut bucket = Bucket::full();
        // Four calls of 21 tokens fit into a burst of 100, the fifth lacks five.
        for _ in 0..4 {
            assert_eq!(bucket.take_tenths(start, 10, 100, 210), Ok(()));
        }
        assert_eq!(bucket.take_tenths(start, 10, 100, 210), Err(500));
        assert_eq!(bucket.take_tenths(start, 10, 100, 160), Ok(()));
        assert!(bucket.take_tenths(start, 10, 100, 1_010).is_err());
    }
}
