//! Pseudo-random numbers from a seed: the same seed makes the same load in every process.

use std::time::Duration;

/// Numbers that follow from a seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The stream `part` of this seed; different streams are independent.
    pub fn new(seed: u64, part: u64) -> Self {
        let mut rng = Self { state: seed };
        rng.state = rng.next_u64() ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        rng.next_u64();
        rng
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is at least one.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next_u64()) * (bound as u128);
        usize::try_from(wide >> 64).expect("below a usize")
    }

    /// A number in `0.0..1.0`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits are what a double holds"
    )]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A duration between zero and `longest`.
    pub fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.unit())
    }

    /// An exponentially distributed time with this mean, in the unit of `mean`.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_numbers_and_other_streams_differ() {
        let of = |seed, part| {
            let mut rng = Rng::new(seed, part);
            (0..8).map(|_| rng.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(of(7, 1), of(7, 1));
        assert_ne!(of(7, 1), of(7, 2));
        assert_ne!(of(7, 1), of(8, 1));
    }

    #[test]
    fn waits_are_as_long_on_average_as_asked() {
        let mut rng = Rng::new(1, 0);
        let sum: f64 = (0..100_000).map(|_| rng.exponential(5.0)).sum();
        let mean = sum / 100_000.0;
        assert!((mean - 5.0).abs() < 0.1, "{mean}");
        assert!((0..10_000).all(|_| rng.below(3) < 3));
    }
}
