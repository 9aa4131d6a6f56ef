//! Appends while the log's only server is away: what is stored and what callers get.

mod servers;

#[path = "faults/talk.rs"]
mod talk;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use roomcast_conformance::sample::{event, said, user};
use roomcast_conformance::within_timeout;
use roomcast_nats::{NatsConfig, StreamHealth, partition_of};
use roomcast_ports::event_log::{Append, EventLog, LogError};
use roomcast_ports::live::LiveEvent;
use roomcast_protocol::limits::{APPEND_QUEUE_MAX, APPEND_TIMEOUT};
use roomcast_protocol::{RoomEvent, RoomId, Seq};
use servers::{alone, blocking, client, manager, open};
use talk::{Talk, assert_all_acknowledged, assert_true, longest};
use tokio::time::{Instant, sleep};

fn some_event(room_id: &RoomId) -> RoomEvent {
    event(room_id, &user(), said("x"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_and_restarted_under_load_loses_no_acknowledged_event() {
    let mut nats = alone(1).await;
    let log = open(manager(&nats)).await;
    let mut live = log.log().subscribe();
    let rooms: Vec<RoomId> = (0..50).map(|_| RoomId::generate()).collect();
    let talk = Talk::begin(&log.log(), &rooms);
    for _ in 0..3 {
        sleep(Duration::from_millis(700)).await;
        nats = blocking(move || {
            nats.kill(0);
            nats.start_node(0).expect("start nats-server again");
            nats
        })
        .await;
    }
    sleep(Duration::from_secs(2)).await;
    let story = talk.end().await;
    let count: usize = story.values().map(Vec::len).sum();
    println!("{count} appends, the longest took {:?}", longest(&story));
    assert_all_acknowledged(&story);
    assert_true(&log.log(), &story).await;
    let mut told_of_a_loss = false;
    while let Some(told) = live.try_next() {
        told_of_a_loss |= matches!(told, LiveEvent::Lagged);
    }
    assert!(
        told_of_a_loss,
        "a listener has to compare after a reconnect"
    );
    log.close().await;
    drop(nats);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_server_that_is_gone_is_bounded_oldest_out_first_and_was_not_stored() {
    let mut nats = alone(1).await;
    let log = open(manager(&nats)).await;
    let rooms: Vec<RoomId> = (0..100).map(|_| RoomId::generate()).collect();
    nats = blocking(move || {
        nats.kill(0);
        nats
    })
    .await;
    // The connection is noticed to be lost.
    while log.ready().await.is_ok() {
        sleep(Duration::from_millis(10)).await;
    }
    let begun = Instant::now();
    let too_many = APPEND_QUEUE_MAX + 500;
    let appends: Vec<_> = (0..too_many)
        .map(|number| {
            log.log()
                .append(Append::new(some_event(&rooms[number % 100])))
        })
        .collect();
    let mut answers = join_all(appends.into_iter().map(async |append| {
        let answer = append.await;
        (answer, begun.elapsed())
    }))
    .await;
    let late = answers.split_off(500);
    for (answer, after) in answers {
        assert!(
            matches!(answer, Err(LogError::Unavailable(_))),
            "{answer:?}"
        );
        assert!(
            after < APPEND_TIMEOUT / 2,
            "the oldest are out at once: {after:?}"
        );
    }
    for (answer, after) in late {
        assert!(
            matches!(answer, Err(LogError::Unavailable(_))),
            "{answer:?}"
        );
        let time = APPEND_TIMEOUT..APPEND_TIMEOUT + Duration::from_secs(3);
        assert!(time.contains(&after), "{after:?}");
    }
    nats = blocking(move || {
        nats.start_node(0).expect("start nats-server again");
        nats
    })
    .await;
    let after = within_timeout(
        "an append",
        log.log().append(Append::new(some_event(&rooms[0]))),
    )
    .await;
    let after = after.expect("the log is back");
    assert_eq!(
        after.prev,
        Seq::ZERO,
        "nothing of what was refused was stored"
    );
    let heads = log.log().heads(&rooms[1..]).await.expect("heads");
    assert!(heads.iter().all(|head| *head == Seq::ZERO), "{heads:?}");
    log.close().await;
    drop(nats);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_that_stands_still_was_sent_is_unconfirmed_and_a_repeat_is_stored_once() {
    let nats = alone(1).await;
    let log = open(manager(&nats)).await;
    let first = some_event(&RoomId::generate());
    let append = |event: &RoomEvent| log.log().append(Append::new(event.clone()));
    nats.pause(0).expect("pause nats-server");
    let (answer, ()) = tokio::join!(append(&first), async {
        sleep(Duration::from_secs(4)).await;
        nats.resume(0).expect("resume nats-server");
    });
    let answer = answer.expect("the server goes on");
    assert!(!answer.duplicate, "sent several times, but said once");
    nats.pause(0).expect("pause nats-server");
    let second = some_event(&RoomId::generate());
    let begun = Instant::now();
    let answer = append(&second).await;
    assert!(
        matches!(answer, Err(LogError::Unconfirmed(_))),
        "{answer:?}"
    );
    assert!(begun.elapsed() < APPEND_TIMEOUT + Duration::from_secs(3));
    nats.resume(0).expect("resume nats-server");
    let again = append(&second).await.expect("the server goes on");
    assert_eq!(again.sent_at, second.sent_at);
    let events = log
        .log()
        .read(&second.room_id, Seq::ZERO, 10)
        .await
        .expect("read");
    assert_eq!(events.len(), 1, "it is stored once, whenever it was");
    log.close().await;
}

/// Appends to the room until the log has no space left, and gives the acknowledged seqs and the refusal.
async fn fill(log: &Arc<dyn EventLog>, room_id: &RoomId) -> (Vec<Seq>, RoomEvent, LogError) {
    let mut places = Vec::new();
    loop {
        let event = event(room_id, &user(), said(&"x".repeat(4_096)));
        match log.append(Append::new(event.clone())).await {
            Ok(appended) => places.push(appended.seq),
            Err(refusal) => return (places, event, refusal),
        }
    }
}

async fn places_of(log: &Arc<dyn EventLog>, room_id: &RoomId) -> Vec<Seq> {
    let events = log.read(room_id, Seq::ZERO, 10_000).await.expect("read");
    events.iter().map(|event| event.seq).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_refuses_appends_and_drops_nothing_until_it_is_trimmed() {
    let nats = servers::start(1).await;
    let node = open(NatsConfig {
        partition_bytes_max: Some(256 << 10),
        ..manager(&nats)
    })
    .await;
    let found = node.check().await.expect("check").streams;
    let size = |stream: &StreamHealth| (stream.replicas, stream.bytes_max);
    assert!(
        found
            .iter()
            .all(|stream| size(stream) == (1, Some(256 << 10)))
    );
    let (log, room_id) = (node.log(), RoomId::generate());
    let partition = partition_of(&room_id);
    let (first, refused, refusal) = fill(&log, &room_id).await;
    assert!(matches!(refusal, LogError::Unavailable(_)), "{refusal:?}");
    assert!(first.len() > 40, "{}", first.len());
    assert_eq!(places_of(&log, &room_id).await, first, "nothing is dropped");
    // What is not in the store stays, however short the space is.
    log.trim(partition, 0).await.expect("trim");
    assert_eq!(places_of(&log, &room_id).await, first);
    let settled = first[4];
    log.trim(partition, settled.get()).await.expect("trim");
    assert_eq!(places_of(&log, &room_id).await, first[5..]);
    let again = log.append(Append::new(refused.clone())).await;
    let again = again.expect("there is space again");
    assert!(!again.duplicate, "what was refused was not stored");
    assert_eq!(again.prev, first[first.len() - 1]);
    // With everything in the store, a part of it is enough.
    log.trim(partition, again.seq.get()).await.expect("trim");
    let left = places_of(&log, &room_id).await;
    assert!(left.len() > first.len() / 2 && left.len() < first.len() * 3 / 4);
    let (more, _, _) = fill(&log, &room_id).await;
    assert!(more.len() > 10, "{}", more.len());
    node.close().await;
}

/// Ends the server, puts the copy of its data in the place of the data, and starts it again.
fn restore(nats: &mut roomcast_test_cluster::Nats, data: &Path, copy: &Path) {
    nats.stop(0);
    std::fs::remove_dir_all(data).expect("remove the data");
    copy_directory(copy, data);
    nats.start_node(0).expect("start nats-server again");
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("make a directory");
    for entry in std::fs::read_dir(from).expect("read a directory") {
        let entry = entry.expect("read an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copy a file");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_restored_from_an_older_copy_goes_on_in_a_new_incarnation_at_every_process() {
    let mut nats = servers::start(1).await;
    let keeper = open(manager(&nats)).await;
    let gateways = [open(client(&nats)).await, open(client(&nats)).await];
    let logs: Vec<_> = gateways.iter().map(|gateway| gateway.log()).collect();
    let mut live = logs[1].subscribe();
    let room_id = RoomId::generate();
    let append = async |log: &Arc<dyn EventLog>| {
        let appended = log.append(Append::new(some_event(&room_id))).await;
        appended.expect("append").seq
    };
    for _ in 0..10 {
        append(&logs[0]).await;
    }
    let data = nats.directory().join(format!("{}-data", nats.node_name(0)));
    let copy = nats.directory().join("copy");
    let (from, to) = (data.clone(), copy.clone());
    nats = blocking(move || {
        nats.stop(0);
        copy_directory(&from, &to);
        nats.start_node(0).expect("start nats-server again");
        nats
    })
    .await;
    let mut last = Seq::ZERO;
    for number in 0..20 {
        last = append(&logs[number % 2]).await;
    }
    let _nats = blocking(move || {
        restore(&mut nats, &data, &copy);
        nats
    })
    .await;
    // Some are sent before anything can be noticed, from both at once.
    let (one, other) = tokio::join!(append(&logs[0]), append(&logs[1]));
    let mut after = vec![one, other];
    for number in 0..20 {
        after.push(append(&logs[number % 2]).await);
    }
    assert!(
        after.iter().all(|place| *place > last),
        "{after:?} after {last}"
    );
    let incarnation = |place: &Seq| place.get() >> 40;
    let begun: Vec<u64> = after.iter().map(incarnation).collect();
    assert!(
        begun.iter().all(|it| *it == incarnation(&last) + 1),
        "{begun:?}"
    );
    assert_eq!(after[0].min(after[1]).get(), (begun[0] << 40) | 1);
    after.sort_unstable();
    for log in &logs {
        let events = log.read(&room_id, last, 100).await.expect("read");
        let read: Vec<Seq> = events.iter().map(|event| event.seq).collect();
        assert_eq!(read, after);
    }
    // The subscriber got no seq twice, and all new ones.
    let mut heard = Vec::new();
    while heard.last() != after.last() {
        if let Some(LiveEvent::Event(event)) = within_timeout("a live event", live.next()).await {
            heard.push(event.seq);
        }
    }
    assert!(heard.is_sorted_by(|one, next| one < next), "{heard:?}");
    let new = heard.iter().filter(|place| **place > last);
    assert_eq!(new.count(), after.len());
    for process in gateways.iter().chain([&keeper]) {
        process.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_refuses_a_senders_later_appends_in_a_room_with_the_first_one() {
    let mut nats = alone(1).await;
    let log = open(manager(&nats)).await;
    nats = blocking(move || {
        nats.kill(0);
        nats
    })
    .await;
    while log.ready().await.is_ok() {
        sleep(Duration::from_millis(10)).await;
    }
    let (room_id, anna, ben) = (RoomId::generate(), user(), user());
    let append = |sender| {
        let event = event(&room_id, sender, said("x"));
        log.log().append(Append::new(event))
    };
    let first = append(&anna);
    // Long enough behind that these are not given up for their own time.
    sleep(APPEND_TIMEOUT / 2).await;
    let (behind, of_another) = (append(&anna), append(&ben));
    let refused = within_timeout("the first append", first).await;
    assert!(
        matches!(refused, Err(LogError::Unavailable(_))),
        "{refused:?}"
    );
    nats = blocking(move || {
        nats.start_node(0).expect("start nats-server again");
        nats
    })
    .await;
    let behind = within_timeout("the append behind it", behind).await;
    assert!(
        matches!(behind, Err(LogError::Unavailable(_))),
        "{behind:?}"
    );
    let of_another = within_timeout("another's append", of_another).await;
    let of_another = of_another.expect("the log is back in time");
    assert_eq!(of_another.prev, Seq::ZERO, "nothing of hers was stored");
    let again = append(&anna).await.expect("the log is back");
    assert_eq!(again.prev, of_another.seq);
    log.close().await;
    drop(nats);
}
