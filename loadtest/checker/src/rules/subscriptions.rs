//! Checks that each subscription received every event from its start to its end once, in order, and nothing
//! else.

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

/// Checks every subscription of a room.
pub(crate) fn check(
    room: &Room<'_>,
    order: &TotalOrder,
    sends: &Sends,
    checked: &mut Checked,
    findings: &mut Findings,
) {
    let mut checker = SubscriptionChecker {
        room,
        order,
        sends,
        lost: HashSet::new(),
        findings,
    };
    let is_leave = |view: &&usize| room.view(**view).kind == EventKind::MemberLeft;
    let anybody_left = room.views.iter().any(|view| is_leave(&view));
    for records in room
        .records
        .chunk_by(|one, other| one.connection == other.connection)
    {
        let connection = records[0].connection;
        let mut subscription: Option<Subscription> = None;
        let mut was_subscribed = false;
        for record in records {
            match room.recording.saw(record) {
                Observation::Delivered(view, shown) => {
                    checked.deliveries += 1;
                    match &mut subscription {
                        Some(subscription) => {
                            checker.delivered(subscription, record.at_us, view, shown);
                        }
                        None => checker.unsubscribed_delivery(
                            connection,
                            record.at_us,
                            view,
                            was_subscribed,
                        ),
                    }
                }
                Observation::Subscribed {
                    after,
                    head,
                    recovered,
                } => {
                    checker.end(subscription.take(), None);
                    checked.subscriptions += 1;
                    checked.resumes += u64::from(recovered && after.is_some());
                    checked.not_recovered += u64::from(!recovered);
                    let start = if recovered {
                        after.unwrap_or(head)
                    } else {
                        head
                    };
                    let mut new = Subscription::begin(order, connection, record.at_us, start);
                    if anybody_left {
                        new.removed_at = checker.removal(connection, head);
                    }
                    subscription = Some(new);
                    was_subscribed = true;
                }
                Observation::Unsubscribed => checker.end(subscription.take(), None),
            }
        }
        let ended = room.recording.connections[connection as usize].ended;
        checker.end(subscription, ended.map(|(_, end)| end));
    }
}

struct SubscriptionChecker<'a> {
    room: &'a Room<'a>,
    order: &'a TotalOrder,
    sends: &'a Sends,
    /// Acknowledged seqs without an observation, reported once, not per reader.
    lost: HashSet<u64>,
    findings: &'a mut Findings,
}

/// The state of a subscription at the current record.
struct Subscription {
    connection: u32,
    since_us: u64,
    /// It starts after this seq.
    start: u64,
    last: u64,
    last_us: u64,
    /// The index of the first event after `last`.
    next: usize,
    /// Indices of skipped events.
    missing: Vec<usize>,
    /// The seq of its user's removal, if that is after the start.
    removed_at: Option<u64>,
}

impl Subscription {
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
    /// The seq of the first removal of the connection's user after `head`.
    fn removal(&self, connection: u32, head: u64) -> Option<u64> {
        let user = fingerprint(self.room.recording.name(self.room.user(connection)));
        let later = &self.order.events[self.order.after(head)..];
        let leaves = |view: usize| {
            let shown = self.room.view(view);
            shown.kind == EventKind::MemberLeft && shown.subject == user
        };
        let left = later.iter().find(|event| event.view.is_some_and(leaves));
        left.map(|event| event.seq)
    }

    fn delivered(
        &mut self,
        subscription: &mut Subscription,
        at_us: u64,
        view: usize,
        shown: &View,
    ) {
        if let Some(left) = subscription.removed_at.filter(|left| shown.seq > *left) {
            let expected = format!("expected: nothing after its user's leaving at seq {left}");
            self.report_violation(
                ViolationKind::AfterRemoval,
                subscription,
                at_us,
                view,
                expected,
            );
            return;
        }
        if shown.seq <= subscription.last {
            self.check_repeat(subscription, at_us, view, shown.seq);
            return;
        }
        let skipped = subscription.missing.len();
        while let Some(event) = self.order.events.get(subscription.next) {
            if event.seq >= shown.seq {
                break;
            }
            if !event.doubtful {
                subscription.missing.push(subscription.next);
            }
            subscription.next += 1;
        }
        subscription.next = self.order.after(shown.seq).max(subscription.next);
        if shown.has_prev()
            && shown.prev > subscription.last
            && subscription.missing.len() == skipped
        {
            let expected = format!(
                "expected: seq {} before it, or a close, or recovered:false; the last was seq {}",
                shown.prev, subscription.last
            );
            self.report_violation(ViolationKind::Gap, subscription, at_us, view, expected);
        }
        (subscription.last, subscription.last_us) = (shown.seq, at_us);
    }

    /// Reports an event that is not after the last one.
    fn check_repeat(&mut self, subscription: &mut Subscription, at_us: u64, view: usize, seq: u64) {
        if seq <= subscription.start {
            let expected = format!(
                "expected: only what comes after seq {}, where it began",
                subscription.start
            );
            self.report_violation(
                ViolationKind::ReplayedTwice,
                subscription,
                at_us,
                view,
                expected,
            );
            return;
        }
        let event = self.order.find(seq);
        let missing = subscription
            .missing
            .iter()
            .position(|missing| Some(*missing) == event);
        if let Some(missing) = missing {
            subscription.missing.remove(missing);
            let expected = format!("expected: before seq {}", subscription.last);
            self.report_violation(
                ViolationKind::OutOfOrder,
                subscription,
                at_us,
                view,
                expected,
            );
        } else {
            let expected = "expected: once".to_owned();
            self.report_violation(
                ViolationKind::DeliveredTwice,
                subscription,
                at_us,
                view,
                expected,
            );
        }
    }

    fn report_violation(
        &mut self,
        kind: ViolationKind,
        subscription: &Subscription,
        at_us: u64,
        view: usize,
        expected: String,
    ) {
        let room = self.room;
        let seq = room.view(view).seq;
        self.findings.add(kind, room.name(), seq, at_us, || {
            let mut lines = match self.order.find(seq) {
                Some(event) => room.describe_event(self.order, self.sends, event),
                None => Vec::new(),
            };
            lines.push(describe_subscription(room, subscription));
            lines.push(format!(
                "{}: {} got seq {seq}, {}",
                time(at_us),
                who(room.recording, subscription.connection),
                room.describe_view(view),
            ));
            lines.push(expected);
            lines
        });
    }

    /// Reports an event on a connection without a subscription to the room.
    fn unsubscribed_delivery(
        &mut self,
        connection: u32,
        at_us: u64,
        view: usize,
        was_subscribed: bool,
    ) {
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
            let (who, described) = (who(room.recording, connection), room.describe_view(view));
            vec![
                format!("{}: {who} got seq {seq}, {described}", time(at_us)),
                expected.to_owned(),
            ]
        });
    }

    /// Ends a subscription and reports its missing events. If the connection stayed open until the end of the
    /// run, these include all events after the last delivery.
    fn end(&mut self, subscription: Option<Subscription>, end: Option<Disconnect>) {
        let Some(mut subscription) = subscription else {
            return;
        };
        if end == Some(Disconnect::Finished) {
            let rest = (subscription.next..).zip(&self.order.events[subscription.next..]);
            let until = subscription.removed_at.unwrap_or(u64::MAX);
            let due = rest.filter(|(_, event)| !event.doubtful && event.seq <= until);
            subscription.missing.extend(due.map(|(number, _)| number));
        }
        for missing in &subscription.missing {
            self.report_missing(&subscription, *missing);
        }
    }

    fn report_missing(&mut self, subscription: &Subscription, missing: usize) {
        let (room, event) = (self.room, self.order.events[missing]);
        if event.view.is_none() && !self.lost.insert(event.seq) {
            return;
        }
        let kind = if event.view.is_none() {
            ViolationKind::AcknowledgedLost
        } else {
            ViolationKind::NotDelivered
        };
        self.findings
            .add(kind, room.name(), event.seq, event.known_us, || {
                let mut lines = room.describe_event(self.order, self.sends, missing);
                lines.push(describe_subscription(room, subscription));
                lines.push(if subscription.last > event.seq {
                    format!(
                        "it went on to seq {} at {} without seq {}",
                        subscription.last,
                        time(subscription.last_us),
                        event.seq
                    )
                } else {
                    format!(
                        "its last event was seq {} at {}",
                        subscription.last,
                        time(subscription.last_us)
                    )
                });
                lines.push(ending(room.recording, subscription.connection));
                lines.push("expected: every event after its beginning, once".to_owned());
                lines
            });
    }
}

fn describe_subscription(room: &Room<'_>, subscription: &Subscription) -> String {
    format!(
        "{}: {} was subscribed, from seq {} on",
        time(subscription.since_us),
        who(room.recording, subscription.connection),
        subscription.start
    )
}
