//! Appends a second and how long each takes, on one server of this machine: `cargo bench -p roomcast-nats`.
//!
//! Every append counted was answered, so the stream has it (`sync_interval: always`: on its disk).
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use roomcast_nats::{NatsConfig, NatsLog};
use roomcast_ports::event_log::{Append, EventLog};
use roomcast_protocol::event::Message;
use roomcast_protocol::{EventBody, EventId, RoomEvent, RoomId, Timestamp, UserId};
use roomcast_test_cluster::Nats;

const ROOMS: usize = 1_000;
const MEASURED_FOR: Duration = Duration::from_secs(5);

fn main() {
    let nodes = std::env::args().nth(1).and_then(|nodes| nodes.parse().ok());
    let nats = Nats::start(nodes.unwrap_or(1)).expect("start nats-server");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("start a runtime");
    runtime.block_on(async {
        let servers = nats.servers().split(',').map(str::to_owned).collect();
        let log = NatsLog::connect(NatsConfig {
            manages_streams: true,
            ..NatsConfig::new(servers, "local", "bench")
        });
        let log = log.await.expect("open the log");
        for listens in [false, true] {
            let _live = listens.then(|| log.log().subscribe());
            println!(
                "{}",
                if listens {
                    "listening"
                } else {
                    "not listening"
                }
            );
            for in_flight in [1, 64, 1_024] {
                measure(&*log.log(), in_flight).await;
            }
        }
        log.close().await;
    });
}

async fn measure(log: &dyn EventLog, in_flight: usize) {
    let rooms: Vec<RoomId> = (0..ROOMS).map(|_| RoomId::generate()).collect();
    let append = |number: usize| {
        let (asked, appending) = (Instant::now(), log.append(message(&rooms[number % ROOMS])));
        async move {
            appending.await.expect("append an event");
            asked.elapsed()
        }
    };
    let mut appends: FuturesUnordered<_> = (0..in_flight).map(append).collect();
    let (started, mut took) = (Instant::now(), Vec::new());
    while started.elapsed() < MEASURED_FOR {
        took.push(appends.next().await.expect("appends are in flight"));
        appends.push(append(in_flight + took.len()));
    }
    let seconds = started.elapsed().as_secs_f64();
    while appends.next().await.is_some() {}
    took.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "a count of appends")]
    let per_second = took.len() as f64 / seconds;
    let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!(
        "{in_flight:>5} in flight: {per_second:>8.0} appends/s, p50 {half:>9.3?}, p99 {most:>9.3?}"
    );
}

fn message(room_id: &RoomId) -> Append {
    let message = Message {
        content: Some(
            "Seventy-two characters, which is about as much as people say at a time.".into(),
        ),
        ..Message::default()
    };
    Append::new(RoomEvent {
        id: EventId::generate(),
        room_id: room_id.clone(),
        sender_id: UserId::new("somebody").expect("an id"),
        client_message_id: None,
        sent_at: Timestamp::now(),
        body: EventBody::MessageSent(message),
    })
}
