//! A store that comes back without what it confirmed last, as one whose commit log is flushed now and then.

use std::time::Instant;

use roomcast_ports::wrapper::EventLogWrapper;

use super::*;

/// Writes within this time before a machine left may be forgotten.
const FORGETS: Duration = Duration::from_millis(500);
/// An outage that is longer.
const OUTAGE: Duration = Duration::from_millis(1_500);

/// One batch as it was given.
type Batch = (Vec<Arc<StoredEvent>>, Option<Checkpoint>);

/// A store that can lose batches it has confirmed, wherever they stand.
struct Lossy {
    current: Mutex<(Embedded, Arc<EmbeddedStore>)>,
    directories: Mutex<Vec<PathBuf>>,
    batches: Mutex<Vec<Batch>>,
    setbacks: watch::Sender<ResyncRequests>,
}

impl Lossy {
    fn new() -> Arc<Self> {
        let directories = Mutex::default();
        Arc::new(Self {
            current: Mutex::new(Self::open(&directories)),
            directories,
            batches: Mutex::default(),
            setbacks: watch::channel(ResyncRequests::default()).0,
        })
    }

    fn open(directories: &Mutex<Vec<PathBuf>>) -> (Embedded, Arc<EmbeddedStore>) {
        let name = format!("roomcast-lossy-{}", EventId::generate());
        let directory = std::env::temp_dir().join(name);
        let embedded = Embedded::open(&directory).unwrap();
        let store = embedded.messages();
        directories.lock().unwrap().push(directory);
        (embedded, store)
    }

    fn store(&self) -> Arc<EmbeddedStore> {
        self.current.lock().unwrap().1.clone()
    }

    fn batch_count(&self) -> usize {
        self.batches.lock().unwrap().len()
    }

    /// Loses these batches, everything they changed included.
    async fn lose(&self, lost: std::ops::Range<usize>) {
        let mut batches = std::mem::take(&mut *self.batches.lock().unwrap());
        batches.drain(lost);
        let (embedded, store) = Self::open(&self.directories);
        for (events, place) in &batches {
            store.apply(events, *place).await.unwrap();
        }
        *self.batches.lock().unwrap() = batches;
        let (before, _) = std::mem::replace(&mut *self.current.lock().unwrap(), (embedded, store));
        before.close();
    }

    /// The machine that left at `since` is back.
    fn comes_back(&self, since: Option<Instant>) {
        self.setbacks.send_modify(|setbacks| setbacks.add(since));
    }

    /// Waits until the store has what the log has.
    async fn is_whole(&self, world: &World, room: &str) {
        let room_id = RoomId::new(room).unwrap();
        let logged = world.log().read(&room_id, Seq::ZERO, 10_000).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let store = self.store();
            let written = store
                .events_after(&room_id, Seq::ZERO, 10_000)
                .await
                .unwrap();
            if written == logged {
                return;
            }
            let (has, lacks) = (written.len(), logged.len() - written.len());
            assert!(
                Instant::now() < deadline,
                "{lacks} lost for ever, {has} there"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.current.lock().unwrap().0.close();
        for directory in &*self.directories.lock().unwrap() {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

#[async_trait]
impl MessageWriterWrapper for Lossy {
    fn inner(&self) -> Arc<dyn MessageWriter> {
        self.store()
    }

    async fn apply(
        &self,
        events: &[Arc<StoredEvent>],
        place: Option<Checkpoint>,
    ) -> Result<(), StoreError> {
        self.store().apply(events, place).await?;
        self.batches.lock().unwrap().push((events.to_vec(), place));
        Ok(())
    }

    fn crash_loss_window(&self) -> Option<Duration> {
        Some(FORGETS)
    }

    fn resync_requests(&self) -> watch::Receiver<ResyncRequests> {
        self.setbacks.subscribe()
    }
}

/// The embedded log, with positions by time as logs of servers have, and the last position up to which it was
/// trimmed.
struct Timed(Arc<dyn EventLog>, watch::Sender<u64>);

#[async_trait]
impl EventLogWrapper for Timed {
    fn inner(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.0)
    }

    async fn position_before(&self, partition: u16, age: Duration) -> Result<u64, LogError> {
        let all = self.0.read_partition(partition, 0, 10_000).await?.events;
        let now = Duration::from_millis(Timestamp::now().as_millis());
        let is_older = |stored: &&Arc<StoredEvent>| {
            Duration::from_millis(stored.event.sent_at.as_millis()) + age < now
        };
        let older = all.iter().take_while(is_older).last();
        Ok(older.map_or(0, |stored| stored.seq.get()))
    }

    async fn trim(&self, partition: u16, settled: u64) -> Result<(), LogError> {
        if settled > 0 {
            self.1.send_replace(settled);
        }
        self.0.trim(partition, settled).await
    }
}

fn timed(world: &World) -> Arc<dyn EventLog> {
    Arc::new(Timed(world.log(), watch::channel(0).0))
}

#[tokio::test]
async fn ingest_fills_what_an_idle_worker_wrote_before_an_outage_longer_than_the_store_forgets() {
    let (world, store) = (World::new(), Lossy::new());
    let running = Running::start(timed(&world), store.clone());
    world.say("a", 10).await;
    store.is_whole(&world, "a").await;
    let kept = store.batch_count();
    world.say("a", 10).await;
    store.is_whole(&world, "a").await;
    let left = Instant::now();
    store.lose(kept..store.batch_count()).await;
    tokio::time::sleep(OUTAGE).await;
    store.comes_back(Some(left));
    // The worker goes on from where it was, which is beyond what the store has.
    world.say("a", 5).await;
    store.is_whole(&world, "a").await;
    running.stop().await;
}

#[tokio::test]
async fn backfill_restores_what_one_node_lost_while_the_others_continued() {
    for is_known in [true, false] {
        let (world, store) = (World::new(), Lossy::new());
        let running = Running::start(timed(&world), store.clone());
        world.say("a", 10).await;
        store.is_whole(&world, "a").await;
        let kept = store.batch_count();
        world.say("a", 10).await;
        store.is_whole(&world, "a").await;
        let (left, lost) = (Instant::now(), kept..store.batch_count());
        world.say("a", 10).await;
        store.is_whole(&world, "a").await;
        tokio::time::sleep(OUTAGE).await;
        world.say("a", 10).await;
        store.is_whole(&world, "a").await;
        store.lose(lost).await;
        store.comes_back(is_known.then_some(left));
        store.is_whole(&world, "a").await;
        running.stop().await;
    }
}

#[tokio::test]
async fn ingest_fills_what_was_forgotten_before_it_was_started_long_after() {
    let (world, store) = (World::new(), Lossy::new());
    let running = Running::start(timed(&world), store.clone());
    world.say("a", 10).await;
    store.is_whole(&world, "a").await;
    let kept = store.batch_count();
    world.say("a", 5).await;
    store.is_whole(&world, "a").await;
    let lost = kept..store.batch_count();
    world.say("a", 1).await;
    store.is_whole(&world, "a").await;
    running.stop().await;
    // The checkpoint stays, and rows before it are gone.
    store.lose(lost).await;
    tokio::time::sleep(OUTAGE).await;
    let running = Running::start(timed(&world), store.clone());
    store.is_whole(&world, "a").await;
    running.stop().await;
}

#[tokio::test]
async fn ingest_trims_nothing_while_a_machine_of_the_store_is_away() {
    let (world, store) = (World::new(), Lossy::new());
    let away = |machines| {
        store.setbacks.send_if_modified(|requests| {
            requests.set_away(machines);
            false
        });
    };
    let (trimmed, mut seen) = watch::channel(0);
    let log = Arc::new(Timed(world.log(), trimmed));
    away(1);
    let running = Running::start(log, store.clone());
    world.say("a", 10).await;
    store.is_whole(&world, "a").await;
    // Several rounds of trimming, each after the time within which the store may forget.
    let waited = tokio::time::timeout(3 * OUTAGE, seen.changed()).await;
    assert!(waited.is_err(), "trimmed up to {}", *seen.borrow());
    away(0);
    let waited = tokio::time::timeout(Duration::from_secs(15), seen.changed()).await;
    waited.expect("trimmed in time").expect("the log is there");
    assert_eq!(*seen.borrow(), 10);
    running.stop().await;
}
