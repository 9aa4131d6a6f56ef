//! Parsing of script replies.

use fred::bytes_utils::Str;
use fred::types::Value;
use roomcast_ports::StoreError;
use roomcast_protocol::{PresenceStatus, Timestamp};

/// The parts of an answer not yet read.
#[derive(Debug)]
pub(crate) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    pub(crate) fn new(parts: Vec<Value>) -> Self {
        Self(parts.into_iter())
    }

    /// Whether all has been read.
    pub(crate) fn is_over(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    pub(crate) fn text(&mut self) -> Result<Str, StoreError> {
        let text = self.0.next().and_then(Value::into_bytes_str);
        text.ok_or_else(|| corrupted("a text"))
    }

    pub(crate) fn number(&mut self) -> Result<u64, StoreError> {
        self.text()?.parse().map_err(|_| corrupted("a number"))
    }

    /// A point in time; zero is none.
    pub(crate) fn time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let milliseconds = self.number()?;
        Ok((milliseconds > 0).then(|| Timestamp::from_millis(milliseconds)))
    }

    pub(crate) fn status(&mut self) -> Result<PresenceStatus, StoreError> {
        match &*self.text()? {
            "ONLINE" => Ok(PresenceStatus::Online),
            "AWAY" => Ok(PresenceStatus::Away),
            "OFFLINE" => Ok(PresenceStatus::Offline),
            _ => Err(corrupted("a status")),
        }
    }

    /// A list within the answer.
    pub(crate) fn list(&mut self) -> Result<Self, StoreError> {
        match self.0.next() {
            Some(Value::Array(parts)) => Ok(Self::new(parts)),
            _ => Err(corrupted("a list")),
        }
    }
}

pub(crate) fn corrupted(what: &str) -> StoreError {
    StoreError::Corrupted(format!("a script's answer lacks {what}").into())
}

/// A status as the scripts write it.
pub(crate) fn name_of(status: PresenceStatus) -> &'static str {
    match status {
        PresenceStatus::Online => "ONLINE",
        PresenceStatus::Away => "AWAY",
        PresenceStatus::Offline => "OFFLINE",
    }
}
