//! The checker's result: counts of what was checked, violations, and a counterexample for each kind.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $name_text:literal, $promise:literal, $description:literal;)*) => {
        /// A kind of violation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum ViolationKind { $($(#[$doc])* $name,)* }

        impl ViolationKind {
            /// Every kind, ordered by guarantee.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $name_text,)* }
            }

            /// The number of the violated guarantee of the wire contract.
            pub const fn promise(self) -> u8 {
                match self { $(Self::$name => $promise,)* }
            }

            /// A description, without a full stop.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => $description,)* }
            }
        }
    };
}

kinds! {
    /// An acknowledged event was observed by no client.
    AcknowledgedLost = "acknowledged-lost", 1, "acknowledged, and observed by no client";
    /// An `ACK` names another seq or message than the event has.
    AcknowledgedOtherwise = "acknowledged-otherwise", 1, "the ACK names another seq or message than the event has";
    /// Every attempt was refused as not stored, and the event is in the room.
    RefusedButStored = "refused-but-stored", 1, "refused as not stored, and in the room";
    /// An event's content differs from what was sent.
    ContentChanged = "content-changed", 1, "its content differs from what was sent";
    /// Two events have one seq.
    OneSeqTwoEvents = "one-seq-two-events", 2, "readers observed different events at one seq";
    /// A subscription received an event after a later one.
    OutOfOrder = "out-of-order", 2, "delivered after an event that comes later in the room's order";
    /// The sends of one connection were stored in another order.
    SendersOrder = "senders-order", 2, "the sends of one connection are stored in another order";
    /// A page of history is not in order, or reaches beyond its bounds.
    HistoryOrder = "history-order", 2, "a page of history is out of order or out of its bounds";
    /// An event that no client sent.
    Invented = "invented", 2, "no client sent it";
    /// A subscriber lacks an event.
    NotDelivered = "not-delivered", 3, "a subscriber did not receive it";
    /// A `prev` names an event that no client observed.
    Gap = "gap", 3, "its prev names an event that was not delivered";
    /// A `prev` that would hide a gap.
    WrongPrev = "wrong-prev", 3, "its prev is not the event before it, which would hide a gap";
    /// An event came twice in one subscription.
    DeliveredTwice = "delivered-twice", 3, "delivered twice in one subscription";
    /// A resume repeated what the client already had.
    ReplayedTwice = "replayed-twice", 3, "a subscription delivered an event before its start";
    /// A resend was stored again.
    StoredTwice = "stored-twice", 4, "sent once, and in the room twice";
    /// A resend got another response than the first attempt.
    DuplicateDiffers = "duplicate-differs", 4, "a resend was answered with another seq or message than the first attempt";
    /// A resend was acknowledged as new.
    NotCalledDuplicate = "not-called-duplicate", 4, "two attempts of one send were both acknowledged as new";
    /// History lacks an event.
    HistoryLacks = "history-lacks", 5, "a page of history lacks it";
    /// A page of messages shows an old state.
    StaleState = "stale-state", 5, "a page shows a message in its state before an acknowledged edit or deletion";
    /// An attempt got no response.
    Unanswered = "unanswered", 6, "sent, and not answered on a connection that stayed open";
    /// An event was delivered after the removal of the user.
    AfterRemoval = "after-removal", 8, "delivered to a user who had left or was removed";
    /// An event was delivered without a subscription.
    NotSubscribed = "not-subscribed", 8, "delivered to a connection that was not subscribed";
}

/// Limit of counterexamples.
pub const COUNTEREXAMPLES_MAX: usize = 20;

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// How much was checked.
    pub checked: Checked,
    /// The number of violations per kind; other kinds are absent.
    pub violations: Vec<Count>,
    /// At most [`COUNTEREXAMPLES_MAX`], of each kind the earliest first.
    #[serde(rename = "stories")]
    pub counterexamples: Vec<Counterexample>,
}

/// The number of violations of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// The kind.
    pub kind: ViolationKind,
    /// The guarantee of the wire contract.
    pub promise: u8,
    /// The number; an event that ten readers lack counts ten times.
    pub count: u64,
}

/// One violation as a minimal counterexample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counterexample {
    /// The kind.
    pub kind: ViolationKind,
    /// The room.
    pub room: String,
    /// The seq.
    pub seq: u64,
    /// When it was observed, in microseconds of the run's clock.
    pub at_us: u64,
    /// Sends, responses, observations and the expectation, with times and gateways; one fact per line.
    pub lines: Vec<String>,
    /// Further violations of this kind at this seq.
    pub more: u64,
}

macro_rules! checked {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How much was checked.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct Checked { $($(#[$doc])* pub $name: u64,)* }

        impl Checked {
            /// Adds the counts of another thread.
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

checked! {
    /// Connections and readers of history.
    connections,
    /// Rooms with at least one record.
    rooms,
    /// Rooms whose history was read completely after the last send.
    rooms_read_whole,
    /// Logical sends, without resends.
    sends,
    /// Resends.
    resends,
    /// Logical sends that were acknowledged.
    acknowledged,
    /// Logical sends with every attempt refused.
    refused,
    /// Indeterminate logical sends: stored only if observed.
    unconfirmed,
    /// Events with at least one observation.
    events,
    /// Events delivered to subscriptions.
    deliveries,
    /// Subscriptions.
    subscriptions,
    /// Subscriptions that resumed and recovered.
    resumes,
    /// Subscriptions that resumed and did not recover.
    not_recovered,
    /// Pages of history.
    pages,
    /// Events on pages of history.
    page_events,
}

impl Verdict {
    /// Whether no violation was found.
    pub fn kept(&self) -> bool {
        self.violations.is_empty()
    }

    /// The number of violations of this kind.
    pub fn count(&self, kind: ViolationKind) -> u64 {
        let count = self.violations.iter().find(|count| count.kind == kind);
        count.map_or(0, |count| count.count)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for count in &self.violations {
            let (name, description) = (count.kind.as_str(), count.kind.description());
            writeln!(
                f,
                "{:>9} × {name} (promise {}): {description}",
                count.count, count.promise
            )?;
        }
        for counterexample in &self.counterexamples {
            writeln!(f)?;
            write!(f, "{counterexample}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, description) = (self.kind.as_str(), self.kind.description());
        writeln!(
            f,
            "{name} in room {} at seq {}: {description}",
            self.room, self.seq
        )?;
        for line in &self.lines {
            writeln!(f, "    {line}")?;
        }
        if self.more > 0 {
            writeln!(f, "    (and {} more at the same seq)", self.more)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_one_name_everywhere() {
        for kind in ViolationKind::ALL {
            let json = serde_json::to_string(kind).unwrap();
            assert_eq!(json, format!("\"{}\"", kind.as_str()));
            assert!((1..=8).contains(&kind.promise()));
        }
    }
}
