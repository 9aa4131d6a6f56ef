//! Pseudo-random numbers from a seed (splitmix64), as `loadtest` makes them.

/// A sequence of numbers that follows from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: u64,
}

impl Rng {
    /// The stream `part` of this seed; different parts are independent.
    pub(crate) fn new(seed: u64, part: u64) -> Self {
        let mut rng = Self { state: seed };
        rng.state = rng.next_u64() ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        rng.next_u64();
        rng
    }

    /// A number below `bound`, which is at least one.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next_u64()) * (bound as u128);
        usize::try_from(wide >> 64).expect("below a usize")
    }

    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
