//! Applies one consumer batch, in an order that leaves no gap behind a head.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use roomcast_ports::StoreError;
use roomcast_ports::message_store::Checkpoint;
use roomcast_protocol::{EventBody, RoomId, StoredEvent};

use super::ScyllaMessages;
use super::marks::UNKNOWN;
use super::write_plan::RoomWrites;
use crate::client::WriteBatch;
use crate::rows::to_cql;

/// The log's seqs are `incarnation << 40 | number`.
const INCARNATION_SHIFT: u32 = 40;

impl ScyllaMessages {
    /// Writes a feed batch: events, then what became of their targets, then heads, then the checkpoint.
    pub(super) async fn apply_batch(
        &self,
        events: &[Arc<StoredEvent>],
        place: Checkpoint,
    ) -> Result<(), StoreError> {
        self.record_epoch(place).await?;
        let rooms = by_room(events);
        let plans = rooms
            .iter()
            .map(|(room_id, events)| self.plan(place.partition, room_id, events));
        let plans: Vec<RoomWrites<'_>> = try_join_all(plans).await?;
        let (mut first, mut then, mut heads) = (
            WriteBatch::default(),
            WriteBatch::default(),
            WriteBatch::default(),
        );
        let mut stand = Vec::with_capacity(plans.len());
        for plan in plans {
            first.append(plan.events);
            then.append(plan.targets);
            heads.append(plan.head);
            stand.push((plan.room_id, plan.chain));
        }
        self.client.write_all(first).await?;
        self.client.write_all(then).await?;
        self.index_public_rooms(events).await?;
        self.record_members_changed(events).await?;
        self.client.write_all(heads).await?;
        self.advance_checkpoint(place).await?;
        for (room_id, chain) in stand {
            self.cache.put(place.partition, &room_id, chain);
        }
        Ok(())
    }

    /// Writes what of the events is about rooms and members.
    pub(super) async fn apply_membership_early(
        &self,
        events: &[Arc<StoredEvent>],
    ) -> Result<(), StoreError> {
        let mut writes = WriteBatch::default();
        for stored in events {
            self.add_membership_change(&mut writes, stored, UNKNOWN);
        }
        self.client.write_all(writes).await?;
        self.record_members_changed(events).await?;
        self.index_public_rooms(events).await
    }

    /// Records each room's last joining or leaving, once its members are written: a reader of it counts
    /// them too.
    async fn record_members_changed(&self, events: &[Arc<StoredEvent>]) -> Result<(), StoreError> {
        let mut last = HashMap::new();
        for stored in events {
            if let EventBody::MemberJoined { .. }
            | EventBody::MemberLeft { .. }
            | EventBody::MembersAdded { .. } = stored.event.body
            {
                let seq = last.entry(&stored.event.room_id).or_insert(stored.seq);
                *seq = stored.seq.max(*seq);
            }
        }
        let statement = &self.statements.move_members_changed;
        try_join_all(last.into_iter().map(|(room_id, seq)| {
            let values = (to_cql(seq), to_cql(seq), room_id.to_string());
            self.client.write(statement, values)
        }))
        .await?;
        Ok(())
    }

    async fn index_public_rooms(&self, events: &[Arc<StoredEvent>]) -> Result<(), StoreError> {
        let control = events
            .iter()
            .filter(|stored| stored.event.body.changes_room());
        try_join_all(control.map(|stored| self.index_room(stored))).await?;
        Ok(())
    }

    /// Records the incarnation of the log before its first write: a log that is
    /// created again starts above it, however little of this one has been written.
    async fn record_epoch(&self, place: Checkpoint) -> Result<(), StoreError> {
        let Checkpoint {
            partition,
            position,
        } = place;
        let incarnation = position >> INCARNATION_SHIFT;
        if incarnation == 0 || self.cache.has_reached(partition, incarnation) {
            return Ok(());
        }
        // The seq before its first, so that it does not matter who begins with which batch.
        let reached = (incarnation << INCARNATION_SHIFT).cast_signed();
        let values = (reached, reached, i32::from(partition));
        self.client
            .write(&self.statements.raise_epoch_floor, values)
            .await?;
        self.cache.reached(partition, incarnation);
        Ok(())
    }

    async fn advance_checkpoint(&self, place: Checkpoint) -> Result<(), StoreError> {
        let position = place.position.cast_signed();
        let values = (position, position, i32::from(place.partition));
        self.client
            .write(&self.statements.advance_checkpoint, values)
            .await
    }
}

/// The events of each room in order, each once.
fn by_room(events: &[Arc<StoredEvent>]) -> Vec<(RoomId, Vec<Arc<StoredEvent>>)> {
    let mut rooms: HashMap<RoomId, Vec<Arc<StoredEvent>>> = HashMap::new();
    for stored in events {
        rooms
            .entry(stored.event.room_id.clone())
            .or_default()
            .push(Arc::clone(stored));
    }
    let mut rooms: Vec<_> = rooms.into_iter().collect();
    for (_, events) in &mut rooms {
        events.sort_by_key(|stored| stored.seq);
        events.dedup_by_key(|stored| stored.seq);
    }
    rooms
}
