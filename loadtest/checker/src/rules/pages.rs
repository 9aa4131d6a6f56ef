//! Checks every page of history: it contains every event acknowledged before the request, once and in order, and
//! shows messages in their current state.

use std::collections::{HashMap, HashSet};

use crate::explain::{time, who};
use crate::findings::Findings;
use crate::history::PageQuery;
use crate::history::event::EventKind;
use crate::history::recording::PageRead;
use crate::result::{Checked, ViolationKind};
use crate::room::Room;
use crate::sends::Sends;
use crate::total_order::TotalOrder;

/// Checks every page of a room's history.
pub(crate) fn check(
    room: &Room<'_>,
    order: &TotalOrder,
    sends: &Sends,
    checked: &mut Checked,
    findings: &mut Findings,
) {
    let mut checker = HistoryChecker {
        room,
        order,
        sends,
        changes: changes(room, order),
        lost: HashSet::new(),
        findings,
    };
    for page in room.pages {
        checked.pages += 1;
        checked.page_events += page.events.len() as u64;
        let seqs = checker.check_bounds(page);
        checker.check_chain(page);
        checker.check_complete(page, &seqs);
        if !matches!(page.asked, PageQuery::After(_)) {
            checker.check_state(page);
        }
    }
    checked.rooms_read_whole += u64::from(read_whole(room));
}

/// An edit or deletion of a message.
#[derive(Clone, Copy)]
struct Change {
    known_us: u64,
    /// The new content; `None` for a deletion.
    content: Option<u64>,
}

struct HistoryChecker<'a> {
    room: &'a Room<'a>,
    order: &'a TotalOrder,
    sends: &'a Sends,
    /// The edits and deletions of each message, in order.
    changes: HashMap<u64, Vec<Change>>,
    /// Acknowledged seqs without an observation, reported once, not per page.
    lost: HashSet<u64>,
    findings: &'a mut Findings,
}

impl HistoryChecker<'_> {
    /// Checks a page against its query; returns its seqs, sorted.
    fn check_bounds(&mut self, page: &PageRead) -> Vec<u64> {
        let (above, below) = match page.asked {
            PageQuery::After(seq) => (Some(seq.get()), u64::MAX),
            PageQuery::Before(seq) => (None, seq.get()),
            PageQuery::Newest => (None, u64::MAX),
        };
        let mut seqs: Vec<u64> = Vec::with_capacity(page.events.len());
        for view in self.views(page) {
            let seq = self.room.view(view).seq;
            let rises = seqs.last().is_none_or(|last| *last < seq);
            if !rises || above.is_some_and(|above| seq <= above) || seq >= below {
                let expected = match seqs.last() {
                    Some(last) if !rises => format!("expected: a seq above {last}, before it"),
                    _ => "expected: only events within the query".to_owned(),
                };
                self.report_violation(ViolationKind::HistoryOrder, page, seq, Some(view), expected);
            }
            seqs.push(seq);
        }
        seqs.sort_unstable();
        seqs.dedup();
        seqs
    }

    /// Checks that a page of events has no gap in the `prev` chain.
    fn check_chain(&mut self, page: &PageRead) {
        let PageQuery::After(after) = page.asked else {
            return;
        };
        let mut last = after.get();
        for view in self.views(page) {
            let shown = self.room.view(view);
            let between = self.order.after(last);
            let known = self
                .order
                .events
                .get(between)
                .is_some_and(|event| event.seq < shown.seq);
            if shown.has_prev() && shown.prev > last && shown.prev < shown.seq && !known {
                let expected = format!(
                    "expected: seq {} before it; the last was {last}",
                    shown.prev
                );
                self.report_violation(ViolationKind::Gap, page, shown.seq, Some(view), expected);
            }
            last = last.max(shown.seq);
        }
    }

    /// Checks that the page contains all events between its bounds and, at the end of the room, all events known
    /// to be stored before the request.
    fn check_complete(&mut self, page: &PageRead, seqs: &[u64]) {
        let messages_only = !matches!(page.asked, PageQuery::After(_));
        let (from, until) = match page.asked {
            PageQuery::After(seq) => (seq.get(), u64::MAX),
            PageQuery::Before(seq) => (0, seq.get()),
            PageQuery::Newest => (0, u64::MAX),
        };
        let first = seqs.first().copied();
        let last = seqs.last().copied();
        let from = match first {
            Some(first) if messages_only && page.has_more_before => first - 1,
            None if messages_only && page.has_more_before => return,
            _ => from,
        };
        let at_the_end = !page.has_more_after || messages_only;
        let last = last.unwrap_or(from);
        for number in self.order.after(from)..self.order.events.len() {
            let event = self.order.events[number];
            if event.seq >= until || (event.seq > last && !at_the_end) {
                break;
            }
            let is_message = match event.view {
                Some(view) => self.room.view(view).kind == EventKind::Message,
                None => event
                    .send
                    .is_some_and(|send| self.sends.all[send].kind == EventKind::Message),
            };
            let due = event.seq < last || event.known_us < page.asked_us;
            if due
                && (is_message || !messages_only)
                && !event.doubtful
                && seqs.binary_search(&event.seq).is_err()
            {
                self.report_missing(page, number);
            }
        }
    }

    fn report_missing(&mut self, page: &PageRead, missing: usize) {
        let event = self.order.events[missing];
        let kind = if event.view.is_none() {
            if !self.lost.insert(event.seq) {
                return;
            }
            ViolationKind::AcknowledgedLost
        } else {
            ViolationKind::HistoryLacks
        };
        let expected = format!("expected: seq {} on it", event.seq);
        self.report_violation(kind, page, event.seq, None, expected);
    }

    /// Checks that messages are shown in a state at or after the request.
    fn check_state(&mut self, page: &PageRead) {
        for view in self.views(page) {
            let shown = self.room.view(view);
            let send = self
                .order
                .find(shown.seq)
                .and_then(|event| self.order.events[event].send);
            let Some(send) = send.map(|send| &self.sends.all[send]) else {
                continue;
            };
            let none = Vec::new();
            let changes = self.changes.get(&shown.subject).unwrap_or(&none);
            let known = changes
                .iter()
                .rposition(|change| change.known_us < page.asked_us);
            let state = (!shown.deleted).then_some(shown.content);
            let current = &changes[known.unwrap_or(0)..];
            let mut allowed = current.iter().map(|change| change.content);
            let edited = self.sends.edits(self.room, shown.subject, shown.content);
            let is_current = allowed.any(|content| content == state)
                || (known.is_none() && state == Some(send.content))
                || (state.is_none() && self.sends.deletes(self.room, shown.subject))
                || (state.is_some() && edited == Some(true));
            if is_current {
                continue;
            }
            let before = changes.iter().any(|change| change.content == state)
                || state == Some(send.content)
                || edited.is_some();
            let kind = if before {
                ViolationKind::StaleState
            } else {
                ViolationKind::ContentChanged
            };
            let expected = "expected: its content, or the latest edit, at the time of the request";
            self.report_violation(kind, page, shown.seq, Some(view), expected.to_owned());
        }
    }

    fn report_violation(
        &mut self,
        kind: ViolationKind,
        page: &PageRead,
        seq: u64,
        view: Option<usize>,
        expected: String,
    ) {
        let room = self.room;
        self.findings.add(kind, room.name(), seq, page.at_us, || {
            let mut lines = match self.order.find(seq) {
                Some(event) => room.describe_event(self.order, self.sends, event),
                None => Vec::new(),
            };
            let asked = match page.asked {
                PageQuery::After(seq) => format!("after {seq}"),
                PageQuery::Before(seq) => format!("before {seq}"),
                PageQuery::Newest => "the newest".to_owned(),
            };
            lines.push(format!(
                "{}: {} asked for the page {asked}, and got {} events, head {}",
                time(page.asked_us),
                who(room.recording, page.connection),
                page.events.len(),
                page.head,
            ));
            lines
                .extend(view.map(|view| format!("on it: seq {seq}, {}", room.describe_view(view))));
            lines.push(expected);
            lines
        });
    }

    fn views(&self, page: &PageRead) -> Vec<usize> {
        let views = &self.room.recording.page_views[page.events.clone()];
        views.iter().map(|view| *view as usize).collect()
    }
}

/// The edits and deletions of every message.
fn changes(room: &Room<'_>, order: &TotalOrder) -> HashMap<u64, Vec<Change>> {
    let mut changes: HashMap<u64, Vec<Change>> = HashMap::new();
    for event in &order.events {
        let Some(shown) = event.view.map(|view| room.view(view)) else {
            continue;
        };
        let content = match shown.kind {
            EventKind::MessageDeleted => None,
            EventKind::MessageEdited if shown.deleted => continue,
            EventKind::MessageEdited => Some(shown.content),
            _ => continue,
        };
        changes.entry(shown.subject).or_default().push(Change {
            known_us: event.known_us,
            content,
        });
    }
    changes
}

/// Whether a client read the whole history after all responses had arrived.
fn read_whole(room: &Room<'_>) -> bool {
    let answered = room.responses.iter().map(|response| response.at_us).max();
    let sent = room.attempts.iter().map(|attempt| attempt.at_us).max();
    let quiet_us = answered.max(sent).unwrap_or(0);
    let mut pages: Vec<(u64, u64, bool)> = Vec::new();
    for page in room.pages.iter().filter(|page| page.asked_us >= quiet_us) {
        let PageQuery::After(after) = page.asked else {
            continue;
        };
        let views = &room.recording.page_views[page.events.clone()];
        let last = views
            .last()
            .map_or(after.get(), |view| room.view(*view as usize).seq);
        pages.push((after.get(), last, !page.has_more_after));
    }
    pages.sort_unstable();
    let mut reach = 0;
    for (after, last, is_end) in pages {
        if after > reach {
            return false;
        }
        reach = reach.max(last);
        if is_end {
            return true;
        }
    }
    false
}
