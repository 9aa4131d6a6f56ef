//! The shard of a user's keys.
//!
//! 256 shards, by a hash of the user id that never changes: where a user is kept must not depend on who
//! asks. All keys of a shard have one hash tag and so one slot of a Redis Cluster.

use roomcast_protocol::UserId;

/// Shards of presence.
pub(crate) const SHARDS: u16 = 256;

/// The shard of a user: FNV-1a (32 bit) of the id, modulo the shards.
pub(crate) fn shard_of(user_id: &UserId) -> u16 {
    let hash = user_id
        .as_str()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    u16::try_from(hash % u32::from(SHARDS)).unwrap_or_default()
}

/// Splits things into the calls of a script that are made of them: the keys of one call lie on one server,
/// so a single server takes all shards together and a cluster one at a time. Each call has a shard to
/// be sent by, and for each thing where it was among all.
pub(crate) fn calls<T>(
    things: impl IntoIterator<Item = (u16, T)>,
    clustered: bool,
    per_call: usize,
) -> Vec<(u16, Vec<(usize, T)>)> {
    let mut open: Vec<Option<usize>> = vec![None; usize::from(SHARDS)];
    let mut calls: Vec<(u16, Vec<(usize, T)>)> = Vec::new();
    for (place, (shard, thing)) in things.into_iter().enumerate() {
        let open = &mut open[if clustered { usize::from(shard) } else { 0 }];
        let call = match *open {
            Some(call) if calls[call].1.len() < per_call => call,
            _ => {
                calls.push((shard, Vec::new()));
                *open.insert(calls.len() - 1)
            }
        };
        calls[call].1.push((place, thing));
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_shard_never_changes() {
        let shards = ["alice", "bob", "0192aa7e-7c1b-7d3f-8a55-000000000001"]
            .map(|name| shard_of(&UserId::new(name).unwrap()));
        assert_eq!(shards, [231, 212, 158]);
    }

    #[test]
    fn a_cluster_has_a_call_for_each_shard_and_a_single_server_fills_calls() {
        let things = || [(7, 'a'), (9, 'b'), (7, 'c'), (7, 'd')];
        assert_eq!(
            calls(things(), true, 2),
            [
                (7, vec![(0, 'a'), (2, 'c')]),
                (9, vec![(1, 'b')]),
                (7, vec![(3, 'd')]),
            ]
        );
        assert_eq!(
            calls(things(), false, 3),
            [(7, vec![(0, 'a'), (1, 'b'), (2, 'c')]), (7, vec![(3, 'd')]),]
        );
    }
}
