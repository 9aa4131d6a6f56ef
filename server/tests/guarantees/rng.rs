//! Rng from a seed that is printed, so that what it found can be looked for again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A seed of this moment.
pub(crate) fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.expect("the clock is after 1970").as_nanos();
    u64::try_from(nanos % 1_000_000_007).expect("it is small")
}

/// Numbers that follow from a seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: u64,
}

impl Rng {
    /// The `part`th of a test's sequences.
    pub(crate) fn new(seed: u64, part: u64) -> Self {
        let state = seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { state }
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bound = u64::try_from(bound).expect("a small number");
        usize::try_from(mixed % bound).expect("below a usize")
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Some milliseconds.
    pub(crate) fn millis(&mut self, from: usize, to: usize) -> Duration {
        let millis = from + self.below(to - from);
        Duration::from_millis(millis.try_into().expect("a small number"))
    }
}
