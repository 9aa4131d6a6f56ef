//! Fields of a body, each validated as its call requires.

use std::str::FromStr;

use roomcast_protocol::Refusal;
use roomcast_protocol::id::InvalidId;
use serde_json::{Map, Value};

/// A body's fields.
#[derive(Debug, Default)]
pub(in crate::api) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) const fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// A string that must be there.
    pub(in crate::api) fn text(&mut self, name: &'static str) -> Result<String, Refusal> {
        needed(name, self.optional_text(name)?)
    }

    /// A string that may be there.
    pub(in crate::api) fn optional_text(
        &mut self,
        name: &'static str,
    ) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    /// An id that may be there.
    pub(in crate::api) fn optional_id<T: FromStr<Err = InvalidId>>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, Refusal> {
        let text = self.optional_text(name)?;
        let id = text.map(|text| text.parse()).transpose();
        id.map_err(|_| wrong(name, "an id"))
    }

    /// A list of at most so many ids; none when it is absent.
    pub(in crate::api) fn ids<T: FromStr<Err = InvalidId>>(
        &mut self,
        name: &'static str,
        most: usize,
    ) -> Result<Vec<T>, Refusal> {
        let values = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(_) => return Err(wrong(name, "a list of ids")),
        };
        if values.len() > most {
            let message = format!("{name} has more than {most} entries");
            return Err(Refusal::bad_frame(message));
        }
        let id = |value: &Value| value.as_str()?.parse().ok();
        let ids: Option<Vec<T>> = values.iter().map(id).collect();
        ids.ok_or_else(|| wrong(name, "a list of ids"))
    }

    /// One of a few words, that must be there.
    pub(in crate::api) fn word<T>(
        &mut self,
        name: &'static str,
        from_wire: fn(&str) -> Option<T>,
    ) -> Result<T, Refusal> {
        needed(name, self.optional_word(name, from_wire)?)
    }

    /// One of a few words, that may be there.
    pub(in crate::api) fn optional_word<T>(
        &mut self,
        name: &'static str,
        from_wire: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(word) = self.optional_text(name)? else {
            return Ok(None);
        };
        let meaning = from_wire(&word);
        let unknown = || Refusal::bad_frame(format!("{name} is none of the words it may be"));
        meaning.map(Some).ok_or_else(unknown)
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }
}

fn needed<T>(name: &'static str, value: Option<T>) -> Result<T, Refusal> {
    value.ok_or_else(|| Refusal::bad_frame(format!("{name} is missing")))
}

fn wrong(name: &'static str, what: &'static str) -> Refusal {
    Refusal::bad_frame(format!("{name} is not {what}"))
}
