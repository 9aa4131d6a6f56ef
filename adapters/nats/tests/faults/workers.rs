//! Workers that share the partitions: one at a time, the next one soon, nothing left out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use roomcast_conformance::sample::{event, said, user};
use roomcast_nats::{NatsConfig, NatsLog};
use roomcast_ports::event_log::{Append, EventLog, PartitionConsumer};
use roomcast_protocol::{RoomId, Seq};
use tokio::time::{Instant, sleep, timeout};

use crate::servers::{alone, blocking, client, manager, open, rooms_in};

const PARTITION: u16 = 11;

async fn append(log: &Arc<dyn EventLog>, room_id: &RoomId, count: usize) -> Vec<Seq> {
    let appends = (0..count).map(|_| log.append(Append::new(event(room_id, &user(), said("x")))));
    let appended = futures_util::future::join_all(appends).await;
    appended
        .into_iter()
        .map(|it| it.expect("append").seq)
        .collect()
}

/// Reads until all events have arrived, and acknowledges them if asked to.
async fn read_all(
    feed: &mut Box<dyn PartitionConsumer>,
    wanted: &[Seq],
    acknowledges: bool,
) -> Vec<Seq> {
    let (mut given, wanted): (Vec<Seq>, BTreeSet<&Seq>) = (Vec::new(), wanted.iter().collect());
    while !wanted.iter().all(|place| given.contains(place)) {
        let batch = feed.next(7).await.expect("read the feed");
        given.extend(batch.events.iter().map(|event| event.seq));
        if acknowledges {
            feed.acknowledge(batch.position).await.expect("acknowledge");
        }
    }
    assert!(given.is_sorted_by(|one, next| one < next), "{given:?}");
    given
}

async fn claim(log: &Arc<NatsLog>, after: u64) -> Box<dyn PartitionConsumer> {
    let claim = log.log().claim(PARTITION).await.expect("claim");
    claim.open(after).await.expect("begin")
}

/// A worker that has read a batch and then, on its own thread, ends as `ends` demands.
async fn worker_that(
    ends: impl FnOnce(tokio::runtime::Runtime, Box<dyn PartitionConsumer>) + Send + 'static,
    config: NatsConfig,
    wanted: Vec<Seq>,
) {
    let worker = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let feed = runtime.block_on(async {
            let log = open(config).await;
            let mut feed = claim(&log, wanted[0].get() - 1).await;
            // It acknowledges nothing: the next one has to be given all of it.
            read_all(&mut feed, &wanted, false).await;
            feed
        });
        ends(runtime, feed);
    };
    blocking(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_or_falls_silent_is_followed_within_seconds_and_nothing_is_left_out() {
    let nats = alone(3).await;
    let log = open(manager(&nats)).await;
    let room_id = rooms_in(PARTITION, 1).remove(0);
    // One worker is killed, which cuts its connection; another one stands still and keeps it.
    let (release, released) = std::sync::mpsc::sync_channel::<()>(0);
    let mut released = Some(released);
    for dies in [true, false] {
        let before = append(&log.log(), &room_id, 20).await;
        if dies {
            let ends = |runtime: tokio::runtime::Runtime, _| runtime.shutdown_background();
            worker_that(ends, client(&nats), before.clone()).await;
        } else {
            let released = released.take().expect("once");
            let stands_still = move |runtime, feed| {
                std::thread::spawn(move || {
                    let _ = released.recv();
                    drop((feed, runtime));
                });
            };
            worker_that(stands_still, client(&nats), before.clone()).await;
        }
        let ended_at = Instant::now();
        let after = append(&log.log(), &room_id, 20).await;
        let mut feed = claim(&log, before[0].get() - 1).await;
        let took = ended_at.elapsed();
        println!("taken over after {took:?}");
        assert!(took < Duration::from_secs(8), "{took:?}");
        let all: Vec<Seq> = before.iter().chain(&after).copied().collect();
        let given = timeout(Duration::from_secs(10), read_all(&mut feed, &all, true)).await;
        assert_eq!(given.expect("all of it in time"), all);
    }
    drop(release);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_worker_at_a_time_has_a_partition_and_hands_it_on_when_it_ends() {
    let nats = alone(3).await;
    let (first, second) = (open(manager(&nats)).await, open(client(&nats)).await);
    let room_id = rooms_in(PARTITION, 1).remove(0);
    let places = append(&first.log(), &room_id, 10).await;
    let mut feed = claim(&first, places[0].get() - 1).await;
    let mut waiting = Box::pin(claim(&second, places[0].get() - 1));
    read_all(&mut feed, &places, true).await;
    // Longer than a silent worker is waited for: this one reads nothing, but is there.
    assert!(timeout(Duration::from_secs(6), &mut waiting).await.is_err());
    let more = append(&first.log(), &room_id, 10).await;
    read_all(&mut feed, &more, true).await;
    let handed_on = Instant::now();
    drop(feed);
    let last = append(&first.log(), &room_id, 3).await;
    let mut feed = timeout(Duration::from_secs(8), waiting)
        .await
        .expect("handed on");
    println!("handed on after {:?}", handed_on.elapsed());
    assert!(handed_on.elapsed() < Duration::from_secs(2));
    let all: Vec<Seq> = [places, more, last].concat();
    assert_eq!(read_all(&mut feed, &all, true).await, all);
    sleep(Duration::from_millis(1)).await;
    first.close().await;
    second.close().await;
}
