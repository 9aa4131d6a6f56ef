//! Durable appends a second, with few and with many in flight: `cargo bench -p roomcast-embedded`.
//!
//! Every append counted was answered, so it is on the disk. The directory is a fresh one under the
//! system's temporary directory, or under the path given as the first argument.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use roomcast_embedded::Embedded;
use roomcast_ports::event_log::Append;
use roomcast_protocol::event::Message;
use roomcast_protocol::{EventBody, EventId, RoomEvent, RoomId, Timestamp, UserId};

const ROOMS: usize = 1_000;
const MEASURED_FOR: Duration = Duration::from_secs(5);

fn main() {
    let parent = std::env::args()
        .nth(1)
        .filter(|argument| !argument.starts_with('-'));
    let parent = parent.map_or_else(std::env::temp_dir, PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("start a runtime");
    for in_flight in [1, 64, 1_024] {
        let directory = parent.join(format!("roomcast-bench-{}", std::process::id()));
        let appends_per_second = runtime.block_on(measure(&directory, in_flight));
        println!("{in_flight:>5} in flight: {appends_per_second:>8.0} durable appends/s");
        std::fs::remove_dir_all(&directory).expect("remove the directory");
    }
}

async fn measure(directory: &Path, in_flight: usize) -> f64 {
    let embedded = Embedded::open(directory).expect("open a fresh directory");
    let log = embedded.log();
    let rooms: Vec<RoomId> = (0..ROOMS).map(|_| RoomId::generate()).collect();
    let mut appends: FuturesUnordered<_> = rooms
        .iter()
        .cycle()
        .take(in_flight)
        .map(|room_id| log.append(message(room_id)))
        .collect();
    let (started, mut done) = (Instant::now(), 0_u32);
    while started.elapsed() < MEASURED_FOR {
        appends
            .next()
            .await
            .expect("appends are in flight")
            .expect("append an event");
        done += 1;
        appends.push(log.append(message(&rooms[done as usize % ROOMS])));
    }
    f64::from(done) / started.elapsed().as_secs_f64()
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
