//! How fast the store follows the log, and what a read takes: `cargo bench -p roomcast-embedded`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::sync::Arc;
use std::time::Instant;

use roomcast_embedded::Embedded;
use roomcast_ports::directory::RoomDirectory as _;
use roomcast_ports::message_store::{Checkpoint, MessageReader as _, MessageWriter as _};
use roomcast_protocol::event::Message;
use roomcast_protocol::{
    EventBody, EventId, RoomEvent, RoomId, Seq, StoredEvent, Timestamp, UserId,
};

const ROOMS: usize = 1_000;
const EVENTS: u32 = 100_000;
const BATCH: usize = 500;
const READS: u32 = 5_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = std::env::temp_dir().join(format!("roomcast-bench-{}", std::process::id()));
    let embedded = Embedded::open(&directory).expect("open a fresh directory");
    let rooms: Vec<RoomId> = (0..ROOMS).map(|_| RoomId::generate()).collect();
    let users: Vec<UserId> = (0..100).map(|_| UserId::generate()).collect();
    let events: Vec<_> = (1..=EVENTS)
        .map(|number| sent(&rooms, &users, number as usize))
        .collect();

    let (store, started) = (embedded.messages(), Instant::now());
    for batch in events.chunks(BATCH) {
        let position = batch.last().map_or(0, |event| event.seq.get());
        let place = Some(Checkpoint {
            partition: 0,
            position,
        });
        store.apply(batch, place).await.expect("write a batch");
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{:>8.0} events derived a second",
        f64::from(EVENTS) / seconds
    );

    let started = Instant::now();
    for number in 0..READS as usize {
        let (room_id, user_id) = (&rooms[number % ROOMS], &users[number % 100]);
        store.member(room_id, user_id).await.expect("read a member");
    }
    println!("{:>8.1?} to read a member", started.elapsed() / READS);
    let started = Instant::now();
    for number in 0..READS as usize {
        let page = store
            .messages_before(&rooms[number % ROOMS], Seq::MAX, 50, Seq::MAX)
            .await;
        assert_eq!(page.expect("read a page").len(), 50);
    }
    println!(
        "{:>8.1?} to read a page of 50 messages",
        started.elapsed() / READS
    );
    drop(embedded);
    std::fs::remove_dir_all(&directory).expect("remove the directory");
}

fn sent(rooms: &[RoomId], users: &[UserId], number: usize) -> Arc<StoredEvent> {
    let place = |number: usize| Seq::new(number as u64).expect("a place");
    let message = Message {
        content: Some(
            "Seventy-two characters, which is about as much as people say at a time.".into(),
        ),
        ..Message::default()
    };
    let event = RoomEvent {
        id: EventId::generate(),
        room_id: rooms[number % rooms.len()].clone(),
        sender_id: users[number % users.len()].clone(),
        client_message_id: None,
        sent_at: Timestamp::now(),
        body: EventBody::MessageSent(message),
    };
    Arc::new(StoredEvent {
        seq: place(number),
        prev: place(number.saturating_sub(rooms.len())),
        event,
    })
}
