//! A log that fills while the ingest worker is stopped, on a nats-server of its own.

use std::sync::Arc;
use std::time::Duration;

use roomcast_conformance::sample::{event, said, user};
use roomcast_embedded::Embedded;
use roomcast_ingest::Ingest;
use roomcast_nats::{NatsConfig, NatsLog};
use roomcast_ports::event_log::{Append, EventLog, LogError};
use roomcast_ports::message_store::MessageReader as _;
use roomcast_protocol::{EventId, RoomId, Seq, StoredEvent};
use roomcast_test_cluster::Nats;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::scratch::Scratch;

/// Bytes of each partition, of which a message of the test takes more than 4 KiB.
const PARTITION_BYTES: u64 = 256 << 10;
/// Messages acknowledged by a full log only after it has been trimmed.
const MORE: usize = 40;
/// How long a step may take; each needs a few rounds of trimming, which are two seconds apart.
const TIMEOUT: Duration = Duration::from_secs(60);

async fn connect(nats: &Nats, manages_streams: bool) -> Arc<NatsLog> {
    let servers = nats.servers().split(',').map(str::to_owned).collect();
    let config = NatsConfig {
        manages_streams,
        partition_bytes_max: Some(PARTITION_BYTES),
        ..NatsConfig::new(servers, "local", "test")
    };
    NatsLog::connect(config).await.expect("open the log")
}

/// An ingest worker with a connection of its own, as a process has.
struct Worker {
    log: Arc<NatsLog>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Worker {
    async fn start(nats: &Nats, store: &Embedded) -> Self {
        let log = connect(nats, true).await;
        let ingest = Ingest::new(log.log(), store.messages(), store.dead_letters());
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let stopped = stop.clone();
        tracker.spawn(async move { ingest.run(stopped).await });
        tracker.close();
        Self { log, stop, tracker }
    }

    async fn stop(self) {
        self.stop.cancel();
        let ended = timeout(TIMEOUT, self.tracker.wait()).await;
        ended.expect("the worker ends");
        self.log.close().await;
    }
}

/// The answers that a sender has got.
#[derive(Default)]
struct Answers {
    acknowledged: Vec<(EventId, Seq)>,
    refused: usize,
}

/// Appends one message after another until `stop`, and resends what the log refuses, as clients do.
async fn send(
    log: Arc<dyn EventLog>,
    room_id: RoomId,
    answers: watch::Sender<Answers>,
    stop: CancellationToken,
) {
    let sender = user();
    while !stop.is_cancelled() {
        let event = event(&room_id, &sender, said(&"x".repeat(4_096)));
        loop {
            match log.append(Append::new(event.clone())).await {
                Ok(appended) => {
                    assert!(!appended.duplicate, "what was refused was not stored");
                    let stored = (event.id.clone(), appended.seq);
                    answers.send_modify(|answers| answers.acknowledged.push(stored));
                    break;
                }
                Err(LogError::Unavailable(_)) => answers.send_modify(|it| it.refused += 1),
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

/// The store that ingest writes, and the log before it.
struct Fixture {
    nats: Nats,
    embedded: Embedded,
    log: Arc<dyn EventLog>,
    room_id: RoomId,
    answers: watch::Receiver<Answers>,
    _scratch: Scratch,
}

impl Fixture {
    async fn wait_for(&mut self, what: impl FnMut(&Answers) -> bool) {
        let came = timeout(TIMEOUT, self.answers.wait_for(what)).await;
        drop(came.expect("in time").expect("the sender runs"));
    }

    fn acknowledged(&self) -> Vec<(EventId, Seq)> {
        self.answers.borrow().acknowledged.clone()
    }

    /// Waits until the log is full, while no worker runs, and gives how many messages are not in the store: the log
    /// has all of them.
    async fn fill(&mut self) -> usize {
        let before = self.answers.borrow().refused;
        // The first refusal may be older than the stop of the worker.
        self.wait_for(|it| it.refused >= before + 2).await;
        let store = self.embedded.messages();
        let applied = store.applied_seq(&self.room_id).await;
        let applied = applied.expect("ask the store");
        let unwritten = self.log.read(&self.room_id, applied, 1_000).await;
        let mut expected = self.acknowledged();
        expected.retain(|(_, seq)| *seq > applied);
        assert_eq!(ids(&unwritten.expect("read the log")), expected);
        expected.len()
    }

    async fn wait_until_written(&self, last: Seq) {
        let store = self.embedded.messages();
        let written = async {
            while store.applied_seq(&self.room_id).await.expect("ask") < last {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let written = timeout(TIMEOUT, written).await;
        written.expect("the store has all of it");
    }
}

/// What the events are known by.
fn ids(events: &[Arc<StoredEvent>]) -> Vec<(EventId, Seq)> {
    let id = |stored: &Arc<StoredEvent>| (stored.event.id.clone(), stored.seq);
    events.iter().map(id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_log_refuses_appends_and_loses_none_while_the_ingest_worker_is_stopped() {
    let nats = tokio::task::spawn_blocking(|| Nats::start(1));
    let nats = nats.await.expect("no panic").expect("start nats-server");
    let scratch = Scratch::new();
    let embedded = Embedded::open(scratch.path()).expect("open a store");
    // The first one creates the streams.
    Worker::start(&nats, &embedded).await.stop().await;
    let gateway = connect(&nats, false).await;
    let (sender, answers) = watch::channel(Answers::default());
    let mut fixture = Fixture {
        nats,
        embedded,
        log: gateway.log(),
        room_id: RoomId::generate(),
        answers,
        _scratch: scratch,
    };
    let (log, room_id, stop) = (
        gateway.log(),
        fixture.room_id.clone(),
        CancellationToken::new(),
    );
    let sending = TaskTracker::new().spawn(send(log, room_id, sender, stop.clone()));

    let capacity = fixture.fill().await;
    assert_eq!(capacity, fixture.acknowledged().len(), "nothing is written");
    assert!(capacity > MORE, "{capacity}");
    let worker = Worker::start(&fixture.nats, &fixture.embedded).await;
    let more = capacity + MORE;
    fixture.wait_for(|it| it.acknowledged.len() >= more).await;
    worker.stop().await;
    let unwritten = fixture.fill().await;
    println!("{unwritten} of {capacity} not written");
    stop.cancel();
    let worker = Worker::start(&fixture.nats, &fixture.embedded).await;
    sending.await.expect("the sender ends");
    let all = fixture.acknowledged();
    fixture.wait_until_written(all[all.len() - 1].1).await;
    let store = fixture.embedded.messages();
    let events = store.events_after(&fixture.room_id, Seq::ZERO, 1_000).await;
    assert_eq!(ids(&events.expect("read the store")), all);
    worker.stop().await;
    gateway.close().await;
    fixture.embedded.close();
}
