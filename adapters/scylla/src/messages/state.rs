//! Messages in their current state.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use roomcast_ports::StoreError;
use roomcast_ports::message_store::MessageState;
use roomcast_ports::reactions::{ReactionFold, ReactionRow, ReactionScope, Reactions};
use roomcast_protocol::{EventBody, MessageId, RoomId, Seq};

use super::ScyllaMessages;
use super::bucket::before;
use super::read::{limit_of, next};
use crate::rows::{event, id, seq, time, to_cql};

/// Reactions read in one request at most.
const REACTIONS_PAGE: i32 = 1_000;

/// What of a message's row is read.
type MessageRow = (
    i64,
    Option<Vec<u8>>,
    Option<String>,
    Option<i64>,
    Option<bool>,
);
/// A message's seq, an emoji, a user, since when the user holds it, and the seq that wrote that.
type Given = (i64, String, String, Option<i64>, Option<i64>);

impl ScyllaMessages {
    /// The newest messages before `place`, oldest first.
    pub(super) async fn read_messages_before(
        &self,
        room_id: &RoomId,
        place: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError> {
        let scope = ReactionScope::before_tail(tail_from);
        let (mut found, mut up_to) = (Vec::new(), before(place));
        while let Some(place) = up_to {
            let Some((bucket, first)) = self.bucket_containing(room_id, place).await? else {
                break;
            };
            up_to = before(first);
            let wanted = limit - found.len();
            let values = (room_id.as_str(), bucket, to_cql(place), limit_of(wanted));
            let select = &self.statements.messages_to;
            let page = self.client.rows::<MessageRow>(select, values).await?;
            found.extend(self.states(room_id, bucket, page, scope).await?);
            if found.len() >= limit {
                break;
            }
        }
        found.reverse();
        Ok(found)
    }

    /// The oldest messages at or after `from`.
    pub(super) async fn read_messages_from(
        &self,
        room_id: &RoomId,
        from: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError> {
        let scope = ReactionScope::before_tail(tail_from);
        let mut found = Vec::new();
        let mut buckets = self.buckets_from(room_id, from).await?;
        let mut from = from;
        while found.len() < limit {
            let Some((bucket, first)) = buckets.next(self, room_id, from).await? else {
                break;
            };
            let values = (
                room_id.as_str(),
                bucket,
                to_cql(first),
                limit_of(limit - found.len()),
            );
            let select = &self.statements.messages_from;
            let page = self.client.rows::<MessageRow>(select, values).await?;
            let last = page.last().map(|row| seq(Some(row.0))).transpose()?;
            from = last.and_then(next).unwrap_or(first);
            found.extend(self.states(room_id, bucket, page, scope).await?);
        }
        Ok(found)
    }

    /// The message at this seq of this partition.
    pub(super) async fn message_at(
        &self,
        room_id: &RoomId,
        bucket: i32,
        place: Seq,
        scope: ReactionScope<'_>,
    ) -> Result<Option<MessageState>, StoreError> {
        let values = (room_id.as_str(), bucket, to_cql(place));
        let row = self
            .client
            .first::<MessageRow>(&self.statements.message_at, values)
            .await?;
        let states = self
            .states(room_id, bucket, row.into_iter().collect(), scope)
            .await?;
        Ok(states.into_iter().next())
    }

    /// The rows of one partition as messages, in the same order; what is none is left out.
    async fn states(
        &self,
        room_id: &RoomId,
        bucket: i32,
        page: Vec<MessageRow>,
        scope: ReactionScope<'_>,
    ) -> Result<Vec<MessageState>, StoreError> {
        let places = page.iter().map(|row| row.0);
        let (Some(low), Some(high)) = (places.clone().min(), places.max()) else {
            return Ok(Vec::new());
        };
        let mut given = self
            .reactions_within(room_id, bucket, (low, high), scope)
            .await?;
        let mut states = Vec::with_capacity(page.len());
        for row in page {
            let fold = given.remove(&row.0);
            let fold = fold.unwrap_or_else(|| ReactionFold::new(scope));
            states.extend(state(row, fold.finish())?);
        }
        Ok(states)
    }

    /// The reactions to the messages from `low` to `high`, read and folded a bounded page at a time.
    async fn reactions_within(
        &self,
        room_id: &RoomId,
        bucket: i32,
        (low, high): (i64, i64),
        scope: ReactionScope<'_>,
    ) -> Result<HashMap<i64, ReactionFold>, StoreError> {
        let mut folds: HashMap<i64, ReactionFold> = HashMap::new();
        let mut after = (low, String::new(), String::new());
        loop {
            let (message, emoji, user_id) = &after;
            let values = (
                room_id.as_str(),
                bucket,
                message,
                emoji,
                user_id,
                high,
                REACTIONS_PAGE,
            );
            let select = &self.statements.reactions;
            let page = self.client.rows::<Given>(select, values).await?;
            let ended = page.len() < REACTIONS_PAGE as usize;
            if let Some((message, emoji, user_id, ..)) = page.last() {
                after = (*message, emoji.clone(), user_id.clone());
            }
            for (message, emoji, user_id, since, written) in page {
                let row = ReactionRow {
                    emoji,
                    user_id: id(&user_id)?,
                    since: since
                        .filter(|since| *since > 0)
                        .map(|it| seq(Some(it)))
                        .transpose()?,
                    written: seq(written)?,
                };
                let fold = folds.entry(message);
                fold.or_insert_with(|| ReactionFold::new(scope)).add(row);
            }
            if ended {
                return Ok(folds);
            }
        }
    }

    /// Many messages concurrently, by partition and seq.
    pub(super) async fn messages_at(
        &self,
        wanted: Vec<(RoomId, i32, Seq)>,
    ) -> Result<HashMap<RoomId, MessageState>, StoreError> {
        let read = wanted.iter().map(|(room_id, bucket, place)| async move {
            let message = self
                .message_at(room_id, *bucket, *place, ReactionScope::NONE)
                .await?;
            Ok::<_, StoreError>(message.map(|message| (room_id.clone(), message)))
        });
        Ok(try_join_all(read).await?.into_iter().flatten().collect())
    }
}

fn state(row: MessageRow, reactions: Reactions) -> Result<Option<MessageState>, StoreError> {
    let (place, body, edited_content, edited_at, deleted) = row;
    let Some(body) = body else { return Ok(None) };
    let event = event(&body)?;
    let message_id = MessageId::from(event.id);
    let EventBody::MessageSent(mut message) = event.body else {
        return Ok(None);
    };
    if deleted == Some(true) {
        message.content = None;
    } else if message.content.is_some() && edited_content.is_some() {
        message.content = edited_content;
    }
    Ok(Some(MessageState {
        room_id: event.room_id,
        seq: seq(Some(place))?,
        message_id,
        sender_id: event.sender_id,
        client_message_id: event.client_message_id,
        sent_at: event.sent_at,
        message,
        edited_at: edited_at.map(time),
        reactions,
    }))
}
