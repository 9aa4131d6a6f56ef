//! Subjects of the bus, and the partition of a room.
//!
//! A room's id is one token of a subject: its dots, which would make several of it, are written as
//! slashes, which no id holds. Filters are therefore exact: one room is one subject, no wildcard.

use roomcast_protocol::RoomId;

/// Partitions of the log. Frozen: another number would send rooms to other streams.
pub(crate) const PARTITIONS: u16 = 32;

/// The partition a room is in, now and always: FNV-1a of its token, 32 bits, modulo [`PARTITIONS`];
/// what the server's own `partition()` gives.
pub fn partition_of(room_id: &RoomId) -> u16 {
    let hash = room_id
        .as_str()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| {
            let byte = if byte == b'.' { b'/' } else { byte };
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    u16::try_from(hash % u32::from(PARTITIONS)).unwrap_or(0)
}

/// The room as one token.
fn token(room_id: &RoomId) -> String {
    room_id.as_str().replace('.', "/")
}

/// The room that a subject's last token names.
pub(crate) fn room_of(subject: &str) -> Option<RoomId> {
    let (_, token) = subject.rsplit_once('.')?;
    RoomId::new(&token.replace('/', ".")).ok()
}

/// The stream of a partition.
pub(crate) fn stream(partition: u16) -> String {
    format!("CHAT_{partition}")
}

/// Where a region appends. Its name is what fences an old home off once another is the home.
pub(crate) fn append(region: &str, partition: u16, room_id: &RoomId) -> String {
    format!("in.{region}.{partition}.{}", token(room_id))
}

/// Everything appended to a partition.
pub(crate) fn appended(region: &str, partition: u16) -> String {
    format!("in.{region}.{partition}.>")
}

/// What a room's events are called inside the stream.
pub(crate) fn stored(partition: u16, room_id: &RoomId) -> String {
    format!("chat.{partition}.{}", token(room_id))
}

/// Everything inside a partition's stream.
pub(crate) fn all_stored(partition: u16) -> String {
    format!("chat.{partition}.>")
}

/// A partition's events as they are stored.
pub(crate) fn live(region: &str, partition: u16) -> String {
    format!("live.{region}.{partition}.>")
}

/// Subject of head hints for a room's subscribers.
pub(crate) fn head_hint(partition: u16, room_id: &RoomId) -> String {
    format!("head.{partition}.{}", token(room_id))
}

/// Subject on which appenders report a partition's observed seq to the stream managers.
pub(crate) fn observed(partition: u16) -> String {
    format!("observed.{partition}")
}

/// The partition of such a subject.
pub(crate) fn partition_of_observed(subject: &str) -> Option<u16> {
    let partition = subject.strip_prefix("observed.")?.parse().ok()?;
    (partition < PARTITIONS).then_some(partition)
}

/// All of that.
pub(crate) const OBSERVED: &str = "observed.*";

/// All head hints.
pub(crate) const HEAD_HINTS: &str = "head.>";

/// Subject of the ephemeral events of a room or a user.
pub(crate) fn signal(kind: &str, id: &str) -> String {
    format!("ephemeral.{kind}.{}", id.replace('.', "/"))
}

/// All ephemeral events.
pub(crate) const SIGNALS: &str = "ephemeral.>";

/// All revocations, which are among them.
pub(crate) const REVOCATIONS: &str = "ephemeral.revocation.>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_of_any_name_is_one_token_and_comes_back() {
        for name in ["R88", "a.b.c", "...", ".a", "a..b", "x:y-z_0", "a."] {
            let room_id = RoomId::new(name).unwrap();
            let subject = stored(7, &room_id);
            assert_eq!(subject.split('.').count(), 3, "{subject}");
            assert_eq!(room_of(&subject), Some(room_id));
        }
    }

    #[test]
    fn subject_of_observed_seqs_names_its_partition() {
        for partition in [0, PARTITIONS - 1] {
            assert_eq!(partition_of_observed(&observed(partition)), Some(partition));
        }
        for other in [&*observed(PARTITIONS), "observed.x", "head.1.r"] {
            assert_eq!(partition_of_observed(other), None, "{other}");
        }
    }

    #[test]
    fn partitions_are_what_they_have_always_been() {
        // FNV-1a-32 as published: "" 811c9dc5, "a" e40c292c, "foobar" bf9cf968.
        for (name, hash) in [("a", 0xe40c_292c_u32), ("foobar", 0xbf9c_f968)] {
            let expected = u16::try_from(hash % 32).unwrap();
            assert_eq!(partition_of(&RoomId::new(name).unwrap()), expected);
        }
        let used: std::collections::BTreeSet<u16> = (0..1_000)
            .map(|_| partition_of(&RoomId::generate()))
            .collect();
        assert_eq!(used.len(), usize::from(PARTITIONS));
    }
}
