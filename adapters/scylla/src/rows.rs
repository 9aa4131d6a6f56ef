//! Conversion between protocol values and CQL cells.

use std::str::FromStr;

use roomcast_ports::StoreError;
use roomcast_protocol::event::{decode, encode};
use roomcast_protocol::{RoomEvent, Seq, Timestamp};

use crate::client::corrupted;

/// A seq as a cell, and as a timestamp.
pub(crate) const fn to_cql(seq: Seq) -> i64 {
    seq.get().cast_signed()
}

/// A time as a cell.
pub(crate) const fn millis(time: Timestamp) -> i64 {
    time.as_millis().cast_signed()
}

/// A cell as a seq; zero when there is none.
pub(crate) fn seq(cell: Option<i64>) -> Result<Seq, StoreError> {
    let number = cell.unwrap_or(0);
    let seq = u64::try_from(number).ok().and_then(Seq::new);
    seq.ok_or_else(|| corrupted(format!("{number} is no place")))
}

/// A cell as a time.
pub(crate) fn time(cell: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(cell).unwrap_or(0))
}

/// A cell as a count; zero when there is none.
pub(crate) fn count(cell: Option<i64>) -> u64 {
    cell.and_then(|number| u64::try_from(number).ok())
        .unwrap_or(0)
}

/// A cell as an id.
pub(crate) fn id<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    cell: &str,
) -> Result<T, StoreError> {
    cell.parse().map_err(corrupted)
}

/// A cell as one of the protocol's words.
pub(crate) fn enum_from_cql<T>(
    cell: &str,
    from_wire: impl Fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    from_wire(cell).ok_or_else(|| corrupted(format!("{cell:?} is none of our words")))
}

/// A cell as an event.
pub(crate) fn event(body: &[u8]) -> Result<RoomEvent, StoreError> {
    decode(body).map_err(corrupted)
}

/// The redacted event, as a cell.
pub(crate) fn redacted(mut event: RoomEvent) -> Vec<u8> {
    event.redact();
    encode(&event)
}

/// Which of `shards` a name belongs to: FNV-1a, a stored format that never changes.
pub(crate) fn shard(name: &str, shards: u32) -> i32 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (hash % shards).cast_signed()
}
