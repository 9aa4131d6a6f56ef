//! How fast the log comes into the store, and what that costs: one nats-server and one Apache Cassandra
//! node of this machine, which share its cores with the worker and with who writes.
//!
//! First the log is filled and then derived as fast as it goes; then it is written to at a steady rate
//! while it is derived, pages of history are read, and the greatest lag is kept.
//!
//! `cargo bench -p roomcast --bench ingest -- [batch] [RATE …]`; `batch` has the store sync before it answers.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use roomcast_conformance::sample;
use roomcast_ingest::Ingest;
use roomcast_nats::{NatsConfig, NatsLog, partition_of};
use roomcast_ports::event_log::{Append, EventLog};
use roomcast_ports::message_store::MessageReader;
use roomcast_protocol::{EventBody, EventId, RoomEvent, RoomId, Seq, Timestamp, UserId};
use roomcast_scylla::{ScyllaConfig, ScyllaStore};
use roomcast_test_cluster::{Cassandra, CassandraSpec, Nats, Sync};
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Rooms of each partition: so few that a batch of the feed has many events of each.
const ROOMS_OF_A_PARTITION: usize = 2;
/// Messages in the log before the first of them is derived.
const FILLED_WITH: usize = 300_000;
/// Appends under way while the log is filled.
const IN_FLIGHT: usize = 512;
/// How long each steady rate is held.
const HELD_FOR: Duration = Duration::from_secs(20);
/// An idle worker has reported it by then.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// Between two pages.
const PAGES_EVERY: Duration = Duration::from_millis(20);
/// Messages of a page of history.
const PAGE: usize = 50;

/// The product's parts under measurement, and who talks.
struct Stage {
    log: Arc<dyn EventLog>,
    store: Arc<ScyllaStore>,
    metrics: PrometheusHandle,
    rooms: Vec<RoomId>,
    people: Vec<UserId>,
    said: usize,
}

impl Stage {
    /// The next message, to the next room.
    fn message(&mut self) -> Append {
        let text = "Seventy-two characters, which is about as much as people say at a time.";
        self.said += 1;
        let room_id = &self.rooms[self.said % self.rooms.len()];
        let sender = &self.people[self.said % self.people.len()];
        event(room_id, sender, sample::said(text))
    }

    /// Founds every room, so that it is one.
    async fn found(&self) {
        let owner = &self.people[0];
        for room_id in &self.rooms {
            let founding = event(room_id, owner, sample::founded(owner, "bench"));
            self.log.append(founding).await.expect("found a room");
        }
    }

    async fn fill(&mut self) {
        let started = Instant::now();
        let mut appends = FuturesUnordered::new();
        for _ in 0..FILLED_WITH {
            if appends.len() == IN_FLIGHT {
                let appended: Option<Result<_, _>> = appends.next().await;
                appended.expect("under way").expect("append");
            }
            let message = self.message();
            appends.push(self.log.append(message));
        }
        while let Some(appended) = appends.next().await {
            appended.expect("append");
        }
        println!(
            "filled the log: {:.0} appends/s",
            rate(FILLED_WITH, started)
        );
    }

    /// Waits until the store has all that the log has.
    async fn whole(&self) {
        let heads = self.log.heads(&self.rooms).await.expect("heads");
        for (room_id, head) in self.rooms.iter().zip(heads) {
            while self.reached(room_id).await < head {
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn reached(&self, room_id: &RoomId) -> Seq {
        let messages = self.store.messages();
        messages.applied_seq(room_id).await.expect("ask the store")
    }

    /// The sum of a counter, or the greatest of a gauge, over its labels.
    fn metric(&self, name: &str, of: impl Fn(f64, f64) -> f64) -> f64 {
        let text = self.metrics.render();
        let lines = text
            .lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name));
        let value = |line: &str| line.rsplit(' ').next().and_then(|it| it.parse().ok());
        lines.filter_map(value).fold(0.0, of)
    }

    /// Writes to the log at `a_second` while it is derived.
    async fn hold(&mut self, a_second: usize) {
        // Older values of the gauges are gone by then.
        sleep(SETTLED_AFTER).await;
        let pages = TaskTracker::new().spawn(pages(self.store.messages(), self.rooms.clone()));
        let mut tick = interval(Duration::from_millis(10));
        let (started, mut said, mut lag) = (Instant::now(), 0, 0.0_f64);
        let mut appends = FuturesUnordered::new();
        while started.elapsed() < HELD_FOR {
            tokio::select! {
                _ = tick.tick() => {
                    let passed = usize::try_from(started.elapsed().as_millis()).expect("seconds");
                    while said < passed * a_second / 1_000 {
                        let message = self.message();
                        appends.push(self.log.append(message));
                        said += 1;
                    }
                    lag = lag.max(self.metric("chat_ingest_lag_seconds", f64::max));
                }
                Some(appended) = appends.next() => drop(appended.expect("append")),
            }
        }
        let reached = rate(said - appends.len(), started);
        while let Some(appended) = appends.next().await {
            appended.expect("append");
        }
        let mut took = pages.await.expect("the reader ends");
        took.sort_unstable();
        let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        println!(
            "{a_second:>6}/s asked: {reached:>6.0}/s in the log, lag at most {lag:.2} s, \
             newest {PAGE}: p50 {half:.2?}, p99 {most:.2?}, {} MB resident",
            resident()
        );
        self.whole().await;
    }
}

fn event(room_id: &RoomId, sender: &UserId, body: EventBody) -> Append {
    Append::new(RoomEvent {
        id: EventId::generate(),
        room_id: room_id.clone(),
        sender_id: sender.clone(),
        client_message_id: None,
        sent_at: Timestamp::now(),
        body,
    })
}

/// Reads the newest messages of one room after the other; how long each page took.
async fn pages(messages: Arc<impl MessageReader>, rooms: Vec<RoomId>) -> Vec<Duration> {
    let (until, mut took) = (Instant::now() + HELD_FOR, Vec::new());
    for room_id in rooms.iter().cycle() {
        let started = Instant::now();
        if started >= until {
            break;
        }
        let page = messages
            .messages_before(room_id, Seq::MAX, PAGE, Seq::MAX)
            .await;
        assert_eq!(page.expect("read a page").len(), PAGE);
        took.push(started.elapsed());
        sleep(PAGES_EVERY).await;
    }
    took
}

fn rate(count: usize, since: Instant) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let count = count as f64;
    count / since.elapsed().as_secs_f64()
}

/// Megabytes of this process that are in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1_024
}

/// As many rooms for every partition.
fn rooms(partitions: u16) -> Vec<RoomId> {
    let mut rooms: BTreeMap<u16, Vec<RoomId>> = BTreeMap::new();
    let wanted = usize::from(partitions) * ROOMS_OF_A_PARTITION;
    while rooms.values().map(Vec::len).sum::<usize>() < wanted {
        let room_id = RoomId::generate();
        let of = rooms.entry(partition_of(&room_id)).or_default();
        if of.len() < ROOMS_OF_A_PARTITION {
            of.push(room_id);
        }
    }
    rooms.into_values().flatten().collect()
}

#[tokio::main]
async fn main() {
    let (mut sync, mut rates) = (Sync::Periodic, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // Arguments that cargo passes to every benchmark.
            "--bench" => {}
            "batch" => sync = Sync::Batch,
            rate => rates.push(rate.parse().expect("`batch`, or messages a second")),
        }
    }
    let metrics = PrometheusBuilder::new()
        .install_recorder()
        .expect("the first");
    let nats = Nats::start(1).expect("start nats-server");
    let node = Cassandra::start(&CassandraSpec {
        nodes: 1,
        sync,
        ..CassandraSpec::default()
    });
    let node = node.expect("start a CQL server");
    let config = NatsConfig::new(vec![nats.servers()], "local", "bench");
    let log = NatsLog::connect(NatsConfig {
        manages_streams: true,
        ..config
    });
    let log = log.await.expect("open the log");
    let store = ScyllaStore::connect(ScyllaConfig::new(vec![node.hosts()], "bench"));
    let store = store.await.expect("connect to the store");
    let mut stage = Stage {
        log: log.log(),
        rooms: rooms(log.log().partitions()),
        people: (0..20).map(|_| sample::user()).collect(),
        store: Arc::clone(&store),
        metrics,
        said: 0,
    };
    stage.found().await;
    stage.fill().await;

    let stop = CancellationToken::new();
    let ingest = Ingest::new(log.log(), store.messages(), store.dead_letters());
    let stopped = stop.clone();
    let tasks = TaskTracker::new();
    tasks.spawn(async move { ingest.run(stopped).await });
    tasks.close();
    let started = Instant::now();
    stage.whole().await;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rows =
        stage.metric("chat_store_rows_written_total", |sum, it| sum + it) / stage.said as f64;
    println!(
        "derived, {sync:?} sync: {:.0} messages/s, {rows:.2} rows a message, {} MB resident",
        rate(stage.said, started),
        resident()
    );
    for a_second in rates {
        stage.hold(a_second).await;
    }
    stop.cancel();
    tasks.wait().await;
    log.close().await;
    store.close().await;
}
