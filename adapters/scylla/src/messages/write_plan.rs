//! One room's part of a consumer batch: the reads it needs, and the rows it writes.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::counter;
use roomcast_ports::StoreError;
use roomcast_protocol::event::encode;
use roomcast_protocol::{EventBody, RoomId, Seq, StoredEvent, UserId};

use super::ScyllaMessages;
use super::bucket::{before, id_shard};
use super::marks::known;
use super::membership::of;
use super::mutations::Mutations;
use super::position::RoomPosition;
use crate::client::{Partition, WriteBatch};
use crate::rows::{millis, to_cql};

/// The rows of a room, in the order of writing.
pub(super) struct RoomWrites<'a> {
    pub(super) room_id: RoomId,
    /// Where the room stands afterwards.
    pub(super) chain: RoomPosition,
    pub(super) events: WriteBatch<'a>,
    pub(super) targets: WriteBatch<'a>,
    pub(super) head: WriteBatch<'a>,
}

/// The room's last message in the batch.
struct LastMessage {
    seq: Seq,
    bucket: i32,
    sent_at: i64,
}

impl ScyllaMessages {
    /// Plans the room's events, which are in order.
    pub(super) async fn plan(
        &self,
        partition: u16,
        room_id: &RoomId,
        events: &[Arc<StoredEvent>],
    ) -> Result<RoomWrites<'_>, StoreError> {
        let start = match events.first() {
            Some(first) => self.position_before(partition, first).await?,
            None => RoomPosition::START,
        };
        let mut targets = self.load_mutations(room_id, events).await?;
        let mut plan = RoomWrites {
            room_id: room_id.clone(),
            chain: start,
            events: WriteBatch::default(),
            targets: WriteBatch::default(),
            head: WriteBatch::default(),
        };
        let (mut last_message, mut active_at, mut marks) = (None, None, HashMap::new());
        for stored in events {
            let chain = self.add_event(&mut plan, &mut targets, stored);
            if matches!(stored.event.body, EventBody::MessageSent(_)) {
                active_at = active_at.max(Some(millis(stored.event.sent_at)));
                last_message = Some(LastMessage {
                    seq: chain.seq,
                    bucket: chain.bucket,
                    sent_at: millis(stored.event.sent_at),
                });
                marks.insert(stored.event.sender_id.clone(), chain);
            }
            self.add_membership_change(&mut plan.events, stored, known(chain.ordinal));
        }
        self.add_marks(&mut plan, marks);
        self.add_head(&mut plan, last_message);
        if let Some(at) = active_at {
            let values = (at, at, room_id.to_string());
            let statement = &self.statements.move_active_at;
            plan.head.add(of(room_id), statement, values, 0);
        }
        Ok(plan)
    }

    /// Where the room stood before the event: remembered, or read.
    async fn position_before(
        &self,
        partition: u16,
        first: &StoredEvent,
    ) -> Result<RoomPosition, StoreError> {
        let room_id = &first.event.room_id;
        if let Some(chain) = self.cache.get(partition, room_id)
            && first.prev <= chain.seq
            && chain.seq < first.seq
        {
            return Ok(chain);
        }
        let chain = match before(first.seq) {
            Some(place) => self.position_at(room_id, place).await?,
            None => RoomPosition::START,
        };
        if first.prev > chain.seq {
            counter!("chat_store_holes_total").increment(1);
            tracing::warn!(%room_id, prev = %first.prev, stored = %chain.seq, "store lacks earlier events of a room");
        }
        Ok(chain)
    }

    /// Adds the event's own rows and what it does to its target; where the room stands then.
    fn add_event<'a>(
        &'a self,
        plan: &mut RoomWrites<'a>,
        targets: &mut Mutations,
        stored: &StoredEvent,
    ) -> RoomPosition {
        let (event, before) = (&stored.event, plan.chain);
        let body = encode(event);
        let is_message = matches!(event.body, EventBody::MessageSent(_));
        let bytes = body.len() as u64;
        let chain = before.advance(stored.seq, is_message, bytes, self.bounds);
        plan.chain = chain;
        let (seq, room) = (to_cql(stored.seq), event.room_id.to_string());
        if chain.starts_bucket() {
            let values = (room.clone(), seq, chain.bucket, seq);
            let partition = of(&event.room_id);
            plan.events
                .add(partition, &self.statements.insert_bucket, values, 0);
        }
        let body = self.apply(&mut plan.targets, targets, stored, chain.bucket, body);
        let id = event.id.to_string();
        let shard = id_shard(chain.bucket, &id);
        let values = (room.clone(), shard, id.clone(), seq, chain.bucket, -seq);
        let partition = Partition::numbered(&room, shard);
        plan.events
            .add(partition, &self.statements.insert_id, values, 0);
        // The log may no longer have known what came before.
        let prev = to_cql(stored.prev.max(before.seq));
        let size = body.len();
        let values = (
            room.clone(),
            chain.bucket,
            seq,
            prev,
            id,
            body,
            is_message,
            chain.ordinal.cast_signed(),
            chain.number.cast_signed(),
            chain.bytes.cast_signed(),
            seq,
        );
        let partition = Partition::numbered(&room, chain.bucket);
        plan.events
            .add(partition, &self.statements.insert_event, values, size);
        chain
    }

    /// The sender has read up to there. Written with the head, whose partition is the same.
    fn add_marks<'a>(&'a self, plan: &mut RoomWrites<'a>, marks: HashMap<UserId, RoomPosition>) {
        for (user_id, chain) in marks {
            let (seq, ordinal) = (to_cql(chain.seq), known(chain.ordinal));
            let values = (
                seq,
                seq,
                ordinal,
                seq,
                plan.room_id.to_string(),
                user_id.to_string(),
            );
            let partition = of(&plan.room_id);
            plan.head
                .add(partition, &self.statements.move_both, values, 0);
        }
    }

    fn add_head<'a>(&'a self, plan: &mut RoomWrites<'a>, last_message: Option<LastMessage>) {
        let (chain, room) = (plan.chain, plan.room_id.to_string());
        let (seq, ordinal) = (to_cql(chain.seq), chain.ordinal.cast_signed());
        let (number, bytes) = (chain.number.cast_signed(), chain.bytes.cast_signed());
        let partition = of(&plan.room_id);
        let statements = &self.statements;
        match last_message {
            Some(last) if last.seq == chain.seq => {
                let (bucket, at) = (chain.bucket, last.sent_at);
                let values = (
                    seq, seq, ordinal, bucket, number, bytes, seq, bucket, at, room,
                );
                let both = &statements.move_head_and_message;
                return plan.head.add(partition, both, values, 0);
            }
            Some(last) => {
                let place = to_cql(last.seq);
                let values = (place, place, last.bucket, last.sent_at, room.clone());
                let statement = &statements.move_last_message;
                plan.head.add(partition.clone(), statement, values, 0);
            }
            None => {}
        }
        let values = (seq, seq, ordinal, chain.bucket, number, bytes, room);
        plan.head.add(partition, &statements.move_head, values, 0);
    }
}
