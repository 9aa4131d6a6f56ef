//! The promises of the wire contract in a sentence each, and what a run had to hold them against.

use super::format::count;
use roomcast_checker::{Checked, Verdict};

/// A promise, what was checked of it, and how often it was broken.
pub(super) struct Promise {
    pub(super) number: u8,
    pub(super) says: &'static str,
    /// What it was held against; nothing when the run had nothing to hold it against.
    pub(super) evidence: Option<String>,
    pub(super) broken: u64,
}

const PROMISES: [(u8, &str); 7] = [
    (1, "What is acknowledged is kept."),
    (2, "Everybody sees one order, live and later."),
    (3, "Nobody misses anything without being told."),
    (4, "What is sent again is stored once."),
    (5, "History and live are one sequence, at once."),
    (6, "Whatever is not done is refused by name."),
    (8, "Who has left, or did not ask, gets nothing."),
];

/// The verdict for each guarantee. (The seventh names what may be lost, so there is nothing to check.)
pub(super) fn judged(verdict: &Verdict) -> Vec<Promise> {
    let of = |(number, says): (u8, &'static str)| {
        let mine = verdict
            .violations
            .iter()
            .filter(|count| count.promise == number);
        Promise {
            number,
            says,
            evidence: evidence(number, &verdict.checked),
            broken: mine.map(|count| count.count).sum(),
        }
    };
    PROMISES.into_iter().map(of).collect()
}

fn evidence(promise: u8, checked: &Checked) -> Option<String> {
    let seen = |number: u64, words: String| (number > 0).then_some(words);
    match promise {
        1 => seen(
            checked.acknowledged,
            format!(
                "{} acknowledged messages looked for",
                count(checked.acknowledged)
            ),
        ),
        2 => seen(
            checked.deliveries + checked.page_events,
            format!(
                "{} events in {} rooms, seen {} times",
                count(checked.events),
                count(checked.rooms),
                count(checked.deliveries + checked.page_events)
            ),
        ),
        3 => seen(
            checked.subscriptions,
            format!(
                "{} subscriptions, {} of them resumed",
                count(checked.subscriptions),
                count(checked.resumes)
            ),
        ),
        4 => seen(
            checked.resends,
            format!("{} resends", count(checked.resends)),
        ),
        5 => seen(
            checked.page_events,
            format!(
                "{} events on {} pages, {} of {} rooms read from end to end",
                count(checked.page_events),
                count(checked.pages),
                count(checked.rooms_read_whole),
                count(checked.rooms)
            ),
        ),
        6 => seen(
            checked.sends,
            format!(
                "{} sends, {} of them refused, {} left open by a lost connection",
                count(checked.sends),
                count(checked.refused),
                count(checked.unconfirmed)
            ),
        ),
        _ => seen(
            checked.deliveries,
            format!("{} deliveries", count(checked.deliveries)),
        ),
    }
}
