//! The report as one page for people: no script, nothing fetched, readable by those who never saw one.

mod charts;
mod tables;

use std::fmt::Write as _;

use super::format::{count, ms};
use super::html::escape;
use super::model::{RunReport, Status};

/// The page's style; colours are named once for light and once for dark.
const STYLE: &str = include_str!("page/style.css");

/// The report as a page of HTML that stands alone.
pub fn html(report: &RunReport) -> String {
    let mut out = String::new();
    let title = format!(
        "Load test: {}, {}",
        report.profile.name,
        verdict_word(report.status)
    );
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{}</title><style>{STYLE}</style></head><body><main>",
        escape(&title)
    );
    out += &head(report);
    out += &tables::levels(report);
    out += &tables::promises(&report.promises);
    out += &charts::section(report);
    out += &tables::errors(report);
    out += &tables::generator(report);
    out += &tables::run(report);
    out += READING;
    let _ = write!(
        out,
        "<footer>loadtest {}, report layout {}</footer></main></body></html>",
        escape(&report.program),
        report.report
    );
    out
}

/// The verdict in a word or two.
pub(super) const fn verdict_word(status: Status) -> &'static str {
    match status {
        Status::Met => "met",
        Status::Missed => "missed",
        Status::Broken => "a promise was broken",
        Status::NoVerdict => "no verdict",
    }
}

/// What the verdict means, in a sentence.
const fn verdict_says(status: Status) -> &'static str {
    match status {
        Status::Met => "Every service level held, and every promise was kept.",
        Status::Missed => "Every promise was kept, but a service level was missed.",
        Status::Broken => {
            "Something was lost, doubled, out of order or made up. How fast that was does not matter, so there are no latencies here."
        }
        Status::NoVerdict => {
            "The run could not be made as asked, or what made the load was itself the limit. Its figures say nothing about the fleet."
        }
    }
}

fn head(report: &RunReport) -> String {
    let (class, mark) = match report.status {
        Status::Met => ("good", "✓"),
        Status::Missed => ("warn", "!"),
        Status::Broken => ("bad", "✕"),
        Status::NoVerdict => ("none", "?"),
    };
    let mut out = format!(
        "<header class=\"{class}\"><p class=\"kicker\">Load test of a Roomcast fleet · {}</p>\
         <h1><span class=\"mark\" aria-hidden=\"true\">{mark}</span>{}</h1><p class=\"lead\">{}</p>",
        escape(&report.began),
        capital(verdict_word(report.status)),
        verdict_says(report.status),
    );
    for reason in &report.reasons {
        let _ = write!(out, "<p class=\"reason\">{}</p>", escape(reason));
    }
    let _ = write!(
        out,
        "<p>Profile <b>{}</b>: {}.</p>{}</header>",
        escape(&report.profile.name),
        escape(&report.profile.says),
        tiles(report)
    );
    out
}

/// The few figures that most readers came for.
fn tiles(report: &RunReport) -> String {
    let checked = &report.promises.checked;
    let broken: u64 = report.promises.violations.iter().map(|one| one.count).sum();
    let connections = report.seconds.iter().map(|second| second.connections).max();
    let mut tiles: Vec<(String, &str, String)> = Vec::new();
    if let Some(first) = report.latencies.first() {
        tiles.push((
            ms(first.p99_ms),
            "99 of 100",
            format!("of all times of {} were at most this long", first.name),
        ));
        tiles.push((
            ms(first.p50_ms),
            "half",
            format!("of all times of {} were at most this long", first.name),
        ));
    }
    tiles.push((
        count(checked.deliveries),
        "deliveries",
        format!("of {} sends", count(checked.sends)),
    ));
    if let Some(connections) = connections {
        tiles.push((
            count(connections),
            "connections",
            "at once, at most".to_owned(),
        ));
    }
    tiles.push((
        count(broken),
        "violations",
        "of what the fleet promises".to_owned(),
    ));
    let mut out = "<dl class=\"tiles\">".to_owned();
    for (figure, name, says) in tiles {
        let _ = write!(
            out,
            "<div><dt>{name}</dt><dd><b>{figure}</b><span>{}</span></dd></div>",
            escape(&says)
        );
    }
    out + "</dl>"
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

/// How to read all this.
const READING: &str = "\
<section id=\"reading\"><h2>How to read this page</h2><dl class=\"words\">\
<dt>Latency</dt><dd>How long something took. For a delivery it counts from the moment the message was <em>due</em> to be \
sent until a member's connection had it. If the fleet is slow and the load falls behind, the waiting counts too: \
leaving it out is called coordinated omission and makes slow systems look fast.</dd>\
<dt>p50, p95, p99</dt><dd>Sort all latencies. Half of them are at or below p50, 95 of 100 below p95, 99 of 100 below \
p99. The average hides the slow ones; p99 is what a person who uses the product all day meets often.</dd>\
<dt>Percentile curve</dt><dd>All of these at once. Every step to the right looks at ten times rarer cases: 9 of 10, 99 \
of 100, 999 of 1,000. A flat line is a steady system; a cliff at the right is a few very slow cases.</dd>\
<dt>Service level</dt><dd>A bound that was set before the run. It held or it was missed.</dd>\
<dt>Promise</dt><dd>What the fleet says it never does: lose what it acknowledged, change the order, show something twice, \
leave a gap. Everything that every client of this run sent, got and read was written down and held against each \
other. One violation is too many.</dd>\
<dt>The load itself</dt><dd>The program that makes the load needs time as well. If it was late, or had no processor left, \
it measured itself; then there is no verdict.</dd>\
</dl></section>";
