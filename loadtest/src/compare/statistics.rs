//! Median, bootstrap and Mann–Whitney statistics of a comparison.

use crate::rng::Rng;

/// Draws of a bootstrap.
const DRAWS: usize = 1_000;
/// Share of draws outside the 99 % confidence interval, at each end.
const TAIL: f64 = 0.005;
/// Blocks of a run for the bootstrap, since neighbouring seconds are correlated.
const STRETCHES: usize = 12;

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub from: f64,
    /// The upper end.
    pub to: f64,
}

/// The middle of `values`, which are not empty.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    median_of(&mut sorted)
}

/// The upper one of two middles, which is as good for seconds.
fn median_of(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Where the ratio of the medians, `after` over `before`, likely is. Whole stretches of seconds are drawn.
pub(super) fn ratio_of_medians(before: &[f64], after: &[f64], rng: &mut Rng) -> Interval {
    let mut ratios: Vec<f64> = Vec::with_capacity(DRAWS);
    let mut draw = Vec::new();
    for _ in 0..DRAWS {
        let one = drawn_median(before, &mut draw, rng);
        let other = drawn_median(after, &mut draw, rng);
        ratios.push(other / one.max(f64::MIN_POSITIVE));
    }
    ratios.sort_by(f64::total_cmp);
    let place = |part: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place among a thousand"
        )]
        let place = (part * (DRAWS - 1) as f64).round() as usize;
        ratios[place]
    };
    Interval {
        from: place(TAIL),
        to: place(1.0 - TAIL),
    }
}

fn drawn_median(values: &[f64], draw: &mut Vec<f64>, rng: &mut Rng) -> f64 {
    let stretch = values.len().div_ceil(STRETCHES).max(1);
    draw.clear();
    while draw.len() < values.len() {
        let from = rng.below(values.len());
        let wanted = stretch.min(values.len() - draw.len());
        draw.extend(values.iter().cycle().skip(from).take(wanted));
    }
    median_of(draw)
}

/// How likely a value of `one` lies above a value of `other`, equal ones counting half: Mann–Whitney's U as a
/// part of all pairs.
pub(super) fn superiority(one: &[f64], other: &[f64]) -> f64 {
    let mut sorted = other.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut halves = 0;
    for value in one {
        let below = sorted.partition_point(|other| other < value);
        let not_above = sorted.partition_point(|other| other <= value);
        halves += below + not_above;
    }
    #[expect(clippy::cast_precision_loss, reason = "pairs of seconds")]
    let part = halves as f64 / (2 * one.len() * other.len()) as f64;
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[5.0]) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn superiority_is_the_part_of_pairs_that_are_above() {
        let part = |one: &[f64], other: &[f64]| superiority(one, other);
        assert!((part(&[2.0, 3.0], &[1.0, 0.0]) - 1.0).abs() < 1e-9);
        assert!((part(&[1.0, 2.0], &[1.0, 2.0]) - 0.5).abs() < 1e-9);
        assert!((part(&[0.0], &[1.0, 2.0])).abs() < 1e-9);
    }
}
