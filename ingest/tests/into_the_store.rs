//! Ingest from the embedded log into the embedded store, which may be away for a while.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use roomcast_embedded::{Embedded, EmbeddedStore};
use roomcast_ingest::Ingest;
use roomcast_ports::StoreError;
use roomcast_ports::event_log::{Append, EventLog};
use roomcast_ports::message_store::{MessageReader as _, MessageWriter, Place};
use roomcast_protocol::event::Message;
use roomcast_protocol::{
    EventBody, EventId, RoomEvent, RoomId, Seq, StoredEvent, Timestamp, UserId,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

struct World {
    embedded: Embedded,
    directory: PathBuf,
}

static WORLDS: AtomicU32 = AtomicU32::new(0);

impl World {
    fn new() -> Self {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let name = format!("roomcast-ingest-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        Self {
            embedded: Embedded::open(&directory).unwrap(),
            directory,
        }
    }

    fn log(&self) -> Arc<dyn EventLog> {
        self.embedded.log()
    }

    async fn say(&self, room: &str, count: usize) {
        for _ in 0..count {
            let message = Message {
                content: Some("hello".into()),
                ..Message::default()
            };
            let event = RoomEvent {
                id: EventId::generate(),
                room_id: RoomId::new(room).unwrap(),
                sender_id: UserId::new("anna").unwrap(),
                client_message_id: None,
                sent_at: Timestamp::now(),
                body: EventBody::MessageSent(message),
            };
            self.log().append(Append::new(event)).await.unwrap();
        }
    }

    /// Waits until the store has all of the room, and looks whether it is what the log has.
    async fn is_written(&self, room: &str) {
        let (log, store) = (self.log(), self.embedded.messages());
        let room_id = RoomId::new(room).unwrap();
        let head = log.head(&room_id).await.unwrap();
        while store.complete_to(&room_id).await.unwrap() < head {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let logged = log.read(&room_id, Seq::ZERO, 10_000).await.unwrap();
        let written = store
            .events_after(&room_id, Seq::ZERO, 10_000)
            .await
            .unwrap();
        assert_eq!(logged, written);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.embedded.close();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A store that is away when it is told so, and sometimes forgets to say that it has written.
struct Flaky {
    store: Arc<EmbeddedStore>,
    away: AtomicBool,
    refused: AtomicU32,
}

#[async_trait]
impl MessageWriter for Flaky {
    async fn write(
        &self,
        events: &[Arc<StoredEvent>],
        place: Option<Place>,
    ) -> Result<(), StoreError> {
        if self.away.load(Ordering::SeqCst) {
            // What was written without being confirmed is written again.
            if self.refused.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
                self.store.write(events, None).await?;
            }
            return Err(StoreError::Unavailable("away".into()));
        }
        self.store.write(events, place).await
    }
    async fn place(&self, partition: u16) -> Result<u64, StoreError> {
        self.store.place(partition).await
    }

    fn may_forget(&self) -> Option<Duration> {
        self.store.may_forget()
    }

    fn setbacks(&self) -> watch::Receiver<u64> {
        self.store.setbacks()
    }
}

struct Running {
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Running {
    fn start(log: Arc<dyn EventLog>, writer: Arc<dyn MessageWriter>) -> Self {
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let (ingest, stopped) = (Ingest::new(log, writer), stop.clone());
        tracker.spawn(async move { ingest.run(stopped).await });
        tracker.close();
        Self { stop, tracker }
    }

    async fn stop(self) {
        self.stop.cancel();
        let soon = Duration::from_secs(5);
        tokio::time::timeout(soon, self.tracker.wait())
            .await
            .expect("ingest stops when told");
    }
}

#[tokio::test]
async fn what_was_said_before_and_while_it_runs_reaches_the_store() {
    let world = World::new();
    world.say("a", 300).await;
    let running = Running::start(world.log(), world.embedded.messages());
    world.is_written("a").await;
    world.say("b", 300).await;
    world.say("a", 10).await;
    world.is_written("a").await;
    world.is_written("b").await;
    running.stop().await;
}

#[tokio::test]
async fn it_goes_on_after_a_restart_where_it_stopped() {
    let world = World::new();
    for _ in 0..5 {
        let running = Running::start(world.log(), world.embedded.messages());
        world.say("a", 100).await;
        running.stop().await;
    }
    world.say("a", 1).await;
    let running = Running::start(world.log(), world.embedded.messages());
    world.is_written("a").await;
    running.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for_and_nothing_is_left_out() {
    let world = World::new();
    let flaky = Arc::new(Flaky {
        store: world.embedded.messages(),
        away: AtomicBool::new(true),
        refused: AtomicU32::new(0),
    });
    let running = Running::start(world.log(), flaky.clone());
    world.say("a", 600).await;
    while flaky.refused.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(flaky.place(0).await.unwrap(), 0);
    flaky.away.store(false, Ordering::SeqCst);
    world.is_written("a").await;
    running.stop().await;
}

#[tokio::test]
async fn it_stops_while_the_store_is_away() {
    let world = World::new();
    let (away, refused) = (AtomicBool::new(true), AtomicU32::new(0));
    let flaky = Arc::new(Flaky {
        store: world.embedded.messages(),
        away,
        refused,
    });
    let running = Running::start(world.log(), flaky.clone());
    world.say("a", 5).await;
    while flaky.refused.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn two_at_once_write_what_one_would() {
    let world = World::new();
    let first = Running::start(world.log(), world.embedded.messages());
    let second = Running::start(world.log(), world.embedded.messages());
    world.say("a", 400).await;
    world.is_written("a").await;
    first.stop().await;
    world.say("a", 20).await;
    world.is_written("a").await;
    second.stop().await;
}
