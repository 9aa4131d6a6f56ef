//! Lease renewal and shortening: one script call for a bounded number of users.

use std::time::Duration;

use fred::bytes_utils::Str;
use fred::types::Value;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use roomcast_ports::StoreError;
use roomcast_ports::presence::{Lease, Presence};
use roomcast_protocol::{ConnectionId, PresenceStatus, UserId};

use crate::connection::{RedisConnection, milliseconds};
use crate::presence_key::{self, PublicState};
use crate::reply::{Reply, name_of};
use crate::script::ScriptName;
use crate::shard::{calls, shard_of};

/// Users of one call: Redis does nothing else for the few milliseconds it takes.
const USERS_PER_CALL: usize = 250;
/// Calls on their way at a time.
const CALL_CONCURRENCY_MAX: usize = 32;

/// A change of one lease, as the script takes it.
struct Change<'a> {
    user_id: &'a UserId,
    connection_id: &'a ConnectionId,
    status: &'static str,
    gateway: &'a str,
}

pub(crate) async fn touch(
    link: &RedisConnection,
    leases: &[Lease],
    ttl: Duration,
) -> Result<(), StoreError> {
    let changes = leases.iter().map(|lease| Change {
        user_id: &lease.user_id,
        connection_id: &lease.connection_id,
        // Never offline, by the port's contract: a lease is a sign of life.
        status: name_of(lease.status.max(PresenceStatus::Away)),
        gateway: &lease.gateway,
    });
    metrics::counter!("chat_presence_touches_total").increment(leases.len() as u64);
    write_states(link, "touch", changes, ttl).await
}

pub(crate) async fn release(
    link: &RedisConnection,
    connections: &[(UserId, ConnectionId)],
    grace: Duration,
) -> Result<(), StoreError> {
    let changes = connections.iter().map(|(user_id, connection_id)| Change {
        user_id,
        connection_id,
        status: "",
        gateway: "",
    });
    write_states(link, "release", changes, grace).await
}

async fn write_states<'a>(
    link: &RedisConnection,
    verb: &'static str,
    changes: impl Iterator<Item = Change<'a>>,
    counts_for: Duration,
) -> Result<(), StoreError> {
    let changes = changes.map(|change| (shard_of(change.user_id), change));
    let calls = calls(changes, link.clustered, USERS_PER_CALL);
    let calls: Vec<_> = calls
        .into_iter()
        .map(|(shard, changes)| async move {
            let args = arguments(link, verb, &changes, counts_for);
            let answer = link.run(ScriptName::Lease, shard, args).await?;
            presence_key::write_presence_key(link, states(&changes, Reply::new(answer))?).await;
            Ok(())
        })
        .collect();
    stream::iter(calls)
        .buffer_unordered(CALL_CONCURRENCY_MAX)
        .try_collect()
        .await
}

fn states(
    changes: &[(usize, Change<'_>)],
    mut answer: Reply,
) -> Result<Vec<PublicState>, StoreError> {
    let states = changes.iter().map(|(_, change)| {
        Ok(PublicState {
            presence: Presence {
                user_id: change.user_id.clone(),
                status: answer.status()?,
                last_seen: answer.time()?,
            },
            until: answer.time()?,
        })
    });
    states.collect()
}

fn arguments(
    link: &RedisConnection,
    verb: &'static str,
    changes: &[(usize, Change<'_>)],
    counts_for: Duration,
) -> Vec<Value> {
    let mut args = link.arguments(2 + 5 * changes.len());
    args.push(Value::String(Str::from_static(verb)));
    args.push(milliseconds(counts_for));
    for (_, change) in changes {
        args.push(Value::Integer(shard_of(change.user_id).into()));
        args.push(Value::from(change.user_id.as_str()));
        args.push(Value::from(change.connection_id.as_str()));
        args.push(Value::String(Str::from_static(change.status)));
        args.push(Value::from(change.gateway));
    }
    args
}
