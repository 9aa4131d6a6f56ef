//! The page's charts, each with a sentence on how to read it and the figures behind it as a table.

use hdrhistogram::Histogram;

use crate::report::chart::{Axis, Chart, Series};
use crate::report::format::{count, ms, whole};
use crate::report::html::{details, table};
use crate::report::latency::{Latency, in_ms};
use crate::report::model::{RunReport, Second, Status, Unit};

/// Columns of a chart over time; longer runs have several seconds in one.
const COLUMNS_MAX: usize = 240;
/// Of the lines of a chart, in their order; a run has no more latencies than these.
const CLASSES: [&str; 5] = ["one", "two", "three", "four", "five"];

/// All charts.
pub(super) fn section(report: &RunReport) -> String {
    let columns = Columns::of(&report.seconds);
    let mut out = String::new();
    // How fast it was while it broke a promise means nothing.
    if report.status != Status::Broken {
        out += &over_time(report, &columns);
        out += &percentiles(report);
    }
    if columns.columns.len() > 1 {
        out += &rates(&columns);
        out += &connections(&columns);
        out += &trouble(&columns);
        out += "<section>";
        out += &columns.as_table();
        out += "</section>";
    }
    out
}

/// Seconds, several to a column when there are many.
struct Columns {
    width: u32,
    columns: Vec<Second>,
}

impl Columns {
    fn of(seconds: &[Second]) -> Self {
        let width = seconds.len().div_ceil(COLUMNS_MAX).max(1);
        Self {
            width: u32::try_from(width).unwrap_or(u32::MAX),
            columns: seconds.chunks(width).map(together).collect(),
        }
    }

    fn last(&self) -> f64 {
        self.columns
            .last()
            .map_or(1.0, |last| f64::from(last.at + self.width))
    }

    fn x(&self) -> Axis {
        let mut axis = Axis::linear(self.last(), "seconds since the run began", whole);
        // Time ends where the run does, not at a round number.
        axis.max = self.last();
        axis.ticks.retain(|(at, _)| *at <= axis.max);
        axis
    }

    fn series(
        &self,
        name: &str,
        class: &'static str,
        value: impl Fn(&Second) -> Option<f64>,
    ) -> Series {
        let middle = f64::from(self.width) / 2.0;
        let point = |one: &Second| (f64::from(one.at) + middle, value(one));
        Series {
            name: name.to_owned(),
            class,
            points: self.columns.iter().map(point).collect(),
        }
    }

    fn hints(&self, words: impl Fn(&Second) -> String) -> Vec<(f64, f64, String)> {
        let hint = |one: &Second| {
            let (from, to) = (one.at, one.at + self.width);
            let when = if self.width == 1 {
                format!("second {from}")
            } else {
                format!("seconds {from} to {to}")
            };
            (
                f64::from(from),
                f64::from(to),
                format!("{when}: {}", words(one)),
            )
        };
        self.columns.iter().map(hint).collect()
    }

    fn rate(&self, number: u64) -> f64 {
        as_f64(number) / f64::from(self.width)
    }

    /// All charts over time as one table.
    fn as_table(&self) -> String {
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
            "longest",
            "connections",
            "errors",
            "load late by",
        ];
        let caption = format!("The run over time, {} s a row", self.width);
        details(
            "The charts over time as a table",
            &table(&caption, &heads, &rows),
        )
    }
}

/// Several seconds as one: sums of counts, the worst of latencies.
fn together(seconds: &[Second]) -> Second {
    let worst =
        |value: fn(&Second) -> Option<f64>| seconds.iter().filter_map(value).max_by(f64::total_cmp);
    let mut one = Second {
        at: seconds[0].at,
        p50_ms: worst(|second| second.p50_ms),
        p99_ms: worst(|second| second.p99_ms),
        max_ms: worst(|second| second.max_ms),
        connections: seconds
            .iter()
            .map(|second| second.connections)
            .max()
            .unwrap_or_default(),
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

fn over_time(report: &RunReport, columns: &Columns) -> String {
    let seen = |value: fn(&Second) -> Option<f64>| columns.columns.iter().filter_map(value);
    let (Some(least), Some(most)) = (
        seen(|one| one.p50_ms).min_by(f64::total_cmp),
        seen(|one| one.max_ms).max_by(f64::total_cmp),
    ) else {
        return String::new();
    };
    let bounds = level(report).into_iter().collect::<Vec<_>>();
    let most = bounds.iter().map(|(bound, _)| *bound).fold(most, f64::max);
    let chart = Chart {
        says: format!(
            "Latency of deliveries over time, on a logarithmic scale. The longest was {}.",
            ms(most)
        ),
        x: columns.x(),
        y: Axis::log(least, most, "", tick),
        series: vec![
            columns.series("longest", "three", |one| one.max_ms),
            columns.series("p99", "one", |one| one.p99_ms),
            columns.series("p50", "two", |one| one.p50_ms),
        ],
        bounds,
        hints: columns.hints(|one| match (one.p50_ms, one.p99_ms, one.max_ms) {
            (Some(p50), Some(p99), Some(max)) => {
                format!("p50 {}, p99 {}, longest {}", ms(p50), ms(p99), ms(max))
            }
            _ => "nothing was delivered".to_owned(),
        }),
    };
    // Where connections come and go by the run's own doing, the level is held against the first latency only.
    let late = match report.latencies.get(1) {
        Some(second) if second.name.starts_with("late ") => {
            " Late deliveries, to whoever was away when they were due, are in this chart, and are not judged by the bound."
        }
        _ => "",
    };
    format!(
        "<section><h2>Latency over time</h2><p>How long deliveries took, second by second. Half of them were faster \
         than p50, 99 of 100 faster than p99. Each line of the grid is ten times the one below it.{late}</p>{}</section>",
        chart.svg()
    )
}

/// The bound on p99 of deliveries, where there was one.
fn level(report: &RunReport) -> Option<(f64, String)> {
    let bound = report
        .levels
        .iter()
        .find(|level| level.unit == Unit::Ms && !level.at_least)?;
    Some((bound.bound, format!("p99 asked: {}", ms(bound.bound))))
}

/// How rare a case is, as a place on the axis: 0 for all, 1 for one in ten, 2 for one in a hundred.
fn percentiles(report: &RunReport) -> String {
    let mut series = Vec::new();
    let (mut rarest, mut least, mut most): (f64, f64, f64) = (1.0, f64::MAX, 0.0);
    let mut rows = Vec::new();
    for (latency, class) in report.latencies.iter().zip(CLASSES) {
        let Ok(histogram) = latency.histogram() else {
            continue;
        };
        if histogram.is_empty() {
            continue;
        }
        let points = curve(&histogram);
        rarest = points.last().map_or(rarest, |(x, _)| rarest.max(*x));
        (least, most) = (least.min(latency.p50_ms), most.max(latency.max_ms));
        let points = points.into_iter().map(|(x, y)| (x, Some(y))).collect();
        series.push(Series {
            name: latency.name.clone(),
            class,
            points,
        });
        rows.push(figures(latency));
    }
    if series.is_empty() {
        return String::new();
    }
    let names = [
        "all",
        "9 of 10",
        "99 of 100",
        "99.9 %",
        "99.99 %",
        "99.999 %",
        "99.9999 %",
    ];
    let chart = Chart {
        says: "How long the fastest part of all cases took at most, from all cases to the rarest."
            .to_owned(),
        x: Axis {
            scale: crate::report::chart::Scale::Linear,
            min: 0.0,
            max: rarest,
            ticks: (0..7_u32)
                .map(f64::from)
                .zip(names.map(str::to_owned))
                .filter(|(at, _)| *at <= rarest)
                .collect(),
            name: "this part of all cases was at least as fast".to_owned(),
        },
        y: Axis::log(least, most, "", tick),
        series,
        bounds: level(report).into_iter().collect(),
        hints: Vec::new(),
    };
    let heads = [
        "what", "count", "mean", "p50", "p90", "p95", "p99", "p99.9", "longest",
    ];
    format!(
        "<section><h2>Percentiles</h2><p>Read it from below: 99 of 100 cases were at least as fast as the height of the \
         line there. Every step to the right looks at ten times rarer cases, and each line of the grid is ten times the \
         one below it.</p>{}{}</section>",
        chart.svg(),
        table("Latencies of the whole run", &heads, &rows)
    )
}

/// A latency as a row of figures.
fn figures(latency: &Latency) -> Vec<String> {
    let mut row = vec![
        format!("{}: {}", latency.name, latency.says),
        count(latency.count),
    ];
    row.extend([
        ms(latency.mean_ms),
        ms(latency.p50_ms),
        ms(latency.p90_ms),
        ms(latency.p95_ms),
        ms(latency.p99_ms),
        ms(latency.p999_ms),
        ms(latency.max_ms),
    ]);
    row
}

/// The latency, in milliseconds, at every tenth of a step towards rarer cases, as far as there were so many.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let rarest = as_f64(histogram.len()).log10().min(6.0);
    let mut points = Vec::new();
    let mut at = 0.0;
    while at < rarest {
        let quantile = 1.0 - 10_f64.powf(-at);
        points.push((at, in_ms(histogram.value_at_quantile(quantile))));
        at += 0.05;
    }
    points.push((rarest.max(0.05), in_ms(histogram.max())));
    points
}

fn rates(columns: &Columns) -> String {
    let most = |value: fn(&Second) -> u64| {
        columns
            .columns
            .iter()
            .map(|one| columns.rate(value(one)))
            .fold(0.0, f64::max)
    };
    let sends = Chart {
        says: "Messages due and acknowledged a second, over time.".to_owned(),
        x: columns.x(),
        y: Axis::linear(most(|one| one.sent.max(one.acked)), "", whole),
        series: vec![
            columns.series("due", "two", |one| Some(columns.rate(one.sent))),
            columns.series("acked", "one", |one| Some(columns.rate(one.acked))),
        ],
        bounds: Vec::new(),
        hints: columns
            .hints(|one| format!("{} due, {} acknowledged", count(one.sent), count(one.acked))),
    };
    let deliveries = Chart {
        says: "Deliveries a second, over time.".to_owned(),
        x: columns.x(),
        y: Axis::linear(most(|one| one.delivered), "", whole),
        series: vec![columns.series("delivered", "one", |one| Some(columns.rate(one.delivered)))],
        bounds: Vec::new(),
        hints: columns.hints(|one| format!("{} delivered", count(one.delivered))),
    };
    format!(
        "<section><h2>Messages a second</h2><p>Messages that were due to be sent, and those the fleet said it keeps. \
         The two lines should lie on each other.</p>{}\
         <h3>Deliveries a second</h3><p>Each message counts once for every connection that got it.</p>{}</section>",
        sends.svg(),
        deliveries.svg()
    )
}

fn connections(columns: &Columns) -> String {
    let most = columns
        .columns
        .iter()
        .map(|one| one.connections)
        .max()
        .unwrap_or_default();
    let chart = Chart {
        says: format!("Connections over time, at most {}.", count(most)),
        x: columns.x(),
        y: Axis::linear(as_f64(most), "", whole),
        series: vec![columns.series("connections", "one", |one| Some(as_f64(one.connections)))],
        bounds: Vec::new(),
        hints: columns.hints(|one| format!("{} connections", count(one.connections))),
    };
    format!(
        "<section><h2>Connections</h2><p>WebSockets that stood at the end of each second.</p>{}</section>",
        chart.svg()
    )
}

/// Errors, and how late the load itself was.
fn trouble(columns: &Columns) -> String {
    let errors = |one: &Second| one.errors.values().sum::<u64>();
    let most = columns.columns.iter().map(errors).max().unwrap_or_default();
    let mut out = "<section><h2>Errors over time</h2>".to_owned();
    if most == 0 {
        out += "<p>There were none.</p></section>";
        return out;
    }
    let chart = Chart {
        says: format!("Errors over time, at most {} in a column.", count(most)),
        x: columns.x(),
        y: Axis::linear(as_f64(most), "", whole),
        series: vec![columns.series("errors", "four", |one| Some(as_f64(errors(one))))],
        bounds: Vec::new(),
        hints: columns.hints(|one| {
            let codes = one.errors.iter();
            let codes: Vec<_> = codes
                .map(|(code, number)| format!("{number} × {code}"))
                .collect();
            if codes.is_empty() {
                "no errors".to_owned()
            } else {
                codes.join(", ")
            }
        }),
    };
    out += "<p>Refusals and closed connections; their codes are in the table below.</p>";
    out + &chart.svg() + "</section>"
}

fn tick(value: f64) -> String {
    if value >= 1_000.0 {
        format!("{} s", value / 1_000.0)
    } else if value == 0.0 {
        "0".to_owned()
    } else {
        format!("{} ms", (value * 1_000.0).round() / 1_000.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are drawn, not added up")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
