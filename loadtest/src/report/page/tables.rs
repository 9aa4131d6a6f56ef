//! The page's tables: levels, promises with their stories, errors, the load itself, settings and machine.

use std::fmt::Write as _;

use crate::report::format::{amount, bound, bytes, count, ms};
use crate::report::html::{details, escape, table};
use crate::report::model::RunReport;
use crate::report::promises;
use roomcast_checker::{Counterexample, Verdict};

/// The service levels.
pub(super) fn levels(report: &RunReport) -> String {
    let mut out = "<section><h2>Service levels</h2>".to_owned();
    if report.levels.is_empty() {
        return out + "<p>None were judged in this run.</p></section>";
    }
    out += "<p>What was asked of the fleet before the run, and what it did.</p>";
    let row = |level: &crate::report::Threshold| {
        vec![
            level.name.clone(),
            bound(level),
            level
                .seen
                .map_or("nothing seen".to_owned(), |seen| amount(seen, level.unit)),
            if level.met() {
                "✓ held"
            } else {
                "✕ missed"
            }
            .to_owned(),
        ]
    };
    let rows: Vec<_> = report.levels.iter().map(row).collect();
    let heads = ["level", "asked", "seen", "verdict"];
    out + &table("Service levels of this run", &heads, &rows) + "</section>"
}

/// The promises, what they were held against, and the stories of those that were broken.
pub(super) fn promises(verdict: &Verdict) -> String {
    let mut out = "<section><h2>Promises</h2><p>What every client sent, got and read, held against what the fleet \
                   promises. Speed does not matter here, only truth.</p>"
        .to_owned();
    let row = |promise: promises::Promise| {
        let judged = match (&promise.evidence, promise.broken) {
            (_, 1) => "✕ broken once".to_owned(),
            (_, 2..) => format!("✕ broken {} times", count(promise.broken)),
            (Some(_), 0) => "✓ kept".to_owned(),
            (None, 0) => "– not put to the test".to_owned(),
        };
        let evidence = promise
            .evidence
            .unwrap_or_else(|| "nothing of the kind happened".to_owned());
        vec![
            format!("{}. {}", promise.number, promise.says),
            evidence,
            judged,
        ]
    };
    let rows: Vec<_> = promises::judged(verdict).into_iter().map(row).collect();
    let heads = ["promise", "held against", "verdict"];
    out += &table("Promises and how they were kept", &heads, &rows);
    if !verdict.violations.is_empty() {
        let row = |one: &roomcast_checker::Count| {
            vec![
                one.kind.word().to_owned(),
                one.kind.says().to_owned(),
                one.promise.to_string(),
                count(one.count),
            ]
        };
        let rows: Vec<_> = verdict.violations.iter().map(row).collect();
        let heads = ["kind", "what happened", "promise", "how often"];
        out += &table("Violations by kind", &heads, &rows);
        out += "<h3>The smallest stories that show them</h3>";
        for (place, one) in verdict.stories.iter().enumerate() {
            out += &story(one, place < 3);
        }
    }
    out + "</section>"
}

fn story(story: &Counterexample, open: bool) -> String {
    let lines = story.lines.iter().fold(String::new(), |mut lines, line| {
        let _ = write!(lines, "<li>{}</li>", escape(line));
        lines
    });
    let more = match story.more {
        0 => String::new(),
        more => format!(
            "<p>And {} more like this at the same place.</p>",
            count(more)
        ),
    };
    format!(
        "<details class=\"story\"{}><summary><b>{}</b> in room {} at seq {}: {}</summary><ol>{lines}</ol>{more}</details>",
        if open { " open" } else { "" },
        story.kind.word(),
        escape(&story.room),
        story.seq,
        story.kind.says(),
    )
}

/// Refusals and failures by code.
pub(super) fn errors(report: &RunReport) -> String {
    let mut out = "<section><h2>Errors by code</h2>".to_owned();
    if report.errors.is_empty() {
        return out + "<p>Nothing was refused, and nothing failed.</p></section>";
    }
    out += "<p>Refusals and closed connections. A refusal that says so and is sent again breaks no promise.</p>";
    let row = |(code, number): (&String, &u64)| vec![code.clone(), count(*number)];
    let rows: Vec<_> = report.errors.iter().map(row).collect();
    out + &table("Errors by code", &["code", "how often"], &rows) + "</section>"
}

/// What the load itself cost.
pub(super) fn generator(report: &RunReport) -> String {
    let load = &report.generator;
    let cores = if load.load_seconds > 0.0 {
        load.cpu_seconds / load.load_seconds
    } else {
        0.0
    };
    let says = match &load.limited {
        Some(why) => format!(
            "<p class=\"reason\">The load itself was the limit, so there is no verdict: {}</p>",
            escape(why)
        ),
        None => "<p>It was not the limit: it sent on time and had processor time to spare.</p>"
            .to_owned(),
    };
    let rows = [
        ("worker processes", count(load.workers.into())),
        ("processor cores used, on average", format!("{cores:.2}")),
        ("memory at most", bytes(as_f64(load.memory_bytes))),
        (
            "half of the sends were late by at most",
            ms(load.lag_p50_ms),
        ),
        ("99 of 100 sends were late by at most", ms(load.lag_p99_ms)),
        ("the worst send was late by", ms(load.lag_max_ms)),
    ];
    format!(
        "<section><h2>The load itself</h2>{says}{}</section>",
        pairs(
            "What making the load cost",
            "measure",
            rows.map(|(name, value)| (name.to_owned(), value))
        )
    )
}

/// What was asked, and where it ran.
pub(super) fn run(report: &RunReport) -> String {
    let settings = report.settings.iter();
    let settings = settings.map(|setting| (setting.name.clone(), setting.value.clone()));
    let machine = &report.machine;
    let machine = [
        ("system", machine.system.clone()),
        ("processor", machine.processor.clone()),
        ("cores", count(machine.cores.into())),
        ("memory", bytes(as_f64(machine.memory_bytes))),
        (
            "open files a process may have",
            count(machine.descriptors_max),
        ),
    ];
    format!(
        "<section><h2>The run</h2><p>The same settings and the same seed make the same load again.</p>{}{}</section>",
        pairs("Settings", "option", settings),
        details(
            "The machine the load came from",
            &pairs(
                "Machine",
                "what",
                machine.map(|(name, value)| (name.to_owned(), value))
            )
        )
    )
}

fn pairs(caption: &str, head: &str, pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let rows: Vec<_> = pairs
        .into_iter()
        .map(|(name, value)| vec![name, value])
        .collect();
    table(caption, &[head, "value"], &rows)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
