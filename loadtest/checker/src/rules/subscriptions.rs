//! Holds what each subscription was shown against the room's order: from its beginning to its end every
//! event, once, in order, and nothing beside.

use std::collections::HashSet;

use crate::explain::{ending, time, who};
use crate::findings::Findings;
use crate::history::Disconnect;
use crate::history::event::{EventKind, View, fingerprint};
use crate::history::recording::Observation;
use crate::result::{Checked, ViolationKind};
use crate::room::Room;
use crate::sends::Sends;
use crate::total_order::TotalOrder;

/// Judges every subscription of a room.
pub(crate) fn check(
    room: &Room<'_>,
    order: &TotalOrder,
    speech: &Sends,
    checked: &mut Checked,
    findings: &mut Findings,
) {
    let mut judge = SubscriptionChecker {
        room,
        order,
        speech,
        lost: HashSet::new(),
        findings,
    };
    let is_leave = |view: &&usize| room.view(**view).kind == EventKind::MemberLeft;
    let anybody_left = room.views.iter().any(|view| is_leave(&view));
    for entries in room
        .entries
        .chunk_by(|one, other| one.connection == other.connection)
    {
        let connection = entries[0].connection;
        let mut span: Option<Span> = None;
        let mut was_subscribed = false;
        for entry in entries {
            match room.recording.saw(entry) {
                Observation::Delivered(view, shown) => {
                    checked.deliveries += 1;
                    match &mut span {
                        Some(span) => judge.delivered(span, entry.at_us, view, shown),
                        None => judge.uninvited(connection, entry.at_us, view, was_subscribed),
                    }
                }
                Observation::Subscribed {
                    after,
                    head,
                    recovered,
                } => {
                    judge.end(span.take(), None);
                    checked.subscriptions += 1;
                    checked.resumes += u64::from(recovered && after.is_some());
                    checked.not_recovered += u64::from(!recovered);
                    let start = if recovered {
                        after.unwrap_or(head)
                    } else {
                        head
                    };
                    let mut new = Span::begin(order, connection, entry.at_us, start);
                    if anybody_left {
                        new.removed_at = judge.removal(connection, head);
                    }
                    span = Some(new);
                    was_subscribed = true;
                }
                Observation::Unsubscribed => judge.end(span.take(), None),
            }
        }
        let ended = room.recording.connections[connection as usize].ended;
        judge.end(span, ended.map(|(_, end)| end));
    }
}

struct SubscriptionChecker<'a> {
    room: &'a Room<'a>,
    order: &'a TotalOrder,
    speech: &'a Sends,
    /// Acknowledged seqs without an observation, reported once and not for every reader.
    lost: HashSet<u64>,
    findings: &'a mut Findings,
}

/// A subscription while it is gone through.
struct Span {
    connection: u32,
    since_us: u64,
    /// It begins after this place.
    start: u64,
    last: u64,
    last_us: u64,
    /// The number of the first place after `last`.
    next: usize,
    /// Numbers of places passed over.
    missing: Vec<usize>,
    /// The place of its user's leaving, when that is yet to come live.
    removed_at: Option<u64>,
}

impl Span {
    fn begin(order: &TotalOrder, connection: u32, since_us: u64, start: u64) -> Self {
        Self {
            connection,
            since_us,
            start,
            last: start,
            last_us: since_us,
            next: order.after(start),
            missing: Vec::new(),
            removed_at: None,
        }
    }
}

impl SubscriptionChecker<'_> {
    /// The first leaving of the connection's user after `head`.
    fn removal(&self, connection: u32, head: u64) -> Option<u64> {
        let user = fingerprint(self.room.recording.name(self.room.user(connection)));
        let later = &self.order.places[self.order.after(head)..];
        let leaves = |view: usize| {
            let shown = self.room.view(view);
            shown.kind == EventKind::MemberLeft && shown.subject == user
        };
        let left = later.iter().find(|place| place.view.is_some_and(leaves));
        left.map(|place| place.seq)
    }

    fn delivered(&mut self, span: &mut Span, at_us: u64, view: usize, shown: &View) {
        if let Some(left) = span.removed_at.filter(|left| shown.seq > *left) {
            let expected = format!("expected: nothing after its user's leaving at seq {left}");
            self.report_violation(ViolationKind::AfterRemoval, span, at_us, view, expected);
            return;
        }
        if shown.seq <= span.last {
            self.went_back(span, at_us, view, shown.seq);
            return;
        }
        let skipped = span.missing.len();
        while let Some(place) = self.order.places.get(span.next) {
            if place.seq >= shown.seq {
                break;
            }
            if !place.doubtful {
                span.missing.push(span.next);
            }
            span.next += 1;
        }
        span.next = self.order.after(shown.seq).max(span.next);
        if shown.has_prev() && shown.prev > span.last && span.missing.len() == skipped {
            let expected = format!(
                "expected: seq {} before it, or a close, or recovered:false; the last was seq {}",
                shown.prev, span.last
            );
            self.report_violation(ViolationKind::Gap, span, at_us, view, expected);
        }
        (span.last, span.last_us) = (shown.seq, at_us);
    }

    /// An event that is not after the last one.
    fn went_back(&mut self, span: &mut Span, at_us: u64, view: usize, seq: u64) {
        if seq <= span.start {
            let expected = format!(
                "expected: only what comes after seq {}, where it began",
                span.start
            );
            self.report_violation(ViolationKind::ReplayedTwice, span, at_us, view, expected);
            return;
        }
        let place = self.order.find(seq);
        let missing = span
            .missing
            .iter()
            .position(|missing| Some(*missing) == place);
        if let Some(missing) = missing {
            span.missing.remove(missing);
            let expected = format!("expected: before seq {}", span.last);
            self.report_violation(ViolationKind::OutOfOrder, span, at_us, view, expected);
        } else {
            let expected = "expected: once".to_owned();
            self.report_violation(ViolationKind::DeliveredTwice, span, at_us, view, expected);
        }
    }

    fn report_violation(
        &mut self,
        kind: ViolationKind,
        span: &Span,
        at_us: u64,
        view: usize,
        expected: String,
    ) {
        let room = self.room;
        let seq = room.view(view).seq;
        self.findings.add(kind, room.name(), seq, at_us, || {
            let mut lines = match self.order.find(seq) {
                Some(place) => room.tell_place(self.order, self.speech, place),
                None => Vec::new(),
            };
            lines.push(tell_span(room, span));
            lines.push(format!(
                "{}: {} got seq {seq}, {}",
                time(at_us),
                who(room.recording, span.connection),
                room.tell_view(view),
            ));
            lines.push(expected);
            lines
        });
    }

    /// An event on a connection that has no subscription to the room.
    fn uninvited(&mut self, connection: u32, at_us: u64, view: usize, was_subscribed: bool) {
        let room = self.room;
        let kind = if was_subscribed {
            ViolationKind::AfterRemoval
        } else {
            ViolationKind::NotSubscribed
        };
        let seq = room.view(view).seq;
        self.findings.add(kind, room.name(), seq, at_us, || {
            let expected = if was_subscribed {
                "expected: nothing after UNSUBSCRIBED"
            } else {
                "expected: nothing, since it had not subscribed"
            };
            let (who, told) = (who(room.recording, connection), room.tell_view(view));
            vec![
                format!("{}: {who} got seq {seq}, {told}", time(at_us)),
                expected.to_owned(),
            ]
        });
    }

    /// Ends a subscription and reports what it lacks. Where the connection was still open when everything had had
    /// its time, that is also whatever came after the last event it got.
    fn end(&mut self, span: Option<Span>, end: Option<Disconnect>) {
        let Some(mut span) = span else { return };
        if end == Some(Disconnect::Finished) {
            let rest = (span.next..).zip(&self.order.places[span.next..]);
            let until = span.removed_at.unwrap_or(u64::MAX);
            let due = rest.filter(|(_, place)| !place.doubtful && place.seq <= until);
            span.missing.extend(due.map(|(number, _)| number));
        }
        for missing in &span.missing {
            self.lacks(&span, *missing);
        }
    }

    fn lacks(&mut self, span: &Span, missing: usize) {
        let (room, place) = (self.room, self.order.places[missing]);
        if place.view.is_none() && !self.lost.insert(place.seq) {
            return;
        }
        let kind = if place.view.is_none() {
            ViolationKind::AcknowledgedLost
        } else {
            ViolationKind::NotDelivered
        };
        self.findings
            .add(kind, room.name(), place.seq, place.known_us, || {
                let mut lines = room.tell_place(self.order, self.speech, missing);
                lines.push(tell_span(room, span));
                lines.push(if span.last > place.seq {
                    format!(
                        "it went on to seq {} at {} without seq {}",
                        span.last,
                        time(span.last_us),
                        place.seq
                    )
                } else {
                    format!(
                        "its last event was seq {} at {}",
                        span.last,
                        time(span.last_us)
                    )
                });
                lines.push(ending(room.recording, span.connection));
                lines.push("expected: every event after its beginning, once".to_owned());
                lines
            });
    }
}

fn tell_span(room: &Room<'_>, span: &Span) -> String {
    format!(
        "{}: {} was subscribed, from seq {} on",
        time(span.since_us),
        who(room.recording, span.connection),
        span.start
    )
}
