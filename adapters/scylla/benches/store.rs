//! What the store takes: messages a second through the feed, the rows they cost, and how long a page
//! takes. One Apache Cassandra node of this machine, or the hosts given as arguments.
//!
//! `cargo bench -p roomcast-scylla [-- host:port …]`

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use roomcast_conformance::sample::{Script, user};
use roomcast_ports::message_store::{Checkpoint, MessageReader as _, MessageWriter as _};
use roomcast_protocol::{RoomId, Seq, StoredEvent, UserId};
use roomcast_scylla::{ScyllaConfig, ScyllaMessages, ScyllaStore};
use roomcast_test_cluster::{Cassandra, CassandraSpec};

/// Partitions of the log, each fed by one worker.
const PARTITIONS: u16 = 32;
/// How long each way of feeding is measured.
const FOR: Duration = Duration::from_secs(8);
/// Events of a feed batch.
const BATCH: usize = 256;

static ROWS: AtomicU64 = AtomicU64::new(0);

/// Counts rows and nothing else.
struct Rows(Arc<Shared>);
struct Shared;

impl metrics::CounterFn for Shared {
    fn increment(&self, value: u64) {
        ROWS.fetch_add(value, Ordering::Relaxed);
    }
    fn absolute(&self, _: u64) {}
}

impl Recorder for Rows {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() {
            "chat_store_rows_written_total" => Counter::from_arc(Arc::clone(&self.0)),
            _ => Counter::noop(),
        }
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// A partition's rooms and its feed.
struct Partition {
    number: u16,
    position: u64,
    rooms: Vec<(Script, Vec<UserId>)>,
    turn: usize,
}

impl Partition {
    fn new(number: u16, rooms: usize) -> Self {
        let room = || (Script::group("bench"), (0..20).map(|_| user()).collect());
        Self {
            number,
            position: 1,
            rooms: (0..rooms).map(|_| room()).collect(),
            turn: 0,
        }
    }

    fn next(&mut self) -> Vec<Arc<StoredEvent>> {
        let text = "a line as people write it, neither short nor long, so about this many words";
        let batch = (0..BATCH).map(|_| {
            self.turn += 1;
            let rooms = self.rooms.len();
            let (script, users) = &mut self.rooms[self.turn % rooms];
            let sender = users[self.turn % users.len()].clone();
            script.does(&sender, roomcast_conformance::sample::said(text))
        });
        batch.collect()
    }

    async fn feed(&mut self, messages: &ScyllaMessages, until: Instant) -> u64 {
        let mut written = 0;
        while Instant::now() < until {
            let batch = self.next();
            self.position += BATCH as u64;
            let place = Checkpoint {
                partition: self.number,
                position: self.position,
            };
            messages
                .apply(&batch, Some(place))
                .await
                .expect("write a batch");
            written += BATCH as u64;
        }
        written
    }
}

/// Feeds all partitions; gives a room to read.
async fn measure(messages: &ScyllaMessages, report: &mut String, rooms: usize) -> RoomId {
    let mut partitions: Vec<Partition> = (0..PARTITIONS)
        .map(|it| Partition::new(it, rooms))
        .collect();
    ROWS.store(0, Ordering::Relaxed);
    let started = Instant::now();
    let until = started + FOR;
    let written: u64 = join_all(partitions.iter_mut().map(|it| it.feed(messages, until)))
        .await
        .iter()
        .sum();
    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let (rate, rows) = (
        written as f64 / seconds,
        ROWS.load(Ordering::Relaxed) as f64 / written as f64,
    );
    writeln!(
        report,
        "{rooms:>4} rooms a partition: {rate:>8.0} messages/s, {rows:.2} rows a message"
    )
    .expect("a string");
    partitions[0].rooms[0].0.room_id.clone()
}

async fn pages(messages: &ScyllaMessages, report: &mut String, room_id: &RoomId) {
    let mut took = Vec::new();
    for _ in 0..1_000 {
        let started = Instant::now();
        let page = messages
            .messages_before(room_id, Seq::MAX, 50, Seq::MAX)
            .await
            .expect("read a page");
        assert_eq!(page.len(), 50);
        took.push(started.elapsed());
    }
    took.sort();
    writeln!(
        report,
        "newest 50 messages: {:?} p50, {:?} p99",
        took[500], took[990]
    )
    .expect("a string");
}

#[tokio::main]
async fn main() {
    metrics::set_global_recorder(Rows(Arc::new(Shared))).expect("the first recorder");
    let mut hosts: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with('-'))
        .collect();
    let mut node = None;
    if hosts.is_empty() {
        let spec = CassandraSpec {
            nodes: 1,
            ..CassandraSpec::default()
        };
        let started = Cassandra::start(&spec).expect("start a CQL server");
        hosts = vec![started.hosts()];
        node = Some(started);
    }
    let store = ScyllaStore::connect(ScyllaConfig::new(hosts, "bench"))
        .await
        .expect("connect");
    let (messages, mut report) = (store.messages(), String::new());
    measure(&messages, &mut report, 4).await;
    report.clear();
    let busy = measure(&messages, &mut report, 2).await;
    measure(&messages, &mut report, 64).await;
    measure(&messages, &mut report, 256).await;
    pages(&messages, &mut report, &busy).await;
    drop(node);
    #[expect(clippy::print_stdout, reason = "its report is what a benchmark is for")]
    {
        println!("{report}");
    }
}
