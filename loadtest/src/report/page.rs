//! The report as an HTML page: a static template, tables, and charts drawn as SVG; no script, nothing fetched.

mod charts;

use std::fmt::Write as _;

use super::format::{amount, bound, bytes, count, ms};
use super::guarantees;
use super::html::{details, escape, table};
use super::model::{RunReport, Status};
use charts::Columns;

/// The page with `{{name}}` for every value.
const TEMPLATE: &str = include_str!("page.html");
/// Counterexamples that are open when the page is loaded.
const OPEN_VIOLATIONS: usize = 3;

/// The report as a page of HTML that stands alone.
pub fn html(report: &RunReport) -> String {
    let columns = Columns::of(&report.seconds);
    let (status, verdict, meaning) = verdict(report.status);
    let reasons = report.reasons.iter();
    let reasons: Vec<_> = reasons.map(|reason| escape(reason)).collect();
    // The speed of a run that broke a guarantee means nothing.
    let latency = match report.status {
        Status::Broken => String::new(),
        _ => charts::latency(report, &columns),
    };
    let limited = match &report.generator.limited {
        Some(why) => format!("It limited the run: {}", escape(why)),
        None => "It did not limit the run.".to_owned(),
    };
    fill(
        TEMPLATE,
        &[
            (
                "title",
                escape(&format!("Load test: {}, {verdict}", report.profile.name)),
            ),
            ("status", status.to_owned()),
            ("began", escape(&report.began)),
            ("verdict", verdict.to_owned()),
            ("meaning", meaning.to_owned()),
            ("reasons", reasons.join("<br>")),
            ("profile", escape(&report.profile.name)),
            ("profile-description", escape(&report.profile.says)),
            ("levels", levels(report)),
            ("guarantees", guarantees(report)),
            ("violations", violations(report)),
            ("latency", latency),
            ("rates", charts::rates(&columns)),
            ("limited", limited),
            ("connections", charts::connections(&columns)),
            ("generator", generator(report)),
            ("errors", errors(report)),
            ("settings", settings(report)),
            ("machine", machine(report)),
            ("seconds", columns.as_table()),
            ("program", escape(&report.program)),
            ("layout", report.report.to_string()),
        ],
    )
}

/// Replaces every `{{name}}` of the template. Values are not searched for names.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut parts = template.split("{{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").expect("a name ends with }}");
        let value = values.iter().find(|(known, _)| *known == name);
        out += &value.unwrap_or_else(|| panic!("no value for {name}")).1;
        out += rest;
    }
    out
}

/// Class, name and meaning of a status.
const fn verdict(status: Status) -> (&'static str, &'static str, &'static str) {
    match status {
        Status::Met => (
            "met",
            "✓ Met",
            "Every service level was met, and every guarantee was kept.",
        ),
        Status::Missed => (
            "missed",
            "! Missed",
            "Every guarantee was kept, and a service level was missed.",
        ),
        Status::Broken => (
            "broken",
            "✕ A guarantee was violated",
            "An event was lost, duplicated, out of order or invented. The page shows no latencies.",
        ),
        Status::NoVerdict => (
            "none",
            "? No verdict",
            "The run could not be made as requested, or the load generator limited it. Its figures do not describe the fleet.",
        ),
    }
}

fn levels(report: &RunReport) -> String {
    if report.levels.is_empty() {
        return "<p>None were checked in this run.</p>".to_owned();
    }
    let row = |level: &super::Threshold| {
        let seen = level.seen.map(|seen| amount(seen, level.unit));
        let mark = if level.met() { "✓ met" } else { "✕ missed" };
        vec![
            level.name.clone(),
            bound(level),
            seen.unwrap_or_else(|| "nothing measured".to_owned()),
            mark.to_owned(),
        ]
    };
    let rows: Vec<_> = report.levels.iter().map(row).collect();
    let heads = ["level", "limit", "measured", "result"];
    table("Service levels of this run", &heads, &rows)
}

fn guarantees(report: &RunReport) -> String {
    let row = |one: guarantees::Guarantee| {
        let result = match (&one.evidence, one.violations) {
            (Some(_), 0) => "✓ kept".to_owned(),
            (None, 0) => "– not tested".to_owned(),
            (_, times) => format!("✕ violated {} times", count(times)),
        };
        vec![
            format!("{}. {}", one.number, one.statement),
            one.evidence.unwrap_or_else(|| "no evidence".to_owned()),
            result,
        ]
    };
    let rows: Vec<_> = guarantees::checked(&report.promises)
        .into_iter()
        .map(row)
        .collect();
    let heads = ["guarantee", "evidence", "result"];
    table("Guarantees of the wire contract", &heads, &rows)
}

/// Violations by kind, and a counterexample of each.
fn violations(report: &RunReport) -> String {
    let verdict = &report.promises;
    if verdict.violations.is_empty() {
        return String::new();
    }
    let row = |one: &roomcast_checker::Count| {
        let (kind, says) = (
            one.kind.as_str().to_owned(),
            one.kind.description().to_owned(),
        );
        vec![kind, says, one.promise.to_string(), count(one.count)]
    };
    let rows: Vec<_> = verdict.violations.iter().map(row).collect();
    let heads = ["kind", "what happened", "guarantee", "count"];
    let mut out = table("Violations by kind", &heads, &rows);
    for (number, one) in verdict.counterexamples.iter().enumerate() {
        let open = if number < OPEN_VIOLATIONS {
            " open"
        } else {
            ""
        };
        let (kind, room, says) = (one.kind.as_str(), escape(&one.room), one.kind.description());
        let _ = write!(
            out,
            "<details class=\"violation\"{open}><summary><b>{kind}</b> in room {room} at seq {}: {says}</summary><ol>",
            one.seq
        );
        for line in &one.lines {
            let _ = write!(out, "<li>{}</li>", escape(line));
        }
        out += "</ol>";
        if one.more > 0 {
            let _ = write!(out, "<p>{} more at the same seq.</p>", count(one.more));
        }
        out += "</details>";
    }
    out
}

fn errors(report: &RunReport) -> String {
    if report.errors.is_empty() {
        return "<p>There were none.</p>".to_owned();
    }
    let errors = report.errors.iter();
    let errors = errors.map(|(code, number)| (code.clone(), count(*number)));
    pairs("Refusals and closed connections", ["code", "count"], errors)
}

fn generator(report: &RunReport) -> String {
    let load = &report.generator;
    let cores = if load.load_seconds > 0.0 {
        load.cpu_seconds / load.load_seconds
    } else {
        0.0
    };
    let rows = [
        ("worker processes", count(load.workers.into())),
        ("processor cores, average", format!("{cores:.2}")),
        ("memory, maximum", bytes(charts::as_f64(load.memory_bytes))),
        ("send lag, p50", ms(load.lag_p50_ms)),
        ("send lag, p99", ms(load.lag_p99_ms)),
        ("send lag, maximum", ms(load.lag_max_ms)),
    ];
    let rows = rows.map(|(name, value)| (name.to_owned(), value));
    pairs("Load generator", ["measure", "value"], rows)
}

fn settings(report: &RunReport) -> String {
    let settings = report.settings.iter();
    let settings = settings.map(|setting| (setting.name.clone(), setting.value.clone()));
    pairs("Settings", ["option", "value"], settings)
}

fn machine(report: &RunReport) -> String {
    let machine = &report.machine;
    let rows = [
        ("system", machine.system.clone()),
        ("processor", machine.processor.clone()),
        ("cores", count(machine.cores.into())),
        ("memory", bytes(charts::as_f64(machine.memory_bytes))),
        (
            "file descriptors per process",
            count(machine.descriptors_max),
        ),
    ];
    let rows = rows.map(|(name, value)| (name.to_owned(), value));
    let machine = pairs("Machine", ["part", "value"], rows);
    details("The machine of the load generator", &machine)
}

fn pairs(
    caption: &str,
    heads: [&str; 2],
    pairs: impl IntoIterator<Item = (String, String)>,
) -> String {
    let rows = pairs.into_iter().map(|(name, value)| vec![name, value]);
    table(caption, &heads, &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_values_are_not_searched_for_names() {
        let values = [("a", "{{b}}".to_owned()), ("b", "2".to_owned())];
        assert_eq!(fill("<{{a}}|{{b}}>", &values), "<{{b}}|2>");
    }
}
