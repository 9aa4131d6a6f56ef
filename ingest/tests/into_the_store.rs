//! Ingest from the embedded log into the embedded store, which may be away for a while.

#[path = "into_the_store/forgotten.rs"]
mod forgotten;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use roomcast_embedded::{Embedded, EmbeddedStore};
use roomcast_ingest::Ingest;
use roomcast_ports::StoreError;
use roomcast_ports::dead_letters::{DeadLetter, DeadLetters};
use roomcast_ports::event_log::{
    Append, Appended, ConsumerBatch, EventLog, LogError, PartitionConsumer, PartitionLease,
};
use roomcast_ports::live::LiveSubscription;
use roomcast_ports::message_store::{
    Checkpoint, MessageReader as _, MessageWriter, ResyncRequests,
};
use roomcast_ports::wrapper::MessageWriterWrapper;
use roomcast_protocol::event::{Message, encode};
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
        while store.applied_seq(&room_id).await.unwrap() < head {
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

/// A store that is unavailable on command, and sometimes does not confirm a write.
struct Flaky {
    store: Arc<EmbeddedStore>,
    away: AtomicBool,
    refused: AtomicU32,
}

#[async_trait]
impl MessageWriterWrapper for Flaky {
    fn inner(&self) -> Arc<dyn MessageWriter> {
        self.store.clone()
    }

    async fn apply(
        &self,
        events: &[Arc<StoredEvent>],
        place: Option<Checkpoint>,
    ) -> Result<(), StoreError> {
        if self.away.load(Ordering::SeqCst) {
            // What was written without being confirmed is written again.
            if self.refused.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
                self.store.apply(events, None).await?;
            }
            return Err(StoreError::Unavailable("away".into()));
        }
        self.store.apply(events, place).await
    }
}

/// Dead letters in memory.
#[derive(Default)]
struct Letters(Mutex<Vec<DeadLetter>>);

impl Letters {
    fn all(&self) -> Vec<DeadLetter> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl DeadLetters for Letters {
    async fn put(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        self.delete(letter.partition, letter.position).await?;
        self.0.lock().unwrap().push(letter.clone());
        Ok(())
    }
    async fn list(
        &self,
        partition: u16,
        position: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let mut all = self.all();
        all.retain(|it| it.partition == partition && it.position > position);
        all.truncate(limit);
        Ok(all)
    }
    async fn delete(&self, partition: u16, position: u64) -> Result<(), StoreError> {
        let there = |it: &DeadLetter| it.partition == partition && it.position == position;
        self.0.lock().unwrap().retain(|it| !there(it));
        Ok(())
    }
}

struct Running {
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Running {
    fn start(log: Arc<dyn EventLog>, writer: Arc<dyn MessageWriter>) -> Self {
        Self::start_with(log, writer, Arc::default())
    }

    fn start_with(
        log: Arc<dyn EventLog>,
        writer: Arc<dyn MessageWriter>,
        letters: Arc<Letters>,
    ) -> Self {
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let (ingest, stopped) = (Ingest::new(log, writer, letters), stop.clone());
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
async fn events_appended_before_and_during_a_run_reach_the_store() {
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
    assert_eq!(MessageWriter::checkpoint(&*flaky, 0).await.unwrap(), 0);
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

/// A log that gives the entry at one position as unreadable, and a store that forgets.
struct Troubled {
    log: Arc<dyn EventLog>,
    unreadable: AtomicU64,
}

/// Instead of a position: no worker gets the partition.
const NEVER: u64 = u64::MAX;

struct TroubledFeed {
    feed: Box<dyn PartitionConsumer>,
    unreadable: u64,
}

#[async_trait]
impl PartitionLease for TroubledFeed {
    async fn open(self: Box<Self>, _: u64) -> Result<Box<dyn PartitionConsumer>, LogError> {
        Ok(self)
    }
}

#[async_trait]
impl PartitionConsumer for TroubledFeed {
    async fn next(&mut self, _limit: usize) -> Result<ConsumerBatch, LogError> {
        // One at a time, so that the position of each is known.
        let mut batch = self.feed.next(1).await?;
        if batch.position == self.unreadable {
            let stored = batch.events.remove(0);
            batch.unreadable.push(DeadLetter {
                partition: 0,
                position: batch.position,
                body: encode(&stored.event),
                reason: "from the future".to_owned(),
            });
        }
        Ok(batch)
    }
    async fn acknowledge(&mut self, position: u64) -> Result<(), LogError> {
        self.feed.acknowledge(position).await
    }
}

#[async_trait]
impl EventLog for Troubled {
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, LogError>> {
        self.log.append(append)
    }
    async fn ping(&self) -> Result<(), LogError> {
        self.log.ping().await
    }

    async fn head(&self, room_id: &RoomId) -> Result<Seq, LogError> {
        self.log.head(room_id).await
    }
    async fn heads(&self, room_ids: &[RoomId]) -> Result<Vec<Seq>, LogError> {
        self.log.heads(room_ids).await
    }
    async fn read(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, LogError> {
        self.log.read(room_id, after, limit).await
    }
    fn subscribe(&self) -> LiveSubscription {
        self.log.subscribe()
    }
    fn partitions(&self) -> u16 {
        self.log.partitions()
    }
    async fn claim(&self, partition: u16) -> Result<Box<dyn PartitionLease>, LogError> {
        if self.unreadable.load(Ordering::SeqCst) == NEVER {
            std::future::pending::<()>().await;
        }
        let claim = self.log.claim(partition).await?;
        Ok(Box::new(TroubledFeed {
            feed: claim.open(0).await?,
            unreadable: self.unreadable.load(Ordering::SeqCst),
        }))
    }
    async fn read_partition(
        &self,
        partition: u16,
        position: u64,
        limit: usize,
    ) -> Result<ConsumerBatch, LogError> {
        self.log.read_partition(partition, position, limit).await
    }
    async fn position_before(&self, partition: u16, age: Duration) -> Result<u64, LogError> {
        self.log.position_before(partition, age).await
    }
    async fn trim(&self, partition: u16, settled: u64) -> Result<(), LogError> {
        self.log.trim(partition, settled).await
    }

    fn dedupe_window(&self) -> Option<Duration> {
        self.log.dedupe_window()
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_set_aside_and_stops_nothing_and_is_replayed_later() {
    let world = World::new();
    world.say("a", 20).await;
    let room_id = RoomId::new("a").unwrap();
    let all = world.log().read(&room_id, Seq::ZERO, 100).await.unwrap();
    let letters = Arc::<Letters>::default();
    let log: Arc<dyn EventLog> = Arc::new(Troubled {
        log: world.log(),
        unreadable: AtomicU64::new(all[7].seq.get()),
    });
    let running = Running::start_with(log, world.embedded.messages(), letters.clone());
    let store = world.embedded.messages();
    while store.applied_seq(&room_id).await.unwrap() < all[19].seq {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop().await;
    let kept = letters.all();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].position, all[7].seq.get());
    let ingest = Ingest::new(world.log(), store.clone(), letters.clone());
    assert_eq!(ingest.redrive().await.unwrap().written, 1);
    assert!(letters.all().is_empty());
    world.is_written("a").await;
}

/// A store that may lose writes, and reports a restarted node.
struct Forgetful {
    store: Arc<EmbeddedStore>,
    setbacks: watch::Sender<ResyncRequests>,
    written: AtomicU64,
}

#[async_trait]
impl MessageWriter for Forgetful {
    async fn apply(
        &self,
        events: &[Arc<StoredEvent>],
        place: Option<Checkpoint>,
    ) -> Result<(), StoreError> {
        let count = events.len() as u64;
        self.written.fetch_add(count, Ordering::SeqCst);
        self.store.apply(events, place).await
    }
    async fn checkpoint(&self, partition: u16) -> Result<u64, StoreError> {
        self.store.checkpoint(partition).await
    }
    fn crash_loss_window(&self) -> Option<Duration> {
        Some(Duration::from_secs(60))
    }
    fn resync_requests(&self) -> watch::Receiver<ResyncRequests> {
        self.setbacks.subscribe()
    }
}

#[tokio::test]
async fn a_store_that_may_have_forgotten_is_given_the_last_minutes_again() {
    let world = World::new();
    world.say("a", 50).await;
    let store = Arc::new(Forgetful {
        store: world.embedded.messages(),
        setbacks: watch::channel(ResyncRequests::default()).0,
        written: AtomicU64::new(0),
    });
    let written = async |count| {
        while store.written.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let running = Running::start(world.log(), store.clone());
    written(50).await;
    world.is_written("a").await;
    store
        .setbacks
        .send_modify(|setbacks| setbacks.add(Some(std::time::Instant::now())));
    written(100).await;
    running.stop().await;
    // And after every start.
    let running = Running::start(world.log(), store.clone());
    written(150).await;
    world.is_written("a").await;
    running.stop().await;
}

#[tokio::test]
async fn partition_without_a_worker_is_advanced_by_backfill() {
    let world = World::new();
    world.say("a", 600).await;
    let log: Arc<dyn EventLog> = Arc::new(Troubled {
        log: world.log(),
        unreadable: AtomicU64::new(NEVER),
    });
    let running = Running::start(log, world.embedded.messages());
    world.is_written("a").await;
    running.stop().await;
}
