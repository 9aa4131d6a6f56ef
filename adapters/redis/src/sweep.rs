//! The sweep: ends leases, gives what has changed, and tells Redis with the next call that it has arrived.
//!
//! The script marks a change as told in the moment it gives it, so of many sweepers one has it. A change
//! whose answer was lost, or whose sweeper died before it asked again, is given once more
//! after [`TELL_AGAIN_AFTER`], to whoever sweeps then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fred::bytes_utils::Str;
use fred::types::Value;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use roomcast_ports::StoreError;
use roomcast_ports::presence::Presence;
use roomcast_protocol::UserId;

use crate::answer::Answer;
use crate::link::Link;
use crate::public_key::{self, PublicState};
use crate::script::Verb;
use crate::shard::calls;
use crate::touch::milliseconds;

/// How long a change may be on its way to a sweeper.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Users of one call.
const USERS_PER_CALL: usize = 250;
/// Shards of one call where a call may have several.
const SHARDS_PER_CALL: usize = 64;
/// Calls on their way at a time.
const CALLS_AT_ONCE: usize = 32;
/// Transitions kept in the stream of a shard, about.
const STREAM_LENGTH: i64 = 256;
/// Arrivals kept of a shard for the next call; past it changes are told twice.
const ARRIVALS_MAX: usize = 4_096;

/// A change that has arrived: who, and the version of their presence.
type Arrival = (UserId, Str);

/// What has arrived and Redis has not been told of.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(Mutex<HashMap<u16, Vec<Arrival>>>);

impl Arrivals {
    fn take(&self, shard: u16) -> Vec<Arrival> {
        let mut by_shard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        by_shard.remove(&shard).unwrap_or_default()
    }

    fn add(&self, shard: u16, arrival: Arrival) {
        let mut by_shard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let arrivals = by_shard.entry(shard).or_default();
        if arrivals.len() < ARRIVALS_MAX {
            arrivals.push(arrival);
        }
    }

    /// The shards something has arrived from.
    pub(crate) fn shards(&self) -> Vec<u16> {
        let by_shard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        by_shard.keys().copied().collect()
    }
}

/// Sweeps these shards until there is no more.
pub(crate) async fn sweep(
    link: &Link,
    arrivals: &Arrivals,
    shards: impl IntoIterator<Item = u16>,
) -> Result<Vec<Presence>, StoreError> {
    let shards = shards.into_iter().map(|shard| (shard, shard));
    let changes: Vec<Vec<Presence>> = stream::iter(calls(shards, link.clustered, SHARDS_PER_CALL))
        .map(|(by, shards)| async move {
            let shards: Vec<u16> = shards.into_iter().map(|(_, shard)| shard).collect();
            let mut changes = Vec::new();
            while once(link, arrivals, by, &shards, USERS_PER_CALL, &mut changes).await? {}
            Ok(changes)
        })
        .buffer_unordered(CALLS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(changes.concat())
}

/// Tells Redis what has arrived from these shards, and sweeps nothing.
pub(crate) async fn acknowledge(
    link: &Link,
    arrivals: &Arrivals,
    shards: impl IntoIterator<Item = u16>,
) -> Result<(), StoreError> {
    for shard in shards {
        once(link, arrivals, shard, &[shard], 0, &mut Vec::new()).await?;
    }
    Ok(())
}

/// One call; says whether there is more.
async fn once(
    link: &Link,
    arrivals: &Arrivals,
    by: u16,
    shards: &[u16],
    users_max: usize,
    changes: &mut Vec<Presence>,
) -> Result<bool, StoreError> {
    let mut args = vec![
        Value::from(link.prefix()),
        Value::Integer(i64::try_from(users_max).unwrap_or(i64::MAX)),
        milliseconds(TELL_AGAIN_AFTER),
        Value::Integer(STREAM_LENGTH),
        Value::Integer(i64::try_from(shards.len()).unwrap_or(i64::MAX)),
    ];
    args.extend(shards.iter().map(|shard| Value::Integer((*shard).into())));
    let mut arrived = Vec::new();
    for shard in shards {
        for (user_id, version) in arrivals.take(*shard) {
            args.push(Value::Integer((*shard).into()));
            args.push(Value::from(user_id.as_str()));
            args.push(Value::String(version.clone()));
            arrived.push((*shard, (user_id, version)));
        }
    }
    let answer = link.run(Verb::Sweep, by, args).await.inspect_err(|_| {
        for (shard, arrival) in arrived {
            arrivals.add(shard, arrival);
        }
    })?;
    let mut answer = Answer::new(answer);
    let is_more = answer.number()? > 0;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a delay")]
    let delay = answer.number()? as f64 / 1_000.0;
    if delay > 0.0 {
        metrics::histogram!("chat_presence_sweep_delay_seconds").record(delay);
    }
    let mut states = Vec::new();
    while !answer.is_over() {
        let shard = u16::try_from(answer.number()?).unwrap_or_default();
        let name = answer.text()?;
        let user_id = UserId::new(&name).map_err(|error| StoreError::Damaged(error.into()))?;
        let presence = Presence {
            user_id: user_id.clone(),
            status: answer.status()?,
            last_seen: answer.time()?,
        };
        let until = answer.time()?;
        arrivals.add(shard, (user_id, answer.text()?));
        changes.push(presence.clone());
        states.push(PublicState { presence, until });
    }
    if !states.is_empty() {
        public_key::show(link, states).await;
    }
    Ok(is_more)
}
