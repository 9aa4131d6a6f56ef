//! The sweep: ends expired leases, returns the changes, and acknowledges them to Redis with the next sweep.
//!
//! The script marks a change as delivered when it returns it, so that one of many sweepers gets it. A change
//! whose answer was lost, or whose sweeper died before it swept again, is given once more
//! after [`REDELIVERY_TIMEOUT`], to the next sweeper.

use std::time::{Duration, Instant};

use fred::types::Value;
use futures_util::{StreamExt as _, stream};
use roomcast_ports::StoreError;
use roomcast_ports::presence::Presence;
use roomcast_protocol::UserId;

use crate::connection::{RedisConnection, milliseconds};
use crate::delivery_acks::{DeliveryAck, PendingAcks};
use crate::presence_key::{self, PublicState};
use crate::reply::Reply;
use crate::script::ScriptName;
use crate::shard::calls;

/// How long a change may be on its way to a sweeper.
const REDELIVERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of one sweep; the rest is left to the next.
const SWEEP_BUDGET: Duration = Duration::from_secs(1);
/// Users of one call, and acks of one call.
const USERS_PER_CALL: usize = 250;
/// Shards of one call where a call may have several.
const SHARDS_PER_CALL: usize = 64;
/// Calls on their way at a time.
const CALL_CONCURRENCY_MAX: usize = 32;
/// Transitions kept in the stream of a shard, about.
const STREAM_LENGTH: i64 = 256;

/// Sweeps these shards. What could be swept is given although another server is away; the error
/// comes when nothing could.
pub(crate) async fn sweep(
    link: &RedisConnection,
    arrivals: &PendingAcks,
    shards: impl IntoIterator<Item = u16>,
    turn: usize,
) -> Result<Vec<Presence>, StoreError> {
    let end = Instant::now() + SWEEP_BUDGET;
    let shards = shards.into_iter().map(|shard| (shard, shard));
    let mut calls = calls(shards, link.clustered, SHARDS_PER_CALL);
    // When there is more than one sweep can take, the next one begins with other shards.
    let begin = turn.wrapping_mul(CALL_CONCURRENCY_MAX) % calls.len().max(1);
    calls.rotate_left(begin);
    let calls: Vec<_> = calls
        .into_iter()
        .map(|(by, shards)| async move {
            let shards: Vec<u16> = shards.into_iter().map(|(_, shard)| shard).collect();
            sweep_call(link, arrivals, by, &shards, end).await
        })
        .collect();
    let mut calls = stream::iter(calls).buffer_unordered(CALL_CONCURRENCY_MAX);
    let (mut told, mut arrived, mut failure) = (Vec::new(), Vec::new(), None);
    while let Some((changes, failed)) = calls.next().await {
        failure = failure.or(failed);
        for change in changes {
            arrived.push(change.arrival);
            told.push(change.presence);
        }
    }
    // Only after the last await: a cancelled sweep has delivered nothing.
    arrivals.add(arrived);
    match failure {
        Some(error) if told.is_empty() => Err(error),
        _ => Ok(told),
    }
}

/// Acknowledges delivered changes to Redis, without a sweep.
pub(crate) async fn acknowledge(
    link: &RedisConnection,
    arrivals: &PendingAcks,
) -> Result<(), StoreError> {
    for shard in arrivals.shards() {
        let arrived = arrivals.take(&[shard], usize::MAX);
        for arrived in arrived.chunks(USERS_PER_CALL) {
            sweep_batch(link, shard, &[shard], 0, arrived).await?;
        }
    }
    Ok(())
}

/// A change and its ack.
struct Change {
    presence: Presence,
    arrival: DeliveryAck,
}

/// Sweeps the shards of one call until there is no more, or its time is over.
async fn sweep_call(
    link: &RedisConnection,
    arrivals: &PendingAcks,
    by: u16,
    shards: &[u16],
    end: Instant,
) -> (Vec<Change>, Option<StoreError>) {
    let mut changes = Vec::new();
    while Instant::now() < end {
        let arrived = arrivals.take(shards, USERS_PER_CALL);
        match sweep_batch(link, by, shards, USERS_PER_CALL, &arrived).await {
            Ok((is_more, more)) => {
                changes.extend(more);
                let is_more = is_more || arrived.len() == USERS_PER_CALL;
                if !is_more {
                    break;
                }
            }
            Err(error) => {
                arrivals.add(arrived);
                return (changes, Some(error));
            }
        }
    }
    (changes, None)
}

/// One call; returns whether there is more.
async fn sweep_batch(
    link: &RedisConnection,
    by: u16,
    shards: &[u16],
    users_max: usize,
    arrived: &[DeliveryAck],
) -> Result<(bool, Vec<Change>), StoreError> {
    let count = |count: usize| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
    let mut args = link.arguments(4 + shards.len() + 3 * arrived.len());
    args.push(count(users_max));
    args.push(milliseconds(REDELIVERY_TIMEOUT));
    args.push(Value::Integer(STREAM_LENGTH));
    args.push(count(shards.len()));
    args.extend(shards.iter().map(|shard| Value::Integer((*shard).into())));
    for arrival in arrived {
        args.push(Value::Integer(arrival.shard.into()));
        args.push(Value::from(arrival.user_id.as_str()));
        args.push(Value::String(arrival.version.clone()));
    }
    let mut answer = Reply::new(link.run(ScriptName::Sweep, by, args).await?);
    let is_more = answer.number()? > 0;
    let delay = Duration::from_millis(answer.number()?);
    if !delay.is_zero() {
        metrics::histogram!("chat_presence_sweep_delay_seconds").record(delay.as_secs_f64());
    }
    let (mut changes, mut states) = (Vec::new(), Vec::new());
    while !answer.is_over() {
        let shard = u16::try_from(answer.number()?).unwrap_or_default();
        let user_id = UserId::new(&answer.text()?);
        let user_id = user_id.map_err(|error| StoreError::Corrupted(error.into()))?;
        let presence = Presence {
            user_id: user_id.clone(),
            status: answer.status()?,
            last_seen: answer.time()?,
        };
        let until = answer.time()?;
        // An offline user's key has expired by itself.
        if until.is_some() {
            states.push(PublicState {
                presence: presence.clone(),
                until,
            });
        }
        let version = answer.text()?;
        let arrival = DeliveryAck {
            shard,
            user_id,
            version,
        };
        changes.push(Change { presence, arrival });
    }
    if !states.is_empty() {
        presence_key::write_presence_key(link, states).await;
    }
    Ok((is_more, changes))
}
