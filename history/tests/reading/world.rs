//! A data directory with one talkative room in it, and ingest by hand.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use roomcast_embedded::{Embedded, EmbeddedStore};
use roomcast_history::History;
use roomcast_ports::event_log::{Append, EventLog};
use roomcast_ports::message_store::{Checkpoint, MessageWriter as _};
use roomcast_protocol::event::{Message, RoomCreation};
use roomcast_protocol::{
    EventBody, EventId, MemberRole, MessageId, RoomEvent, RoomId, RoomKind, Seq, StoredEvent,
    Timestamp, UserId,
};

pub(crate) struct World {
    pub(crate) history: History,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) store: Arc<EmbeddedStore>,
    pub(crate) room: RoomId,
    embedded: Arc<Embedded>,
    directory: PathBuf,
}

static WORLDS: AtomicU32 = AtomicU32::new(0);

impl World {
    /// A room with its owner and no messages.
    pub(crate) async fn new() -> Self {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let name = format!("roomcast-history-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let embedded = Arc::new(Embedded::open(&directory).unwrap());
        let (log, store) = (embedded.log(), embedded.messages());
        let history = History::new(Arc::clone(&log), store.clone());
        let room = RoomId::new("room").unwrap();
        let world = Self {
            history,
            log,
            store,
            room,
            embedded,
            directory,
        };
        let founding = Some(RoomCreation {
            kind: RoomKind::Group,
            visibility: None,
            name: None,
        });
        let (user_id, role) = (user(0), MemberRole::Owner);
        world
            .append(
                0,
                EventBody::MemberJoined {
                    user_id,
                    role,
                    founding,
                },
            )
            .await;
        world
    }

    pub(crate) async fn append(&self, by: usize, body: EventBody) -> (Seq, MessageId) {
        let id = EventId::generate();
        let event = RoomEvent {
            id: id.clone(),
            room_id: self.room.clone(),
            sender_id: user(by),
            client_message_id: None,
            sent_at: Timestamp::now(),
            body,
        };
        (
            self.log.append(Append::new(event)).await.unwrap().seq,
            id.into(),
        )
    }

    pub(crate) async fn say(&self, text: &str) -> (Seq, MessageId) {
        let message = Message {
            content: Some(text.to_owned()),
            ..Message::default()
        };
        self.append(0, EventBody::MessageSent(message)).await
    }

    pub(crate) async fn delete(&self, message_id: &MessageId) {
        self.append(
            0,
            EventBody::MessageDeleted {
                message_id: message_id.clone(),
            },
        )
        .await;
    }

    pub(crate) async fn edit(&self, message_id: &MessageId, text: &str) {
        let (message_id, content) = (message_id.clone(), Some(text.to_owned()));
        self.append(
            0,
            EventBody::MessageEdited {
                message_id,
                content,
            },
        )
        .await;
    }

    /// What ingest would do with the next `count` events.
    pub(crate) async fn ingest(&self, count: usize) {
        let mut left = count;
        for partition in 0..self.log.partitions() {
            let position = self.store.checkpoint(partition).await.unwrap();
            let claim = self.log.claim(partition).await.unwrap();
            let mut feed = claim.open(position).await.unwrap();
            let soon = Duration::from_millis(50);
            while left > 0 {
                let next = tokio::time::timeout(soon, feed.next(left.min(100))).await;
                let Ok(batch) = next else { break };
                let batch = batch.unwrap();
                left -= batch.events.len();
                let place = Checkpoint {
                    partition,
                    position: batch.position,
                };
                self.store.apply(&batch.events, Some(place)).await.unwrap();
            }
        }
    }

    pub(crate) async fn events(&self) -> Vec<Arc<StoredEvent>> {
        self.log.read(&self.room, Seq::ZERO, 100_000).await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.embedded.close();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn user(number: usize) -> UserId {
    UserId::new(&format!("u{number}")).unwrap()
}

/// The next of a row of numbers that looks random and is the same for the same seed (SplitMix64).
pub(crate) fn next(seed: &mut u64) -> usize {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap()
}
