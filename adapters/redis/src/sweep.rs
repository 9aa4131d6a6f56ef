//! The sweep: ends leases, gives what has changed, and tells Redis with the next sweep that it has arrived.
//!
//! The script marks a change as told in the moment it gives it, so of many sweepers one has it. A change
//! whose answer was lost, or whose sweeper died before it swept again, is given once more
//! after [`TELL_AGAIN_AFTER`], to whoever sweeps then.

use std::time::{Duration, Instant};

use fred::types::Value;
use futures_util::{StreamExt as _, stream};
use roomcast_ports::StoreError;
use roomcast_ports::presence::Presence;
use roomcast_protocol::UserId;

use crate::answer::Answer;
use crate::arrivals::{Arrival, Arrivals};
use crate::link::{Link, milliseconds};
use crate::public_key::{self, PublicState};
use crate::script::Verb;
use crate::shard::calls;

/// How long a change may be on its way to a sweeper.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long one sweep goes on; what is left is for the next.
const GO_ON_FOR: Duration = Duration::from_secs(1);
/// Users of one call, and arrivals told by one.
const USERS_PER_CALL: usize = 250;
/// Shards of one call where a call may have several.
const SHARDS_PER_CALL: usize = 64;
/// Calls on their way at a time.
const CALLS_AT_ONCE: usize = 32;
/// Transitions kept in the stream of a shard, about.
const STREAM_LENGTH: i64 = 256;

/// Sweeps these shards. What could be swept is given although another server is away; the error
/// comes when nothing could.
pub(crate) async fn sweep(
    link: &Link,
    arrivals: &Arrivals,
    shards: impl IntoIterator<Item = u16>,
    turn: usize,
) -> Result<Vec<Presence>, StoreError> {
    let end = Instant::now() + GO_ON_FOR;
    let shards = shards.into_iter().map(|shard| (shard, shard));
    let mut calls = calls(shards, link.clustered, SHARDS_PER_CALL);
    // When there is more than one sweep can take, the next one begins with other shards.
    let begin = turn.wrapping_mul(CALLS_AT_ONCE) % calls.len().max(1);
    calls.rotate_left(begin);
    let calls: Vec<_> = calls
        .into_iter()
        .map(|(by, shards)| async move {
            let shards: Vec<u16> = shards.into_iter().map(|(_, shard)| shard).collect();
            some(link, arrivals, by, &shards, end).await
        })
        .collect();
    let mut calls = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE);
    let (mut told, mut arrived, mut failure) = (Vec::new(), Vec::new(), None);
    while let Some((changes, failed)) = calls.next().await {
        failure = failure.or(failed);
        for change in changes {
            arrived.push(change.arrival);
            told.push(change.presence);
        }
    }
    // Not before nothing more is awaited: a sweep that is given up half-way has told nobody.
    arrivals.add(arrived);
    match failure {
        Some(error) if told.is_empty() => Err(error),
        _ => Ok(told),
    }
}

/// Tells Redis what has arrived, and sweeps nothing.
pub(crate) async fn acknowledge(link: &Link, arrivals: &Arrivals) -> Result<(), StoreError> {
    for shard in arrivals.shards() {
        let arrived = arrivals.take(&[shard], usize::MAX);
        for arrived in arrived.chunks(USERS_PER_CALL) {
            once(link, shard, &[shard], 0, arrived).await?;
        }
    }
    Ok(())
}

/// A change and what is to be told of its arrival.
struct Change {
    presence: Presence,
    arrival: Arrival,
}

/// Sweeps the shards of one call until there is no more, or its time is over.
async fn some(
    link: &Link,
    arrivals: &Arrivals,
    by: u16,
    shards: &[u16],
    end: Instant,
) -> (Vec<Change>, Option<StoreError>) {
    let mut changes = Vec::new();
    while Instant::now() < end {
        let arrived = arrivals.take(shards, USERS_PER_CALL);
        match once(link, by, shards, USERS_PER_CALL, &arrived).await {
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

/// One call; says whether there is more.
async fn once(
    link: &Link,
    by: u16,
    shards: &[u16],
    users_max: usize,
    arrived: &[Arrival],
) -> Result<(bool, Vec<Change>), StoreError> {
    let count = |count: usize| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
    let mut args = link.arguments(4 + shards.len() + 3 * arrived.len());
    args.push(count(users_max));
    args.push(milliseconds(TELL_AGAIN_AFTER));
    args.push(Value::Integer(STREAM_LENGTH));
    args.push(count(shards.len()));
    args.extend(shards.iter().map(|shard| Value::Integer((*shard).into())));
    for arrival in arrived {
        args.push(Value::Integer(arrival.shard.into()));
        args.push(Value::from(arrival.user_id.as_str()));
        args.push(Value::String(arrival.version.clone()));
    }
    let mut answer = Answer::new(link.run(Verb::Sweep, by, args).await?);
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
        // The key of somebody who is gone has ended by itself.
        if until.is_some() {
            states.push(PublicState {
                presence: presence.clone(),
                until,
            });
        }
        let version = answer.text()?;
        let arrival = Arrival {
            shard,
            user_id,
            version,
        };
        changes.push(Change { presence, arrival });
    }
    if !states.is_empty() {
        public_key::show(link, states).await;
    }
    Ok((is_more, changes))
}
