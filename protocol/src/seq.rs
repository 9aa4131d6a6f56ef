//! The seq: an event's position in its room's log.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// A place in a room's log: below 2^53, strictly rising inside a room for ever, not consecutive.
///
/// Zero is the place before the first event. A cluster's log makes it of the log's incarnation and the
/// stream's own number, `incarnation << 40 | stream seq`, so that a re-created log never goes back.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Seq(
    #[cfg_attr(
        feature = "schema",
        schemars(range(min = 0, max = 9_007_199_254_740_991u64))
    )]
    u64,
);

impl Seq {
    /// Before the first event.
    pub const ZERO: Self = Self(0);
    /// The last place a client can write down exactly: 2^53 − 1.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// Bits of a place below the incarnation of its log.
    pub const INCARNATION_SHIFT: u32 = 40;

    /// The incarnation of the log that gave this place; it rises when a log is created again.
    pub const fn incarnation(self) -> u64 {
        self.0 >> Self::INCARNATION_SHIFT
    }

    /// Takes a number that is a place, or [`Seq::ZERO`].
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number as it goes over the wire.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Seq {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        Self::new(number).ok_or_else(|| serde::de::Error::custom("a seq is below 2^53"))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
