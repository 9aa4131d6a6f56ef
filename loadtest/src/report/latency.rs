//! A latency as figures and as the whole histogram behind them.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// How long something took: the usual figures in milliseconds, and the histogram they are taken from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// What was measured, in a word or two: `delivery`.
    pub name: String,
    /// From where to where, in a sentence.
    pub says: String,
    /// How many were measured.
    pub count: u64,
    /// The average, in milliseconds.
    pub mean_ms: f64,
    /// Half took at most this long, in milliseconds.
    pub p50_ms: f64,
    /// 90 of 100 did.
    pub p90_ms: f64,
    /// 95 of 100 did.
    pub p95_ms: f64,
    /// 99 of 100 did.
    pub p99_ms: f64,
    /// 999 of 1,000 did.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// The whole histogram, of microseconds: HdrHistogram V2, compressed, in Base64.
    pub histogram: String,
}

impl Latency {
    /// The figures of a histogram of microseconds.
    pub fn of(name: &str, says: &str, histogram: &Histogram<u64>) -> Self {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(histogram, &mut bytes)
            .expect("a histogram is always written to memory");
        let at = |quantile: f64| in_ms(histogram.value_at_quantile(quantile));
        Self {
            name: name.to_owned(),
            says: says.to_owned(),
            count: histogram.len(),
            // To the microsecond, as the others.
            mean_ms: histogram.mean().round() / 1_000.0,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: in_ms(histogram.max()),
            histogram: STANDARD.encode(bytes),
        }
    }

    /// The histogram, of microseconds.
    pub fn histogram(&self) -> anyhow::Result<Histogram<u64>> {
        let bytes = STANDARD
            .decode(&self.histogram)
            .context("read a histogram's Base64")?;
        Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .context("read a histogram")
    }
}

/// Microseconds as milliseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^52 microseconds are 142 years"
)]
pub(crate) fn in_ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_is_whole_after_writing_and_reading() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for us in 0..10_000 {
            histogram.record(us * us / 100).unwrap();
        }
        let latency = Latency::of("delivery", "from here to there", &histogram);
        assert_eq!(latency.histogram().unwrap(), histogram);
        assert!((latency.p50_ms - 250.0).abs() < 1.0, "{}", latency.p50_ms);
        assert_eq!(latency.count, 10_000);
    }
}
