//! A data directory with the rooms service on it, and people in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use roomcast_embedded::{Embedded, EmbeddedStore};
use roomcast_ports::access::{Caller, Memberships as _};
use roomcast_ports::event_log::{Append, EventLog};
use roomcast_ports::message_store::{Checkpoint, MessageWriter as _};
use roomcast_protocol::api::RoomView;
use roomcast_protocol::event::Message;
use roomcast_protocol::{
    ErrorCode, EventBody, EventId, MemberRole, Refusal, RoomEvent, RoomId, RoomKind, Seq,
    StoredEvent, Timestamp, UserId, Visibility,
};
use roomcast_rooms::{CreateRoom, Rooms};

pub(crate) struct World {
    pub(crate) rooms: Rooms,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) store: Arc<EmbeddedStore>,
    embedded: Arc<Embedded>,
    directory: PathBuf,
}

static WORLDS: AtomicU32 = AtomicU32::new(0);

impl World {
    pub(crate) fn new() -> Self {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let name = format!("roomcast-rooms-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let embedded = Arc::new(Embedded::open(&directory).unwrap());
        let (log, store) = (embedded.log(), embedded.messages());
        let rooms = Rooms::new(
            Arc::clone(&log),
            store.clone(),
            store.clone(),
            store.clone(),
        );
        Self {
            rooms,
            log,
            store,
            embedded,
            directory,
        }
    }

    /// The rooms service on another log than the world's own.
    pub(crate) fn rooms_on(&self, log: Arc<dyn EventLog>) -> Rooms {
        Rooms::new(
            log,
            self.store.clone(),
            self.store.clone(),
            self.store.clone(),
        )
    }

    /// What ingest would do, up to the log's end.
    pub(crate) async fn ingest(&self) {
        for partition in 0..self.log.partitions() {
            let position = self.store.checkpoint(partition).await.unwrap();
            let claim = self.log.claim(partition).await.unwrap();
            let mut feed = claim.open(position).await.unwrap();
            let soon = Duration::from_millis(50);
            while let Ok(batch) = tokio::time::timeout(soon, feed.next(100)).await {
                let batch = batch.unwrap();
                let place = Checkpoint {
                    partition,
                    position: batch.position,
                };
                self.store.apply(&batch.events, Some(place)).await.unwrap();
            }
        }
    }

    pub(crate) async fn events(&self, room_id: &RoomId) -> Vec<Arc<StoredEvent>> {
        self.log.read(room_id, Seq::ZERO, 100_000).await.unwrap()
    }

    /// Sends a message to the room, as a gateway would.
    pub(crate) async fn say(&self, room_id: &RoomId, by: &str) -> Seq {
        let message = Message {
            content: Some("hello".into()),
            ..Message::default()
        };
        let event = RoomEvent {
            id: EventId::generate(),
            room_id: room_id.clone(),
            sender_id: user(by),
            client_message_id: None,
            sent_at: Timestamp::now(),
            body: EventBody::MessageSent(message),
        };
        self.log.append(Append::new(event)).await.unwrap().seq
    }

    /// A group of `owner`'s with these members.
    pub(crate) async fn group(&self, owner: &str, members: &[&str]) -> RoomId {
        self.make(owner, group(members)).await.room_id
    }

    pub(crate) async fn public_group(&self, owner: &str, name: &str) -> RoomId {
        let visibility = Some(Visibility::Public);
        let request = CreateRoom {
            visibility,
            name: Some(name.into()),
            ..group(&[])
        };
        self.make(owner, request).await.room_id
    }

    async fn make(&self, owner: &str, request: CreateRoom) -> RoomView {
        let (room, made) = self.rooms.create(&caller(owner), request).await.unwrap();
        assert!(made);
        room
    }

    pub(crate) async fn role(&self, room_id: &RoomId, name: &str) -> Option<MemberRole> {
        let standing = self.rooms.membership(room_id, &user(name)).await.unwrap();
        assert_eq!(standing.as_of, self.log.head(room_id).await.unwrap());
        standing.role
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.embedded.close();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn caller(name: &str) -> Caller {
    let expires_at = Timestamp::now().plus(Duration::from_secs(600));
    Caller {
        user_id: user(name),
        name: None,
        session_id: None,
        admin: false,
        expires_at,
    }
}

pub(crate) fn host() -> Caller {
    Caller {
        admin: true,
        ..caller("host")
    }
}

pub(crate) fn group(members: &[&str]) -> CreateRoom {
    CreateRoom {
        kind: RoomKind::Group,
        name: None,
        visibility: None,
        member_ids: members.iter().map(|name| user(name)).collect(),
        room_id: None,
    }
}

pub(crate) fn direct(with: &str) -> CreateRoom {
    CreateRoom {
        kind: RoomKind::Direct,
        ..group(&[with])
    }
}

pub(crate) fn by_host(room_id: &str, members: &[&str]) -> CreateRoom {
    CreateRoom {
        room_id: Some(RoomId::new(room_id).unwrap()),
        ..group(members)
    }
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> ErrorCode {
    result.unwrap_err().code
}
