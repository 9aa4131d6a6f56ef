//! The page's charts: latency over time and as a histogram, rates, connections.

use hdrhistogram::Histogram;

use crate::report::chart::{Axis, Chart, Series};
use crate::report::format::{count, ms, whole};
use crate::report::html::{details, table};
use crate::report::latency::{Latency, in_ms};
use crate::report::model::{RunReport, Second, Unit};

/// Points of a chart over time; a point of a longer run covers several seconds.
const COLUMNS_MAX: usize = 240;
/// Bars of the histogram per factor of ten.
const BARS_PER_DECADE: f64 = 10.0;

/// Seconds of a run, several to a column when there are many.
pub(super) struct Columns {
    width: u32,
    columns: Vec<Second>,
}

impl Columns {
    pub(super) fn of(seconds: &[Second]) -> Self {
        let width = seconds.len().div_ceil(COLUMNS_MAX).max(1);
        Self {
            width: u32::try_from(width).unwrap_or(u32::MAX),
            columns: seconds.chunks(width).map(merge).collect(),
        }
    }

    /// A chart of these lines over time; nothing for a run of less than two columns.
    fn chart(
        &self,
        label: &str,
        y: Axis,
        lines: Vec<Series>,
        bound: Option<(f64, String)>,
    ) -> String {
        let Some(last) = self.columns.last().filter(|_| self.columns.len() > 1) else {
            return String::new();
        };
        let end = f64::from(last.at + self.width);
        let mut x = Axis::linear(end, "seconds since the run began", whole);
        // Time ends with the run, not at a round number.
        x.max = end;
        x.ticks.retain(|(at, _)| *at <= end);
        let label = label.to_owned();
        Chart {
            label,
            x,
            y,
            lines,
            bars: Vec::new(),
            bound,
        }
        .svg()
    }

    fn line(
        &self,
        name: &'static str,
        class: &'static str,
        value: impl Fn(&Second) -> Option<f64>,
    ) -> Series {
        let middle = f64::from(self.width) / 2.0;
        let point = |one: &Second| (f64::from(one.at) + middle, value(one));
        Series {
            name,
            class,
            points: self.columns.iter().map(point).collect(),
        }
    }

    fn rate(&self, number: u64) -> f64 {
        as_f64(number) / f64::from(self.width)
    }

    fn max(&self, value: impl Fn(&Second) -> f64) -> f64 {
        self.columns.iter().map(value).fold(0.0, f64::max)
    }

    /// The figures behind all charts over time.
    pub(super) fn as_table(&self) -> String {
        let time = |value: Option<f64>| value.map_or("–".to_owned(), ms);
        let row = |one: &Second| {
            vec![
                one.at.to_string(),
                count(one.sent),
                count(one.acked),
                count(one.delivered),
                time(one.p50_ms),
                time(one.p99_ms),
                time(one.max_ms),
                count(one.connections),
                count(one.errors.values().sum()),
                ms(one.lag_max_ms),
            ]
        };
        let rows: Vec<_> = self.columns.iter().map(row).collect();
        let heads = [
            "second",
            "due",
            "acknowledged",
            "delivered",
            "p50",
            "p99",
            "maximum",
            "connections",
            "errors",
            "send lag",
        ];
        let caption = format!("The run over time, {} s per row", self.width);
        details("Figures over time", &table(&caption, &heads, &rows))
    }
}

/// Several seconds as one: sums of counts, the worst of latencies.
fn merge(seconds: &[Second]) -> Second {
    let worst =
        |value: fn(&Second) -> Option<f64>| seconds.iter().filter_map(value).max_by(f64::total_cmp);
    let connections = seconds.iter().map(|second| second.connections);
    let mut one = Second {
        at: seconds[0].at,
        p50_ms: worst(|second| second.p50_ms),
        p99_ms: worst(|second| second.p99_ms),
        max_ms: worst(|second| second.max_ms),
        connections: connections.max().unwrap_or_default(),
        lag_max_ms: worst(|second| Some(second.lag_max_ms)).unwrap_or_default(),
        ..Second::default()
    };
    for second in seconds {
        one.sent += second.sent;
        one.acked += second.acked;
        one.delivered += second.delivered;
        for (code, number) in &second.errors {
            *one.errors.entry(code.clone()).or_default() += number;
        }
    }
    one
}

/// Latency over time, its histogram, and the figures of the whole run; nothing without deliveries.
pub(super) fn latency(report: &RunReport, columns: &Columns) -> String {
    let Some(first) = report.latencies.first() else {
        return String::new();
    };
    let row = |latency: &Latency| {
        let figures = [
            latency.mean_ms,
            latency.p50_ms,
            latency.p90_ms,
            latency.p95_ms,
            latency.p99_ms,
            latency.p999_ms,
            latency.max_ms,
        ];
        let mut row = vec![
            format!("{}: {}", latency.name, latency.says),
            count(latency.count),
        ];
        row.extend(figures.map(ms));
        row
    };
    let heads = [
        "latency", "count", "mean", "p50", "p90", "p95", "p99", "p99.9", "maximum",
    ];
    let rows: Vec<_> = report.latencies.iter().map(row).collect();
    let figures = table("Latencies of the whole run", &heads, &rows);
    let histogram = first.histogram().ok().filter(|it| !it.is_empty());
    let histogram = histogram.map_or_else(String::new, |it| {
        format!(
            "<h2>Latency histogram</h2><p>Share of all {} per latency, on a logarithmic scale.</p>{}",
            first.name,
            bars(&it).svg()
        )
    });
    format!(
        "<section><h2>Latency over time</h2><p>Percentiles of delivery, second by second, on a logarithmic scale. \
         Profiles that disconnect clients include late deliveries here; the limit is checked without them.</p>\
         {}{figures}{histogram}</section>",
        over_time(report, columns)
    )
}

fn over_time(report: &RunReport, columns: &Columns) -> String {
    let seen = |value: fn(&Second) -> Option<f64>| columns.columns.iter().filter_map(value);
    let least = seen(|one| one.p50_ms).min_by(f64::total_cmp);
    let most = seen(|one| one.max_ms).max_by(f64::total_cmp);
    let (Some(least), Some(most)) = (least, most) else {
        return String::new();
    };
    let mut levels = report.levels.iter();
    let bound = levels.find(|level| level.unit == Unit::Ms && !level.at_least);
    let bound = bound.map(|level| (level.bound, format!("limit of p99: {}", ms(level.bound))));
    let top = bound.as_ref().map_or(most, |(bound, _)| most.max(*bound));
    let lines = vec![
        columns.line("maximum", "three", |one| one.max_ms),
        columns.line("p99", "one", |one| one.p99_ms),
        columns.line("p50", "two", |one| one.p50_ms),
    ];
    let label = format!(
        "Latency of deliveries over time; the maximum is {}.",
        ms(most)
    );
    columns.chart(&label, Axis::log(least, top, "", tick), lines, bound)
}

/// The histogram as bars; each shows the share of all values in a tenth of a factor of ten.
fn bars(histogram: &Histogram<u64>) -> Chart {
    let x = Axis::log(
        in_ms(histogram.min()),
        in_ms(histogram.max()),
        "latency",
        tick,
    );
    let edge = |number: usize| x.min * 10_f64.powf(as_f64(number as u64) / BARS_PER_DECADE);
    let mut counts: Vec<u64> = vec![0];
    // The values rise, so the bar of a value is the last one or a new one.
    for value in histogram.iter_recorded() {
        while edge(counts.len()) <= in_ms(value.value_iterated_to()) {
            counts.push(0);
        }
        *counts.last_mut().expect("one bar at least") += value.count_since_last_iteration();
    }
    let total = as_f64(histogram.len());
    let share =
        |(number, count): (usize, u64)| (edge(number), edge(number + 1), as_f64(count) / total);
    let bars: Vec<_> = counts.into_iter().enumerate().map(share).collect();
    let most = bars.iter().map(|(_, _, share)| *share).fold(0.0, f64::max);
    Chart {
        label: format!(
            "Histogram of latencies from {} to {}.",
            ms(in_ms(histogram.min())),
            ms(in_ms(histogram.max()))
        ),
        x,
        y: Axis::linear(most, "", |share| format!("{} %", whole(share * 100.0))),
        lines: Vec::new(),
        bars,
        bound: None,
    }
}

/// Messages and deliveries per second.
pub(super) fn rates(columns: &Columns) -> String {
    let most = columns.max(|one| columns.rate(one.sent.max(one.acked)));
    let messages = columns.chart(
        "Messages due and acknowledged per second, over time.",
        Axis::linear(most, "", whole),
        vec![
            columns.line("due", "two", |one| Some(columns.rate(one.sent))),
            columns.line("acknowledged", "one", |one| Some(columns.rate(one.acked))),
        ],
        None,
    );
    let most = columns.max(|one| columns.rate(one.delivered));
    let line = columns.line("delivered", "one", |one| Some(columns.rate(one.delivered)));
    let label = "Deliveries per second, over time.";
    messages + &columns.chart(label, Axis::linear(most, "", whole), vec![line], None)
}

/// Open connections at the end of each second.
pub(super) fn connections(columns: &Columns) -> String {
    let most = columns.max(|one| as_f64(one.connections));
    let line = columns.line("connections", "one", |one| Some(as_f64(one.connections)));
    let label = format!("Connections over time, at most {}.", whole(most));
    columns.chart(&label, Axis::linear(most, "", whole), vec![line], None)
}

fn tick(value: f64) -> String {
    if value >= 1_000.0 {
        format!("{} s", value / 1_000.0)
    } else {
        format!("{} ms", (value * 1_000.0).round() / 1_000.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are drawn, not added up")]
pub(super) fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_bars_hold_every_value_once_in_its_range() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        histogram.record_n(1_000, 30).unwrap();
        histogram.record_n(2_000, 60).unwrap();
        histogram.record_n(50_000, 10).unwrap();
        let bars = bars(&histogram).bars;
        let total: f64 = bars.iter().map(|(_, _, share)| share).sum();
        assert!((total - 1.0).abs() < 1e-9, "{bars:?}");
        let at = |ms: f64| {
            bars.iter()
                .find(|(from, to, _)| *from <= ms && ms < *to)
                .unwrap()
                .2
        };
        assert!(
            (at(2.0) - 0.6).abs() < 1e-9 && (at(50.0) - 0.1).abs() < 1e-9,
            "{bars:?}"
        );
        assert!(at(10.0) < 1e-9, "{bars:?}");
    }
}
