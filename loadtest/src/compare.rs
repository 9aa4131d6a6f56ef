//! Compares two runs: regression, improvement, or noise.
//!
//! Both runs are taken second by second. A difference counts when it passes three questions: is it larger
//! than what the seconds of each run differ by themselves (a bootstrap of whole stretches of seconds, since
//! what is slow now is slow in the next second as well); do most seconds of one run lie beyond those of the
//! other (Mann–Whitney); and is it large enough to matter, because two runs of the same thing on one machine
//! differ by some per cent that no statistics within a run can know.

mod statistics;

use std::fmt;

use crate::report::{RunReport, Second, Status};
use crate::rng::Rng;
use statistics::{Interval, ratio_of_medians, superiority};

/// A smaller relative change counts as noise, whatever its significance.
pub const CHANGE_MIN: f64 = 0.05;
/// So is one of less than this, in milliseconds: below it one sees timers and schedulers, not the fleet.
const CHANGE_MIN_MS: f64 = 0.05;
/// A second of one run lies above one of the other at least this often when there is a change; half of the
/// time when there is none.
const SUPERIORITY_MIN: f64 = 0.64;
/// Fewer seconds give no result.
const SECONDS_MIN: usize = 10;
/// Seconds at the beginning that are not compared: caches and connections are still cold.
const WARM_UP_SECONDS: usize = 2;

/// The comparison of two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The metrics.
    pub rows: Vec<Row>,
    /// Settings that differ, so that one may not be the measure of the other: option, before, after.
    pub differences: Vec<(String, String, String)>,
    /// The regressions, in sentences.
    pub worse: Vec<String>,
}

/// The comparison of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The metric.
    pub name: &'static str,
    /// Its value over the first run, in milliseconds or a second.
    pub before: f64,
    /// Its value over the second run.
    pub after: f64,
    /// Its unit, as it is shown.
    pub unit: &'static str,
    /// The result.
    pub change: Delta,
}

/// The meaning of a difference, relative to the first run: 0.2 is a fifth more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Delta {
    /// Too few seconds for a result.
    Unknown,
    /// Nothing beyond noise; the true difference is likely between these.
    Noise(Interval),
    /// Better by so much, likely between these.
    Better(f64, Interval),
    /// Worse by so much, likely between these.
    Worse(f64, Interval),
}

/// A measure of a second, and which way is worse.
struct Metric {
    name: &'static str,
    unit: &'static str,
    more_is_worse: bool,
    of: fn(&Second) -> Option<f64>,
}

const MEASURES: [Metric; 3] = [
    Metric {
        name: "delivery p50",
        unit: "ms",
        more_is_worse: true,
        of: |second| second.p50_ms,
    },
    Metric {
        name: "delivery p99",
        unit: "ms",
        more_is_worse: true,
        of: |second| second.p99_ms,
    },
    Metric {
        name: "acknowledged",
        unit: "/s",
        more_is_worse: false,
        of: |second| (second.sent > 0).then(|| count(second.acked)),
    },
];

/// Compares two runs, the earlier first. Fails when one of them has no verdict, since then it has no figures.
pub fn compare(before: &RunReport, after: &RunReport) -> anyhow::Result<Comparison> {
    for (name, run) in [("first", before), ("second", after)] {
        anyhow::ensure!(
            run.status != Status::NoVerdict,
            "the {name} run has no verdict, so there is nothing to compare: {}",
            run.reasons.join("; ")
        );
    }
    let mut comparison = Comparison {
        rows: Vec::new(),
        differences: differences(before, after),
        worse: Vec::new(),
    };
    match (before.status, after.status) {
        (_, Status::Broken) => {
            let worse = "the second run broke a promise; how fast it was does not matter";
            comparison.worse.push(worse.to_owned());
            return Ok(comparison);
        }
        // What was fast and wrong is no measure for what is right.
        (Status::Broken, _) => return Ok(comparison),
        (Status::Met, Status::Missed) => {
            let missed = after.levels.iter().filter(|level| !level.met());
            let says = |level: &crate::report::Threshold| {
                format!("the second run missed a service level: {}", level.name)
            };
            comparison.worse.extend(missed.map(says));
        }
        _ => {}
    }
    for measure in &MEASURES {
        let row = row(measure, before, after);
        if let Some(row) = &row
            && let Delta::Worse(share, _) = row.change
        {
            let word = if measure.more_is_worse {
                "slower"
            } else {
                "less"
            };
            let worse = format!("{}: {word} by {}", row.name, percent(share.abs()));
            comparison.worse.push(worse);
        }
        comparison.rows.extend(row);
    }
    Ok(comparison)
}

impl Comparison {
    /// Whether the second run was worse than the first.
    pub fn is_regression(&self) -> bool {
        !self.worse.is_empty()
    }
}

fn row(measure: &Metric, before: &RunReport, after: &RunReport) -> Option<Row> {
    let seconds = |run: &RunReport| -> Vec<f64> {
        let loaded = run.seconds.iter().filter(|second| second.sent > 0);
        loaded
            .skip(WARM_UP_SECONDS)
            .filter_map(measure.of)
            .collect()
    };
    let (one, other) = (seconds(before), seconds(after));
    if one.is_empty() || other.is_empty() {
        return None;
    }
    Some(Row {
        name: measure.name,
        before: statistics::median(&one),
        after: statistics::median(&other),
        unit: measure.unit,
        change: change(measure, &one, &other),
    })
}

fn change(measure: &Metric, before: &[f64], after: &[f64]) -> Delta {
    if before.len().min(after.len()) < SECONDS_MIN {
        return Delta::Unknown;
    }
    let (one, other) = (statistics::median(before), statistics::median(after));
    if one <= 0.0 {
        return Delta::Unknown;
    }
    // The same question gets the same answer.
    let mut rng = Rng::new(0, 0);
    let ratio = ratio_of_medians(before, after, &mut rng);
    let likely = Interval {
        from: ratio.from - 1.0,
        to: ratio.to - 1.0,
    };
    let share = other / one - 1.0;
    let above = superiority(after, before);
    let beyond = if share > 0.0 {
        likely.from > 0.0 && above >= SUPERIORITY_MIN
    } else {
        likely.to < 0.0 && above <= 1.0 - SUPERIORITY_MIN
    };
    let matters =
        share.abs() >= CHANGE_MIN && (measure.unit != "ms" || (other - one).abs() >= CHANGE_MIN_MS);
    match (beyond && matters, (share > 0.0) == measure.more_is_worse) {
        (false, _) => Delta::Noise(likely),
        (true, true) => Delta::Worse(share, likely),
        (true, false) => Delta::Better(share, likely),
    }
}

/// Settings that shape the load and were not the same. (Where it ran and how long does not.)
fn differences(before: &RunReport, after: &RunReport) -> Vec<(String, String, String)> {
    let passed_over = ["url", "duration", "seed"];
    let value = |run: &RunReport, name: &str| {
        let setting = run.settings.iter().find(|setting| setting.name == name);
        setting.map_or("not given".to_owned(), |setting| setting.value.clone())
    };
    let mut names: Vec<&str> = Vec::new();
    for setting in before.settings.iter().chain(&after.settings) {
        if !names.contains(&setting.name.as_str()) && !passed_over.contains(&setting.name.as_str())
        {
            names.push(&setting.name);
        }
    }
    let pairs = names.into_iter().map(|name| {
        let (one, other) = (value(before, name), value(after, name));
        (name.to_owned(), one, other)
    });
    let mut differences: Vec<_> = pairs.filter(|(_, one, other)| one != other).collect();
    let machines = [before, after].map(|run| {
        let machine = &run.machine;
        format!(
            "{}, {} cores, {}",
            machine.processor, machine.cores, machine.system
        )
    });
    if machines[0] != machines[1] {
        let [one, other] = machines;
        differences.push(("machine".to_owned(), one, other));
    }
    differences
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, before, after) in &self.differences {
            writeln!(f, "not the same: {name} was {before}, then {after}")?;
        }
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        if self.worse.is_empty() {
            return writeln!(f, "NO WORSE");
        }
        for worse in &self.worse {
            writeln!(f, "{worse}")?;
        }
        writeln!(f, "WORSE")
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: f64| format!("{value:.2} {}", self.unit);
        let (before, after) = (value(self.before), value(self.after));
        let is_time = self.unit == "ms";
        let says = match self.change {
            Delta::Unknown => format!("too few seconds to say anything (at least {SECONDS_MIN})"),
            Delta::Noise(likely) => format!("no change beyond noise ({likely})"),
            Delta::Better(share, likely) => {
                let word = if is_time { "faster" } else { "more" };
                format!("{word} by {} ({likely})", percent(share.abs()))
            }
            Delta::Worse(share, likely) => {
                let word = if is_time { "slower" } else { "less" };
                format!("{word} by {} ({likely})", percent(share.abs()))
            }
        };
        write!(f, "{:<14} {before:>14} → {after:>14}   {says}", self.name)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = |share: f64| format!("{:+.0} %", share * 100.0);
        write!(f, "{} to {}", signed(self.from), signed(self.to))
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[expect(clippy::cast_precision_loss, reason = "messages in a second")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
