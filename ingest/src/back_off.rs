//! How long to leave alone what has just failed.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The first wait, at most.
const FIRST: Duration = Duration::from_millis(50);
/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that grow with each failure in a row, none of them longer than [`LONGEST`], each shortened
/// by up to a half at random, so that those who failed together do not come back together.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// The wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let full = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = full / 2;
        // Every RandomState hashes differently.
        let chance = RandomState::new().hash_one(self.failures) % 1_000;
        half + half * u32::try_from(chance).unwrap_or(0) / 1_000
    }

    /// It worked: the next failure is the first again.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_cap_and_begin_again_after_a_success() {
        let mut back_off = BackOff::default();
        let mut longest_so_far = FIRST;
        for _ in 0..100 {
            let wait = back_off.next();
            assert!(
                wait >= longest_so_far / 2 && wait <= longest_so_far,
                "{wait:?}"
            );
            longest_so_far = (longest_so_far * 2).min(LONGEST);
        }
        back_off.reset();
        assert!(back_off.next() <= FIRST);
    }
}
