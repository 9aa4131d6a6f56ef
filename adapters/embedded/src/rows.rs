//! Conversion between protocol values and SQLite columns, and of SQLite errors to port errors.

use std::str::FromStr;

use roomcast_ports::StoreError;
use roomcast_protocol::event::{decode, encode};
use roomcast_protocol::{RoomEvent, Seq, StoredEvent, Timestamp};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Error, ErrorCode, Row};

use crate::writer::Failure;

/// The column as an id.
pub(crate) fn id<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    text(row, column)?
        .parse()
        .map_err(|error| unreadable(column, Type::Text, error))
}

/// The column as one of the protocol's words.
pub(crate) fn enum_from_sql<T>(
    row: &Row<'_>,
    column: usize,
    from_wire: impl Fn(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text = text(row, column)?;
    from_wire(text).ok_or_else(|| unreadable(column, Type::Text, FromSqlError::InvalidType))
}

/// The column as a seq.
pub(crate) fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    let number = row.get::<_, u64>(column)?;
    Seq::new(number).ok_or_else(|| {
        unreadable(
            column,
            Type::Integer,
            FromSqlError::OutOfRange(number.cast_signed()),
        )
    })
}

/// The column as a time.
pub(crate) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_millis(row.get(column)?))
}

/// The column as an event.
pub(crate) fn event(row: &Row<'_>, column: usize) -> rusqlite::Result<RoomEvent> {
    let bytes = row
        .get_ref(column)?
        .as_blob()
        .map_err(|error| unreadable(column, Type::Blob, error))?;
    decode(bytes).map_err(|error| unreadable(column, Type::Blob, error))
}

/// The first three columns as an event: seq, prev, body.
pub(crate) fn stored(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    Ok(StoredEvent {
        seq: seq(row, 0)?,
        prev: seq(row, 1)?,
        event: event(row, 2)?,
    })
}

/// The redacted event as bytes; `None` when it is redacted already.
pub(crate) fn redacted(mut event: RoomEvent) -> Option<Vec<u8>> {
    event.redact().then(|| encode(&event))
}

fn text<'row>(row: &'row Row<'_>, column: usize) -> rusqlite::Result<&'row str> {
    row.get_ref(column)?
        .as_str()
        .map_err(|error| unreadable(column, Type::Text, error))
}

fn unreadable(
    column: usize,
    kind: Type,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::FromSqlConversionFailure(column, kind, Box::new(error))
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match &failure {
            Failure::RolledBack(error) if is_corruption(error) => Self::Corrupted(failure.boxed()),
            _ => Self::Unavailable(failure.boxed()),
        }
    }
}

fn is_corruption(error: &Error) -> bool {
    match error {
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..) => true,
        error => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    }
}
