//! Leaders that die or step down, and streams that are created again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roomcast_conformance::sample::{event, said, user};
use roomcast_nats::{NatsConfig, NatsLog, StreamHealth};
use roomcast_ports::event_log::{Append, EventLog};
use roomcast_ports::live::{LiveEvent, LiveSubscription};
use roomcast_protocol::{RoomId, Seq};
use roomcast_test_cluster::Nats;
use tokio::time::{Instant, sleep, timeout};

use crate::servers::{alone, blocking, client, manager, open, rooms_in};
use crate::talk::{
    Said, Talk, assert_all_acknowledged, assert_none_given_up_early, assert_true, longest,
};

const PARTITION: u16 = 7;
/// The servers elect a leader within 4 to 9 seconds; on a machine that does much else, later.
const AGAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// What the dying leader had answered already has come by then.
const FLUSHED: Duration = Duration::from_millis(500);

/// Which server leads the partition.
async fn leader(log: &NatsLog, nats: &Nats, partition: u16) -> usize {
    loop {
        let found = log.check().await.expect("look at the streams");
        let stream = &found.streams[usize::from(partition)];
        if let Some(leader) = stream.leader.as_deref().and_then(|it| nats.node_named(it)) {
            return leader;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_killed_under_load_is_waited_for_and_nothing_is_lost_doubled_or_reordered() {
    let mut nats = alone(3).await;
    let log = open(manager(&nats)).await;
    let listener = open(client(&nats)).await;
    let mut live = listener.log().subscribe();
    let mut rooms = rooms_in(PARTITION, 20);
    rooms.extend((0..20).map(|_| RoomId::generate()));
    let leader = leader(&log, &nats, PARTITION).await;
    let talk = Talk::begin(&log.log(), &rooms);
    sleep(Duration::from_secs(1)).await;
    let killed_at = Instant::now();
    nats = blocking(move || {
        nats.kill(leader);
        nats
    })
    .await;
    sleep(Duration::from_secs(15)).await;
    let story = talk.end().await;
    let count: usize = story.values().map(Vec::len).sum();
    println!("{count} appends, the longest took {:?}", longest(&story));
    let given_up = assert_none_given_up_early(&story);
    let after = |said: &&Said| said.answer.is_ok() && said.answered > killed_at + FLUSHED;
    let again = rooms[..20].iter().map(|room_id| {
        let first = story[room_id]
            .iter()
            .filter(after)
            .map(|said| said.answered);
        first.min().expect("something was acknowledged afterwards") - killed_at
    });
    let again = again.max().expect("rooms");
    println!("acknowledged again after {again:?}, {given_up} given up");
    assert!(again < AGAIN_TIMEOUT, "{again:?}");
    nats = blocking(move || {
        nats.start_node(leader).expect("start nats-server again");
        nats.wait_until_ready().expect("nats-server is ready again");
        nats
    })
    .await;
    assert_true(&log.log(), &story).await;
    let mut told = 0;
    while live.try_next().is_some() {
        told += 1;
    }
    assert!(told > 0, "the listener heard nothing");
    log.close().await;
    listener.close().await;
    drop(nats);
}

/// What a subscriber received, and when.
#[derive(Default)]
struct Heard {
    events: HashMap<Seq, Instant>,
    /// The furthest that nudges went, each with its time.
    nudges: Vec<(RoomId, Seq, Instant)>,
}

async fn listen(mut live: LiveSubscription, heard: Arc<Mutex<Heard>>) {
    while let Some(told) = live.next().await {
        let (now, mut heard) = (Instant::now(), heard.lock().unwrap());
        match told {
            LiveEvent::Event(event) => drop(heard.events.insert(event.seq, now)),
            LiveEvent::HeadAdvanced(room_id, seq) => heard.nudges.push((room_id, seq, now)),
            LiveEvent::Lagged => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_a_stepping_leader_does_not_publish_is_nudged_within_a_second() {
    let nats = alone(3).await;
    let log = open(manager(&nats)).await;
    let listener = open(client(&nats)).await;
    let bus = async_nats::connect(nats.address(0)).await.expect("connect");
    let heard = Arc::new(Mutex::new(Heard::default()));
    // The one who appends listens as well, as gateways do.
    let _own = log.log().subscribe();
    let hearing = listen(listener.log().subscribe(), Arc::clone(&heard));
    let mut lost = BTreeSet::new();
    let listening = async {
        for round in 0..30 {
            let rooms = rooms_in(PARTITION, 40);
            let talk = Talk::begin(&log.log(), &rooms);
            for _ in 0..3 {
                sleep(Duration::from_millis(300)).await;
                let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.CHAT_{PARTITION}");
                bus.request(subject, "".into()).await.expect("step down");
            }
            let story = talk.end().await;
            sleep(Duration::from_secs(1)).await;
            assert_true(&log.log(), &story).await;
            let heard = heard.lock().unwrap();
            for (room_id, said) in &story {
                for said in said {
                    let Ok(placed) = &said.answer else { continue };
                    if heard.events.contains_key(&placed.seq) {
                        continue;
                    }
                    let nudged = heard.nudges.iter().any(|(room, seq, at)| {
                        room == room_id
                            && *seq >= placed.seq
                            && *at < said.answered + Duration::from_secs(1)
                    });
                    assert!(nudged, "{room_id}: {} was not heard of", placed.seq);
                    lost.insert(placed.seq);
                }
            }
            if !lost.is_empty() {
                println!("{} lost and nudged in round {round}", lost.len());
                return;
            }
        }
        panic!("no live event was lost: the test has shown nothing");
    };
    tokio::select! {
        () = listening => {}
        () = hearing => panic!("the log has closed"),
    }
    log.close().await;
    listener.close().await;
}

/// Appends one message, and gives its seq.
async fn append(log: &Arc<dyn EventLog>, room_id: &RoomId) -> Seq {
    let event = event(room_id, &user(), said("x"));
    log.append(Append::new(event)).await.expect("append").seq
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_created_again_goes_on_above_what_was_there() {
    let nats = alone(3).await;
    let keeper = open(manager(&nats)).await;
    let gateway = open(client(&nats)).await;
    let (log, other) = (keeper.log(), gateway.log());
    let mut live = other.subscribe();
    let room_id = rooms_in(PARTITION, 1).remove(0);
    let mut last = Seq::ZERO;
    for _ in 0..5 {
        last = append(&other, &room_id)
            .await
            .max(append(&log, &room_id).await);
    }
    let bus = async_nats::connect(nats.address(0)).await.expect("connect");
    let delete = format!("$JS.API.STREAM.DELETE.CHAT_{PARTITION}");
    bus.request(delete, "".into()).await.expect("delete");
    // Both continue without a hint: the events wait until the stream exists again.
    let again = [append(&other, &room_id).await, append(&log, &room_id).await];
    assert!(again[0] > last && again[1] > last, "{again:?} after {last}");
    assert!(again[0].get() >> 40 > last.get() >> 40, "{again:?}");
    let events = other.read(&room_id, last, 10).await.expect("read");
    let places: Vec<Seq> = events.iter().map(|event| event.seq).collect();
    let mut sorted = again.to_vec();
    sorted.sort_unstable();
    assert_eq!(places, sorted);
    assert_eq!(other.head(&room_id).await.expect("head"), sorted[1]);
    let hears_both = async {
        let mut heard = Vec::new();
        while heard.len() < 2 {
            if let Some(LiveEvent::Event(event)) = live.next().await
                && event.seq > last
            {
                heard.push(event.seq);
            }
        }
        heard
    };
    let heard = timeout(Duration::from_secs(10), hears_both).await;
    assert_eq!(heard.expect("both are heard"), sorted);
    // Who derives from the log goes on after the position it had before.
    let claim = timeout(Duration::from_secs(20), log.claim(PARTITION)).await;
    let claim = claim.expect("a claim in time").expect("claim");
    let mut feed = claim.open(last.get()).await.expect("begin");
    let batch = feed.next(10).await.expect("read the feed");
    let fed: Vec<Seq> = batch.events.iter().map(|event| event.seq).collect();
    assert_eq!(fed[0], sorted[0]);
    drop(feed);
    keeper.close().await;
    gateway.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_talk_at_once_keep_the_order_of_each_room() {
    let nats = alone(3).await;
    let node = open(manager(&nats)).await;
    let other = open(client(&nats)).await;
    let rooms: Vec<RoomId> = (0..200).map(|_| RoomId::generate()).collect();
    let others: Vec<RoomId> = (0..100).map(|_| RoomId::generate()).collect();
    // One process listens and one does not: what stands before is learnt in different ways.
    let _live = node.log().subscribe();
    let talks = [
        Talk::begin(&node.log(), &rooms),
        Talk::begin(&other.log(), &others),
    ];
    sleep(Duration::from_secs(3)).await;
    for talk in talks {
        let story = talk.end().await;
        let count: usize = story.values().map(Vec::len).sum();
        println!(
            "{count} appends in {} rooms, the longest took {:?}",
            story.len(),
            longest(&story)
        );
        assert!(count > 500, "{count}");
        assert_all_acknowledged(&story);
        assert_true(&node.log(), &story).await;
    }
    node.close().await;
    other.close().await;
}

/// The sizes that the streams have: copies and bytes.
async fn sizes(log: &NatsLog) -> BTreeSet<(usize, Option<u64>)> {
    let found = log.check().await.expect("check").streams;
    assert_eq!(found.len(), 32);
    let size = |stream: &StreamHealth| (stream.replicas, stream.bytes_max);
    found.iter().map(size).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_one_address_or_smaller_numbers_lowers_no_stream() {
    let nats = alone(3).await;
    let first = open(manager(&nats)).await;
    let before = sizes(&first).await;
    let bytes = 64 << 20;
    assert_eq!(before, BTreeSet::from([(3, Some(bytes))]), "three servers");
    let told = |replicas, partition_bytes_max| NatsConfig {
        servers: vec![nats.address(1).to_owned()],
        replicas,
        partition_bytes_max,
        ..manager(&nats)
    };
    for config in [told(None, None), told(Some(1), Some(1 << 20))] {
        let again = open(config).await;
        assert_eq!(sizes(&again).await, before);
        again.close().await;
    }
    let raised = open(told(None, Some(bytes + 1))).await;
    assert_eq!(sizes(&raised).await, BTreeSet::from([(3, Some(bytes + 1))]));
    raised.close().await;
    first.close().await;
}
