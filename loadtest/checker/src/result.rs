//! The checker's result: counts of what was checked, violations, and a counterexample for each kind.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $name_text:literal, $promise:literal, $description:literal;)*) => {
        /// How a promise can be broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum ViolationKind { $($(#[$doc])* $name,)* }

        impl ViolationKind {
            /// Every kind, by promise.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $name_text,)* }
            }

            /// The promise of the wire contract that it breaks.
            pub const fn promise(self) -> u8 {
                match self { $(Self::$name => $promise,)* }
            }

            /// What happened, in a sentence without an end.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => $description,)* }
            }
        }
    };
}

kinds! {
    /// An acknowledged event was observed by no client.
    AcknowledgedLost = "acknowledged-lost", 1, "acknowledged, and then seen by nobody";
    /// An `ACK` names another place or message than the event has.
    AcknowledgedOtherwise = "acknowledged-otherwise", 1, "the ACK names another place or message than the event has";
    /// Every try was refused as not stored, and it is in the room.
    RefusedButStored = "refused-but-stored", 1, "refused as not stored, and yet in the room";
    /// An event's content differs from what was sent.
    ContentChanged = "content-changed", 1, "it says something else than what was sent";
    /// Two events have one place.
    OneSeqTwoEvents = "one-seq-two-events", 2, "readers were shown different events at one place";
    /// A subscription went back.
    OutOfOrder = "out-of-order", 2, "delivered after an event that comes later in the room's order";
    /// What one connection sent was not kept in its order.
    SendersOrder = "senders-order", 2, "one connection's sends stand in another order than it sent them";
    /// A page of history is not in order, or reaches beyond its bounds.
    HistoryOrder = "history-order", 2, "a page of history is out of order or out of its bounds";
    /// An event that no client sent.
    Invented = "invented", 2, "nobody sent it";
    /// A subscriber lacks an event.
    NotDelivered = "not-delivered", 3, "a subscriber never got it";
    /// A `prev` names an event that no client observed.
    Gap = "gap", 3, "the chain names an event before it that never came";
    /// A `prev` that would hide a gap.
    WrongPrev = "wrong-prev", 3, "its prev is not the event before it, so a gap would not show";
    /// An event came twice in one subscription.
    DeliveredTwice = "delivered-twice", 3, "it came twice in one subscription";
    /// A resume repeated what the client already had.
    ReplayedTwice = "replayed-twice", 3, "a subscription brought what lies before its beginning";
    /// A resend was stored again.
    StoredTwice = "stored-twice", 4, "said once, and in the room twice";
    /// A resend got another answer than the first try.
    DuplicateDiffers = "duplicate-differs", 4, "a resend was answered with another place or message than the first";
    /// A resend was acknowledged as new.
    NotCalledDuplicate = "not-called-duplicate", 4, "two tries of one send were both acknowledged as the first";
    /// History lacks an event.
    HistoryLacks = "history-lacks", 5, "a page of history lacks it";
    /// A page of messages shows an old state.
    StaleState = "stale-state", 5, "a page shows a message as it was before an acknowledged edit or delete";
    /// A try got no answer.
    Unanswered = "unanswered", 6, "sent, and never answered on a connection that stayed";
    /// An event came after one's removal.
    AfterRemoval = "after-removal", 8, "delivered to somebody who had left or was removed";
    /// An event came without a subscription.
    NotSubscribed = "not-subscribed", 8, "delivered to a connection that was not subscribed";
}

/// Limit of counterexamples.
pub const COUNTEREXAMPLES_MAX: usize = 20;

/// What the checker found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// How much there was to check.
    pub checked: Checked,
    /// How often each kind was found; kinds that were not are absent.
    pub violations: Vec<Count>,
    /// At most [`COUNTEREXAMPLES_MAX`], of each kind the earliest first.
    #[serde(rename = "stories")]
    pub counterexamples: Vec<Counterexample>,
}

/// How often a promise was broken in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// In which way.
    pub kind: ViolationKind,
    /// Which promise of the wire contract.
    pub promise: u8,
    /// How often; an event that ten readers lack counts ten times.
    pub count: u64,
}

/// One violation as a minimal counterexample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counterexample {
    /// What kind it is.
    pub kind: ViolationKind,
    /// Where.
    pub room: String,
    /// At which place of the room's order.
    pub seq: u64,
    /// When it was seen, in microseconds of the run's clock.
    pub at_us: u64,
    /// Who sent, who got what when and through which gateway, and what was expected; a fact a line.
    pub lines: Vec<String>,
    /// How many more of this kind were found at this place.
    pub more: u64,
}

macro_rules! checked {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How much was checked.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct Checked { $($(#[$doc])* pub $name: u64,)* }

        impl Checked {
            /// Counts what another part of the check had.
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

checked! {
    /// Connections and readers of history.
    connections,
    /// Rooms in which anything happened.
    rooms,
    /// Rooms whose whole history was read after the last send.
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
    /// Subscriptions that went on from an earlier place and were given all since.
    resumes,
    /// Subscriptions that asked for too much and were sent to history.
    not_recovered,
    /// Pages of history.
    pages,
    /// Events on pages of history.
    page_events,
}

impl Verdict {
    /// Whether every promise was kept, as far as was seen.
    pub fn kept(&self) -> bool {
        self.violations.is_empty()
    }

    /// How many violations there are of this kind.
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
            writeln!(
                f,
                "    (and {} more like this at the same place)",
                self.more
            )?;
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
