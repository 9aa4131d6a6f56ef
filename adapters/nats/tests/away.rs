//! What becomes of events while the log's only server is away, and what their senders are told.

mod servers;

#[path = "faults/talk.rs"]
mod talk;

use std::time::Duration;

use futures_util::future::join_all;
use roomcast_ports::contract::sample::{event, said, user};
use roomcast_ports::contract::soon;
use roomcast_ports::event_log::{Append, LogError};
use roomcast_ports::live::Live;
use roomcast_protocol::limits::{APPEND_WITHIN, WAITING_EVENTS_MAX};
use roomcast_protocol::{RoomEvent, RoomId, Seq};
use servers::{alone, blocking, manager, open};
use talk::{Talk, assert_all_acknowledged, assert_true, longest};
use tokio::time::{Instant, sleep};

fn some_event(room_id: &RoomId) -> RoomEvent {
    event(room_id, &user(), said("x"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_and_started_again_under_load_loses_nothing_and_tells_the_truth() {
    let mut nats = alone(1).await;
    let log = open(manager(&nats)).await;
    let mut live = log.log().live();
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
        told_of_a_loss |= matches!(told, Live::Lost);
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
    let too_many = WAITING_EVENTS_MAX + 500;
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
            after < APPEND_WITHIN / 2,
            "the oldest are out at once: {after:?}"
        );
    }
    for (answer, after) in late {
        assert!(
            matches!(answer, Err(LogError::Unavailable(_))),
            "{answer:?}"
        );
        let time = APPEND_WITHIN..APPEND_WITHIN + Duration::from_secs(3);
        assert!(time.contains(&after), "{after:?}");
    }
    nats = blocking(move || {
        nats.start_node(0).expect("start nats-server again");
        nats
    })
    .await;
    let after = soon(
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
    assert!(begun.elapsed() < APPEND_WITHIN + Duration::from_secs(3));
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
