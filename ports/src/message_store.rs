//! What is derived from the log for readers: every event, messages in their current state, rooms,
//! members. All of it can be rebuilt from the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use roomcast_protocol::api::{MessageType, MessageView, ReactionView};
use roomcast_protocol::event::Message;
use roomcast_protocol::limits::REACTION_USERS_SHOWN_MAX;
use roomcast_protocol::{
    ClientMessageId, EventId, MessageId, RoomId, Seq, StoredEvent, Timestamp, UserId,
};
use tokio::sync::watch;

use crate::StoreError;
use crate::reactions::{ReactionScope, Reactions};

/// How far a partition of the log has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which partition.
    pub partition: u16,
    /// The feed's position after the last event written.
    pub position: u64,
}

/// A message in its current state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageState {
    /// Where it was sent.
    pub room_id: RoomId,
    /// Its seq.
    pub seq: Seq,
    /// Its name.
    pub message_id: MessageId,
    /// Who sent it.
    pub sender_id: UserId,
    /// What its client called it.
    pub client_message_id: Option<ClientMessageId>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Its current content; none if it is deleted.
    pub message: Message,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
    /// Its reactions.
    pub reactions: Reactions,
}

impl MessageState {
    /// Whether it has been deleted.
    pub const fn is_deleted(&self) -> bool {
        self.message.content.is_none()
    }

    /// The message as readers are shown it: a deleted one without what it carried, and of those who
    /// reacted only the first [`REACTION_USERS_SHOWN_MAX`], beside how many they are.
    pub fn view(self) -> MessageView {
        let deleted = self.is_deleted();
        let Message {
            content,
            reply_to,
            attachments,
            mentions,
        } = self.message;
        let reactions = self.reactions.iter().map(|reaction| {
            let shown = reaction.holders.iter().take(REACTION_USERS_SHOWN_MAX);
            ReactionView {
                emoji: reaction.emoji.clone(),
                count: reaction.count,
                user_ids: shown.map(|(_, user_id)| user_id.clone()).collect(),
            }
        });
        MessageView {
            r#type: MessageType::Message,
            room_id: self.room_id,
            seq: self.seq,
            ts: self.sent_at,
            message_id: self.message_id,
            sender_id: self.sender_id,
            content,
            client_msg_id: self.client_message_id,
            reply_to,
            attachments: if deleted { Vec::new() } else { attachments },
            mentions: if deleted { Vec::new() } else { mentions },
            edited_at: self.edited_at,
            deleted,
            reactions: reactions.collect(),
        }
    }
}

/// The returns of a store's machines, each of which may have forgotten what it confirmed last.
#[derive(Debug, Clone, Default)]
pub struct ResyncRequests {
    /// How many there were.
    count: u64,
    /// For the last requests, since when the node had been down; `None` if that is unknown.
    away_since: VecDeque<Option<Instant>>,
    /// Machines that are not connected now.
    away: usize,
}

/// Returns of which the time is kept.
const RESYNC_REQUESTS_MAX: usize = 64;

impl ResyncRequests {
    /// Counts a node that has returned.
    pub fn add(&mut self, away_since: Option<Instant>) {
        self.count += 1;
        if self.away_since.len() == RESYNC_REQUESTS_MAX {
            self.away_since.pop_front();
        }
        self.away_since.push_back(away_since);
    }

    /// Sets how many machines are not connected now. It is no return: senders change it without notifying
    /// receivers.
    pub const fn set_away(&mut self, machines: usize) {
        self.away = machines;
    }

    /// Whether a machine is not connected now. What it has confirmed may be missing on it when it returns.
    pub const fn is_any_away(&self) -> bool {
        self.away > 0
    }

    /// How many there were.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Since when the first of those that left has been away, of the returns after the first `seen`;
    /// `None` when that is not known.
    pub fn away_since(&self, seen: u64) -> Option<Instant> {
        let new = usize::try_from(self.count.saturating_sub(seen)).ok()?;
        let known = self.away_since.len();
        let first = known.checked_sub(new)?;
        let times = self.away_since.range(first..);
        times.copied().min().flatten()
    }
}

/// The write side.
#[async_trait]
pub trait MessageWriter: Send + Sync {
    /// Derives everything from `events`: messages and their targets' state, heads, rooms, members,
    /// the sender's own mark. Given again, or after later ones of the room, they change nothing:
    /// what is written is ordered by `seq`.
    ///
    /// With `place` the events are one feed batch: within each room they follow what was written
    /// before, and [`MessageReader::applied_seq`] and the checkpoint move on with them: never ahead of
    /// what is written. Of a call that failed anything may be written but the checkpoint; making it again
    /// makes it whole.
    ///
    /// Without it they are written ahead of the feed and the room's `applied_seq` stays: rooms and
    /// members show them immediately, messages, events, heads and marks may not until the feed brings them.
    async fn apply(
        &self,
        events: &[Arc<StoredEvent>],
        place: Option<Checkpoint>,
    ) -> Result<(), StoreError>;

    /// How far `partition` has been written; zero at first.
    async fn checkpoint(&self, partition: u16) -> Result<u64, StoreError>;

    /// How much of what was written last the store may forget when a machine of it dies, in time;
    /// `None` when it never does. Lost rows have to be written again from the log.
    fn crash_loss_window(&self) -> Option<Duration>;

    /// How long a feed should wait after a batch for more to come when nothing more is there, because
    /// each batch has a price of its own. Readers take from the log what is not here yet.
    fn linger(&self) -> Duration {
        Duration::ZERO
    }

    /// Changes whenever a node of the store has returned, which may have forgotten something.
    fn resync_requests(&self) -> watch::Receiver<ResyncRequests>;
}

/// The read side. Lists are oldest first.
#[async_trait]
pub trait MessageReader: Send + Sync {
    /// The place up to which the feed of this room has been written without a hole.
    async fn applied_seq(&self, room_id: &RoomId) -> Result<Seq, StoreError>;

    /// Every event after `after` in order, at most `limit`; deleted messages are redacted.
    async fn events_after(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, StoreError>;

    /// The newest `limit` messages before `before`. Events after `tail_from` will be folded on top.
    async fn messages_before(
        &self,
        room_id: &RoomId,
        before: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError>;

    /// The oldest `limit` messages at or after `from`. Events after `tail_from` will be folded on top.
    async fn messages_from(
        &self,
        room_id: &RoomId,
        from: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError>;

    /// One message.
    async fn message(
        &self,
        room_id: &RoomId,
        message_id: &MessageId,
        scope: ReactionScope<'_>,
    ) -> Result<Option<MessageState>, StoreError>;

    /// The event of this id, if the room has it; however long ago.
    async fn event(
        &self,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, StoreError>;
}
