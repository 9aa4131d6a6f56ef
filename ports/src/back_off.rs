//! Delays between retries: exponential backoff with full jitter.
//!
//! Callers that failed together would retry together if each waited a fixed time. Each delay is therefore
//! drawn at random between zero and a bound that doubles with every failure in a row.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Doublings after which the bound no longer grows.
const DOUBLINGS_MAX: u32 = 20;

/// The delays of one retry loop.
#[derive(Debug, Clone)]
pub struct BackOff {
    first: Duration,
    longest: Duration,
    failures: u32,
    random: u64,
}

impl BackOff {
    /// Delays of at most `first` after the first failure, twice that after the next, and never over `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        // Every RandomState hashes differently.
        Self::seeded(first, longest, RandomState::new().hash_one(0))
    }

    /// The same with a given seed: equal seeds give equal delays.
    pub const fn seeded(first: Duration, longest: Duration, seed: u64) -> Self {
        Self {
            first,
            longest,
            failures: 0,
            random: seed,
        }
    }

    /// The delay after one more failure in a row.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.delay_after(self.failures);
        self.failures = self.failures.saturating_add(1);
        delay
    }

    /// The delay of a retry that `failures` others in a row came before, for callers that count by themselves.
    pub fn delay_after(&mut self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.min(DOUBLINGS_MAX));
        let bound = u64::try_from(doubled.min(self.longest).as_nanos()).unwrap_or(u64::MAX);
        let drawn = (u128::from(self.draw()) * (u128::from(bound) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(drawn).unwrap_or(bound))
    }

    /// A try has succeeded: the next failure counts as the first.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// A random number (SplitMix64).
    const fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);

    #[test]
    fn delays_are_drawn_from_the_whole_range_below_a_doubling_bound() {
        for failures in 0..12 {
            let bound = (FIRST * (1 << failures)).min(LONGEST);
            let mut back_off = BackOff::seeded(FIRST, LONGEST, 7);
            let delays: Vec<Duration> =
                (0..1_000).map(|_| back_off.delay_after(failures)).collect();
            assert!(delays.iter().all(|delay| *delay <= bound), "{failures}");
            let below = |share: u32| delays.iter().filter(|it| **it < bound * share / 4).count();
            for quarter in 1..4 {
                let expected = 250 * quarter as usize;
                assert!(
                    below(quarter).abs_diff(expected) < 60,
                    "{failures} {quarter}"
                );
            }
        }
        let mut long = BackOff::new(FIRST, LONGEST);
        assert!(long.delay_after(u32::MAX) <= LONGEST);
    }

    #[test]
    fn equal_seeds_give_equal_delays_and_a_success_starts_the_bound_again() {
        let mut one = BackOff::seeded(FIRST, LONGEST, 42);
        let mut other = one.clone();
        let delays: Vec<Duration> = (0..20).map(|_| one.next_delay()).collect();
        assert!(delays.iter().any(|delay| *delay > FIRST * 8));
        assert!(
            delays.iter().eq((0..20)
                .map(|_| other.next_delay())
                .collect::<Vec<_>>()
                .iter())
        );
        one.reset();
        assert!(one.next_delay() <= FIRST);
        let mut stranger = BackOff::new(FIRST, LONGEST);
        let strange: Vec<Duration> = (0..20).map(|_| stranger.next_delay()).collect();
        assert_ne!(strange, delays);
    }
}
