//! Presence reads, judged by Redis' clock: right even when no sweep runs.

use std::sync::Arc;

use fred::types::Value;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use roomcast_ports::StoreError;
use roomcast_ports::presence::Presence;
use roomcast_protocol::{ConnectionId, PresenceStatus, Timestamp, UserId};

use crate::connection::RedisConnection;
use crate::reply::{Reply, corrupted};
use crate::script::ScriptName;
use crate::shard::{SHARDS, calls, shard_of};

/// Users of one call.
const USERS_PER_CALL: usize = 250;
/// Calls on their way at a time.
const CALL_CONCURRENCY_MAX: usize = 32;

/// Where a user is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserConnection {
    /// Which connection.
    pub connection_id: ConnectionId,
    /// The gateway that holds it.
    pub gateway: Arc<str>,
    /// Online or away.
    pub status: PresenceStatus,
    /// When it stops to count unless it is renewed, on the clock of Redis.
    pub until: Timestamp,
}

pub(crate) async fn presence(
    link: &RedisConnection,
    user_ids: &[UserId],
) -> Result<Vec<Presence>, StoreError> {
    ask(link, "presence", user_ids, |user_id, answer| {
        Ok(Presence {
            user_id: user_id.clone(),
            status: answer.status()?,
            last_seen: answer.time()?,
        })
    })
    .await
}

pub(crate) async fn connections(
    link: &RedisConnection,
    user_ids: &[UserId],
) -> Result<Vec<Vec<UserConnection>>, StoreError> {
    ask(link, "connections", user_ids, |_, answer| {
        let (mut parts, mut connections) = (answer.list()?, Vec::new());
        while !parts.is_over() {
            connections.push(UserConnection {
                connection_id: ConnectionId::new(&parts.text()?)
                    .map_err(|error| StoreError::Corrupted(error.into()))?,
                status: parts.status()?,
                gateway: (&*parts.text()?).into(),
                until: parts.time()?.ok_or_else(|| corrupted("a deadline"))?,
            });
        }
        Ok(connections)
    })
    .await
}

/// Asks for each of the users; answers come in the order asked.
async fn ask<T: Send>(
    link: &RedisConnection,
    question: &'static str,
    user_ids: &[UserId],
    take: impl Fn(&UserId, &mut Reply) -> Result<T, StoreError> + Sync,
) -> Result<Vec<T>, StoreError> {
    let users = user_ids.iter().map(|user_id| (shard_of(user_id), user_id));
    let calls = calls(users, link.clustered, USERS_PER_CALL);
    let take = &take;
    let calls: Vec<_> = calls
        .into_iter()
        .map(|(shard, users)| async move {
            let mut args = link.arguments(1 + 2 * users.len());
            args.push(Value::from(question));
            for (_, user_id) in &users {
                args.push(Value::Integer(shard_of(user_id).into()));
                args.push(Value::from(user_id.as_str()));
            }
            let mut answer = Reply::new(link.run(ScriptName::Read, shard, args).await?);
            users
                .into_iter()
                .map(|(place, user_id)| Ok((place, take(user_id, &mut answer)?)))
                .collect::<Result<_, StoreError>>()
        })
        .collect();
    let answers: Vec<Vec<(usize, T)>> = stream::iter(calls)
        .buffer_unordered(CALL_CONCURRENCY_MAX)
        .try_collect()
        .await?;
    let mut answers: Vec<(usize, T)> = answers.into_iter().flatten().collect();
    answers.sort_unstable_by_key(|(place, _)| *place);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// The number of online users, by the latest deadline of each: exact also without sweeps.
pub(crate) async fn online_users(link: &RedisConnection) -> Result<u64, StoreError> {
    let shards = (0..SHARDS).map(|shard| (shard, shard));
    stream::iter(calls(shards, link.clustered, usize::from(SHARDS)))
        .map(|(by, shards)| async move {
            let mut args = link.arguments(1 + shards.len());
            args.push(Value::from("count"));
            args.extend(
                shards
                    .into_iter()
                    .map(|(_, shard)| Value::Integer(shard.into())),
            );
            Reply::new(link.run(ScriptName::Read, by, args).await?).number()
        })
        .buffer_unordered(CALL_CONCURRENCY_MAX)
        .try_fold(0, |sum, users| async move { Ok(sum + users) })
        .await
}
