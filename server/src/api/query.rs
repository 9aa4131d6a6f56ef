//! Query parameters. Unknown ones are ignored; known ones must be valid.

use std::str::FromStr;

use axum::http::Uri;
use roomcast_protocol::id::InvalidId;
use roomcast_protocol::limits::PAGE_DEFAULT;
use roomcast_protocol::{Refusal, Seq};

/// A request's parameters, in order.
#[derive(Debug)]
pub(super) struct Query {
    parameters: Vec<(String, String)>,
}

impl Query {
    pub(super) fn of(uri: &Uri) -> Result<Self, Refusal> {
        let read = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let read = read.map_err(|_| Refusal::bad_frame("the query cannot be read"))?;
        Ok(Self { parameters: read.0 })
    }

    /// Whether the parameter is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|(known, _)| known == name)
    }

    /// Whether a parameter is given, in upper or lower case.
    pub(super) fn has_any_case(&self, name: &str) -> bool {
        let mut names = self.parameters.iter();
        names.any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Every value of a parameter that may come several times.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = self
            .parameters
            .iter()
            .filter(move |(known, _)| known == name);
        same.map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that may come once.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Refusal::bad_frame(format!("{name} comes more than once")));
        }
        Ok(first)
    }

    /// Every value of a parameter that is an id and may come several times.
    pub(super) fn ids<T: FromStr<Err = InvalidId>>(
        &self,
        name: &'static str,
    ) -> Result<Vec<T>, Refusal> {
        let ids: Result<Vec<T>, InvalidId> = self.all(name).map(str::parse).collect();
        ids.map_err(|_| Refusal::bad_frame(format!("{name} is not an id")))
    }

    /// A place in a room's log.
    pub(super) fn seq(&self, name: &'static str) -> Result<Option<Seq>, Refusal> {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        let seq = digits(text).and_then(Seq::new);
        let wrong = || Refusal::bad_frame(format!("{name} is not an integer from 0 to 2^53-1"));
        seq.map(Some).ok_or_else(wrong)
    }

    /// How many entries a page may have.
    pub(super) fn limit(&self, most: usize) -> Result<usize, Refusal> {
        let Some(text) = self.one("limit")? else {
            return Ok(PAGE_DEFAULT);
        };
        let limit = digits(text).and_then(|limit| usize::try_from(limit).ok());
        limit
            .filter(|limit| (1..=most).contains(limit))
            .ok_or_else(|| Refusal::bad_frame(format!("limit is not an integer from 1 to {most}")))
    }
}

/// A number without sign, space or point.
fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}
