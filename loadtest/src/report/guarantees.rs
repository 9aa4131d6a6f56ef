//! The guarantees of the wire contract, with the evidence and the violations of a run.

use super::format::count;
use roomcast_checker::{Checked, Verdict};

/// A guarantee, what was checked of it, and how often it was violated.
pub(super) struct Guarantee {
    pub(super) number: u8,
    pub(super) statement: &'static str,
    /// What was compared; `None` when the run had no evidence.
    pub(super) evidence: Option<String>,
    pub(super) violations: u64,
}

const GUARANTEES: [(u8, &str); 7] = [
    (1, "Acknowledged messages are kept."),
    (2, "All readers see one order, live and in history."),
    (3, "Subscribers have no silent gap."),
    (4, "A resend is stored once."),
    (5, "History and live events are one sequence."),
    (6, "Every refused operation is answered with an error code."),
    (8, "Removed or unsubscribed connections receive no events."),
];

/// The verdict for each guarantee. (The seventh names what may be lost, so there is nothing to check.)
pub(super) fn checked(verdict: &Verdict) -> Vec<Guarantee> {
    let of = |(number, statement): (u8, &'static str)| {
        let mine = verdict
            .violations
            .iter()
            .filter(|count| count.promise == number);
        Guarantee {
            number,
            statement,
            evidence: evidence(number, &verdict.checked),
            violations: mine.map(|count| count.count).sum(),
        }
    };
    GUARANTEES.into_iter().map(of).collect()
}

fn evidence(promise: u8, checked: &Checked) -> Option<String> {
    let seen = |number: u64, words: String| (number > 0).then_some(words);
    match promise {
        1 => seen(
            checked.acknowledged,
            format!("{} acknowledged messages", count(checked.acknowledged)),
        ),
        2 => seen(
            checked.deliveries + checked.page_events,
            format!(
                "{} events in {} rooms, observed {} times",
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
                "{} sends, {} of them refused, {} without an answer on a lost connection",
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
