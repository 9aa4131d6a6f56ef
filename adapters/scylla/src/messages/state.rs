//! Messages in their current state.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use roomcast_ports::StoreError;
use roomcast_ports::message_store::{MessageState, ReactionState};
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
/// Who reacted to what with what, since when.
type ReactionRow = (i64, String, String, Option<i64>);

impl ScyllaMessages {
    /// The newest messages before `place`, oldest first.
    pub(super) async fn read_messages_before(
        &self,
        room_id: &RoomId,
        place: Seq,
        limit: usize,
    ) -> Result<Vec<MessageState>, StoreError> {
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
            found.extend(self.states(room_id, bucket, page).await?);
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
    ) -> Result<Vec<MessageState>, StoreError> {
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
            found.extend(self.states(room_id, bucket, page).await?);
        }
        Ok(found)
    }

    /// The message at this place of this partition.
    pub(super) async fn message_at(
        &self,
        room_id: &RoomId,
        bucket: i32,
        place: Seq,
    ) -> Result<Option<MessageState>, StoreError> {
        let values = (room_id.as_str(), bucket, to_cql(place));
        let row = self
            .client
            .first::<MessageRow>(&self.statements.message_at, values)
            .await?;
        let states = self
            .states(room_id, bucket, row.into_iter().collect())
            .await?;
        Ok(states.into_iter().next())
    }

    /// The rows of one partition as messages, in the same order; what is none is left out.
    async fn states(
        &self,
        room_id: &RoomId,
        bucket: i32,
        page: Vec<MessageRow>,
    ) -> Result<Vec<MessageState>, StoreError> {
        let places = page.iter().map(|row| row.0);
        let (Some(low), Some(high)) = (places.clone().min(), places.max()) else {
            return Ok(Vec::new());
        };
        let given = self.reactions_within(room_id, bucket, low, high).await?;
        let mut given = by_message(given);
        let mut states = Vec::with_capacity(page.len());
        for row in page {
            let reactions = given.remove(&row.0).unwrap_or_default();
            states.extend(state(row, reactions)?);
        }
        Ok(states)
    }

    /// The reactions that are held to the messages from `low` to `high`, read a bounded page at a time.
    async fn reactions_within(
        &self,
        room_id: &RoomId,
        bucket: i32,
        low: i64,
        high: i64,
    ) -> Result<Vec<ReactionRow>, StoreError> {
        let (mut held, mut after) = (Vec::new(), (low, String::new(), String::new()));
        loop {
            let (seq, emoji, user_id) = &after;
            let values = (
                room_id.as_str(),
                bucket,
                seq,
                emoji,
                user_id,
                high,
                REACTIONS_PAGE,
            );
            let select = &self.statements.reactions;
            let page = self.client.rows::<ReactionRow>(select, values).await?;
            let ended = page.len() < REACTIONS_PAGE as usize;
            if let Some((seq, emoji, user_id, _)) = page.last() {
                after = (*seq, emoji.clone(), user_id.clone());
            }
            let given = |row: &ReactionRow| row.3.is_some_and(|since| since > 0);
            held.extend(page.into_iter().filter(given));
            if ended {
                return Ok(held);
            }
        }
    }

    /// Many messages at once, by partition and place.
    pub(super) async fn messages_at(
        &self,
        wanted: Vec<(RoomId, i32, Seq)>,
    ) -> Result<HashMap<RoomId, MessageState>, StoreError> {
        let read = wanted.iter().map(|(room_id, bucket, place)| async move {
            let message = self.message_at(room_id, *bucket, *place).await?;
            Ok::<_, StoreError>(message.map(|message| (room_id.clone(), message)))
        });
        Ok(try_join_all(read).await?.into_iter().flatten().collect())
    }
}

/// Reactions of each place, in the order in which they were given.
fn by_message(mut given: Vec<ReactionRow>) -> HashMap<i64, Vec<ReactionRow>> {
    given.sort_by_key(|row| row.3);
    let mut messages: HashMap<i64, Vec<ReactionRow>> = HashMap::new();
    for row in given {
        messages.entry(row.0).or_default().push(row);
    }
    messages
}

fn state(row: MessageRow, given: Vec<ReactionRow>) -> Result<Option<MessageState>, StoreError> {
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
        reactions: reactions(given)?,
    }))
}

fn reactions(given: Vec<ReactionRow>) -> Result<Vec<ReactionState>, StoreError> {
    let held = given
        .into_iter()
        .map(|(_, emoji, user_id, _)| Ok((emoji, id(&user_id)?)));
    let held: Vec<_> = held.collect::<Result<_, StoreError>>()?;
    Ok(ReactionState::group(held))
}
