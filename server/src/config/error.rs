//! A configuration error with its location, as one line.

use std::fmt;

/// One thing that is wrong, or odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The place: `--listen`, `ROOMCAST_LISTEN`, `listen in roomcast.toml`.
    place: String,
    /// What is wrong there, and what would be right.
    says: String,
}

impl ConfigError {
    /// A fault at a place.
    pub(super) fn new(place: impl Into<String>, says: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            says: says.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value may hold anything; one fault stays one line.
        let line = format!("{}: {}", self.place, self.says);
        line.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .try_for_each(|c| fmt::Write::write_char(f, c))
    }
}
