//! The result of a run as a text table.

use crate::report::{RunReport, Status, Threshold, Unit};

/// Formats levels, latencies, guarantees and reasons for a terminal.
pub(crate) fn table(report: &RunReport) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    for level in &report.levels {
        let held = if level.met() { "met   " } else { "MISSED" };
        let sign = if level.at_least { "≥" } else { "≤" };
        let seen = level
            .seen
            .map_or("not measured".to_owned(), |seen| amount(seen, level));
        line(format!(
            "{held}  {:<40} {seen:>14}   {sign} {}",
            level.name,
            amount(level.bound, level)
        ));
    }
    for latency in &report.latencies {
        line(format!(
            "        {:<18} {:>9}   p50 {:>8.2} ms  p95 {:>8.2} ms  p99 {:>8.2} ms  max {:>8.2} ms",
            latency.name,
            latency.count,
            latency.p50_ms,
            latency.p95_ms,
            latency.p99_ms,
            latency.max_ms
        ));
    }
    for (name, count) in &report.errors {
        line(format!("        {count} × {name}"));
    }
    let checked = &report.promises.checked;
    line(format!(
        "checked {} sends, {} deliveries, {} resumes, {} events of history on {} connections",
        checked.sends,
        checked.deliveries,
        checked.resumes,
        checked.page_events,
        checked.connections
    ));
    if !report.promises.kept() {
        line(report.promises.to_string());
    }
    for reason in &report.reasons {
        line(reason.clone());
    }
    line(match report.status {
        Status::Met => "MET: every service level was met and every guarantee was kept".to_owned(),
        Status::Missed => {
            "MISSED: every guarantee was kept, and a service level was missed".to_owned()
        }
        Status::Broken => "BROKEN: a guarantee was violated, so there are no latencies".to_owned(),
        Status::NoVerdict => "NO VERDICT".to_owned(),
    });
    text
}

fn amount(number: f64, level: &Threshold) -> String {
    match level.unit {
        Unit::Ms => format!("{number:.2} ms"),
        Unit::S => format!("{number:.2} s"),
        Unit::Share => format!("{:.2} %", number * 100.0),
        Unit::Count | Unit::Bytes => format!("{number:.0}"),
        Unit::PerSecond => format!("{number:.1}/s"),
    }
}
