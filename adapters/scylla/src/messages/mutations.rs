//! Edits, deletions and reactions of messages.
//!
//! A batch's targets are read once, before anything is written, and followed in memory from there, so
//! that an edit knows of a deletion before it in the same batch. What is written is the same however
//! often the log is read: each cell has the seq of its event as timestamp.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::try_join_all;
use roomcast_ports::StoreError;
use roomcast_protocol::{EventBody, MessageId, RoomEvent, RoomId, Seq, StoredEvent, UserId};
use scylla::value::MaybeUnset;

use super::ScyllaMessages;
use crate::client::{Partition, WriteBatch};
use crate::rows::{event, millis, redacted, seq, to_cql};

/// A reaction's name.
type ReactionKey = (MessageId, String, UserId);

/// A message that something happens to.
#[derive(Debug)]
struct MessageMutationState {
    bucket: i32,
    seq: Seq,
    /// Its content, as far as it was read.
    event: Option<RoomEvent>,
    deleted: bool,
    /// Its edits by seq: the partition of each, and its content as far as it was read.
    edits: BTreeMap<Seq, (i32, Option<RoomEvent>)>,
}

/// The targets of a batch.
#[derive(Debug, Default)]
pub(super) struct Mutations {
    /// All of them, whether they were read or are sent in the batch.
    wanted: HashSet<MessageId>,
    messages: HashMap<MessageId, MessageMutationState>,
    /// Since when reactions are given.
    given: HashMap<ReactionKey, Seq>,
}

impl Mutations {
    /// A message is sent to which something happens in the same batch.
    fn sent(&mut self, stored: &StoredEvent, bucket: i32) {
        let id = MessageId::from(stored.event.id.clone());
        if self.wanted.contains(&id) {
            let target = MessageMutationState {
                bucket,
                seq: stored.seq,
                event: Some(stored.event.clone()),
                deleted: is_redacted(&stored.event),
                edits: BTreeMap::new(),
            };
            self.messages.insert(id, target);
        }
    }

    /// Since when the reaction is given after this event; zero when it is taken back. Given again, it
    /// stays where it was; what is known from later on is not yet so.
    fn react(&mut self, stored: &StoredEvent, id: &MessageId, emoji: &str, removed: bool) -> Seq {
        let key = (id.clone(), emoji.to_owned(), stored.event.sender_id.clone());
        let before = self.given.get(&key).copied().unwrap_or(Seq::ZERO);
        let given = match removed {
            true => Seq::ZERO,
            false if before > Seq::ZERO && before < stored.seq => before,
            false => stored.seq,
        };
        self.given.insert(key, given);
        given
    }
}

/// What of a target's row is read.
type TargetRow = (Option<Vec<u8>>, Option<bool>, Option<BTreeMap<i64, i32>>);

impl ScyllaMessages {
    /// Reads what the events are about, but for what they themselves send.
    pub(super) async fn load_mutations(
        &self,
        room_id: &RoomId,
        events: &[Arc<StoredEvent>],
    ) -> Result<Mutations, StoreError> {
        let wanted = events
            .iter()
            .filter_map(|stored| stored.event.body.target());
        let wanted: HashSet<MessageId> = wanted.cloned().collect();
        if wanted.is_empty() {
            return Ok(Mutations::default());
        }
        let (mut sent, mut ids, mut deleted) = (HashSet::new(), HashSet::new(), HashSet::new());
        for stored in events {
            match (&stored.event.body, stored.event.message_id()) {
                (EventBody::MessageSent(_), Some(id)) => _ = sent.insert(id),
                (body, Some(id)) => {
                    if matches!(body, EventBody::MessageDeleted { .. }) {
                        deleted.insert(id.clone());
                    }
                    if !sent.contains(&id) {
                        ids.insert(id);
                    }
                }
                _ => {}
            }
        }
        let loads = ids
            .iter()
            .map(|id| self.load_mutation(room_id, id, deleted.contains(id)));
        let messages = try_join_all(loads).await?.into_iter().flatten().collect();
        let mut targets = Mutations {
            wanted,
            messages,
            given: HashMap::new(),
        };
        targets.given = self.load_reactions(room_id, events, &targets).await?;
        Ok(targets)
    }

    async fn load_mutation(
        &self,
        room_id: &RoomId,
        id: &MessageId,
        with_edits: bool,
    ) -> Result<Option<(MessageId, MessageMutationState)>, StoreError> {
        let Some((bucket, place)) = self.located(room_id, id.as_str()).await? else {
            return Ok(None);
        };
        let select = &self.statements.target;
        let row = self
            .client
            .first::<TargetRow>(select, (room_id.as_str(), bucket, to_cql(place)));
        let (body, deleted, edits) = row.await?.unwrap_or_default();
        let said = body.as_deref().map(event).transpose()?;
        let mut target = MessageMutationState {
            bucket,
            seq: place,
            deleted: deleted == Some(true) || said.as_ref().is_some_and(is_redacted),
            event: said,
            edits: BTreeMap::new(),
        };
        for (place, bucket) in edits.unwrap_or_default() {
            let place = seq(Some(place))?;
            let said = if with_edits {
                self.event_at(room_id, bucket, place).await?
            } else {
                None
            };
            target
                .edits
                .insert(place, (bucket, said.map(|stored| stored.event.clone())));
        }
        Ok(Some((id.clone(), target)))
    }

    async fn load_reactions(
        &self,
        room_id: &RoomId,
        events: &[Arc<StoredEvent>],
        targets: &Mutations,
    ) -> Result<HashMap<ReactionKey, Seq>, StoreError> {
        let given = events.iter().filter_map(|stored| match &stored.event.body {
            EventBody::ReactionChanged {
                message_id,
                emoji,
                removed: false,
            } => {
                let user_id = stored.event.sender_id.clone();
                Some((message_id.clone(), emoji.clone(), user_id))
            }
            _ => None,
        });
        let keys: HashSet<ReactionKey> = given.collect();
        let loads = keys.into_iter().filter_map(|key| {
            let target = targets.messages.get(&key.0)?;
            Some(self.load_reaction(room_id, (target.bucket, target.seq), key))
        });
        try_join_all(loads)
            .await
            .map(|loaded| loaded.into_iter().collect())
    }

    async fn load_reaction(
        &self,
        room_id: &RoomId,
        (bucket, place): (i32, Seq),
        key: ReactionKey,
    ) -> Result<(ReactionKey, Seq), StoreError> {
        let values = (
            room_id.as_str(),
            bucket,
            to_cql(place),
            key.1.as_str(),
            key.2.as_str(),
        );
        let row = self
            .client
            .first::<(Option<i64>,)>(&self.statements.reaction, values)
            .await?;
        let given = seq(row.and_then(|(given,)| given))?;
        Ok((key, given))
    }

    /// Adds what the event does to its target, and gives the bytes that its own row shall have.
    pub(super) fn apply<'a>(
        &'a self,
        writes: &mut WriteBatch<'a>,
        targets: &mut Mutations,
        stored: &StoredEvent,
        bucket: i32,
        body: Vec<u8>,
    ) -> Vec<u8> {
        match &stored.event.body {
            EventBody::MessageSent(_) => {
                targets.sent(stored, bucket);
                body
            }
            EventBody::MessageEdited {
                message_id,
                content,
            } => {
                let Some(target) = targets.messages.get_mut(message_id) else {
                    return body;
                };
                target
                    .edits
                    .insert(stored.seq, (bucket, Some(stored.event.clone())));
                let content = content.clone().filter(|_| !target.deleted);
                self.add_edit(writes, target, stored, bucket, content);
                if target.deleted {
                    redacted(stored.event.clone())
                } else {
                    body
                }
            }
            EventBody::MessageDeleted { message_id } => {
                if let Some(target) = targets.messages.get_mut(message_id) {
                    target.deleted = true;
                    self.add_deletion(writes, target, stored);
                }
                body
            }
            EventBody::ReactionChanged {
                message_id,
                emoji,
                removed,
            } => {
                let given = targets.react(stored, message_id, emoji, *removed);
                if let Some(target) = targets.messages.get(message_id) {
                    self.add_reaction(writes, target, stored, emoji, given);
                }
                body
            }
            _ => body,
        }
    }

    fn add_edit<'a>(
        &'a self,
        writes: &mut WriteBatch<'a>,
        target: &MessageMutationState,
        stored: &StoredEvent,
        bucket: i32,
        content: Option<String>,
    ) {
        let (room, size) = (
            stored.event.room_id.to_string(),
            content.as_ref().map_or(0, String::len),
        );
        let values = (
            to_cql(stored.seq),
            MaybeUnset::from_option(content),
            millis(stored.event.sent_at),
            to_cql(stored.seq),
            bucket,
            room.clone(),
            target.bucket,
            to_cql(target.seq),
        );
        let partition = Partition::numbered(&room, target.bucket);
        writes.add(partition, &self.statements.edit, values, size);
    }

    /// The message and its edits up to here are redacted; later ones were never applied.
    fn add_deletion<'a>(
        &'a self,
        writes: &mut WriteBatch<'a>,
        target: &MessageMutationState,
        stored: &StoredEvent,
    ) {
        let (stamp, room) = (to_cql(stored.seq), stored.event.room_id.to_string());
        let body = MaybeUnset::from_option(target.event.clone().map(redacted));
        let values = (stamp, body, room.clone(), target.bucket, to_cql(target.seq));
        let partition = Partition::numbered(&room, target.bucket);
        writes.add(partition, &self.statements.delete, values, 0);
        for (place, (bucket, said)) in target.edits.range(..stored.seq) {
            let Some(said) = said else { continue };
            let values = (
                stamp,
                redacted(said.clone()),
                room.clone(),
                *bucket,
                to_cql(*place),
            );
            let partition = Partition::numbered(&room, *bucket);
            writes.add(partition, &self.statements.empty, values, 0);
        }
    }

    fn add_reaction<'a>(
        &'a self,
        writes: &mut WriteBatch<'a>,
        target: &MessageMutationState,
        stored: &StoredEvent,
        emoji: &str,
        given: Seq,
    ) {
        let room = stored.event.room_id.to_string();
        let values = (
            to_cql(stored.seq),
            to_cql(given),
            room.clone(),
            target.bucket,
            to_cql(target.seq),
            emoji.to_owned(),
            stored.event.sender_id.to_string(),
        );
        let partition = Partition::numbered(&room, target.bucket);
        writes.add(partition, &self.statements.react, values, 0);
    }
}

/// A message that has been deleted since, as the log may hand it out.
fn is_redacted(event: &RoomEvent) -> bool {
    matches!(&event.body, EventBody::MessageSent(message) if message.content.is_none())
}
