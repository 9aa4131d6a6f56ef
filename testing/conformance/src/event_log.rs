//! The promises of [`EventLog`].

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all, select_all};
use roomcast_protocol::limits::EVENT_BYTES_MAX;
use roomcast_protocol::{RoomEvent, RoomId, Seq, StoredEvent};

use super::sample::{event, one_of_each, said, user};
use super::within_timeout;
use roomcast_ports::event_log::{Append, Appended, EventLog, LogError, PartitionConsumer};
use roomcast_ports::live::{LiveEvent, LiveSubscription};

/// A log to test.
#[async_trait]
pub trait LogHarness: Send {
    /// The log.
    fn log(&self) -> Arc<dyn EventLog>;

    /// Ends the log as a restart does and starts it on what it has kept.
    async fn restart(&mut self);
}

/// Appends and gives the seq.
async fn append(log: &Arc<dyn EventLog>, event: &RoomEvent) -> Appended {
    log.append(Append::new(event.clone()))
        .await
        .expect("append an event")
}

pub(crate) async fn append_many(
    log: &Arc<dyn EventLog>,
    room_id: &RoomId,
    count: usize,
) -> Vec<Appended> {
    let sender = user();
    let appends: Vec<_> = (0..count)
        .map(|number| {
            log.append(Append::new(event(
                room_id,
                &sender,
                said(&number.to_string()),
            )))
        })
        .collect();
    join_all(appends)
        .await
        .into_iter()
        .map(|appended| appended.expect("append"))
        .collect()
}

/// Every event of the room, read in pages of `limit`.
async fn read_all(
    log: &Arc<dyn EventLog>,
    room_id: &RoomId,
    limit: usize,
) -> Vec<Arc<StoredEvent>> {
    let mut events: Vec<Arc<StoredEvent>> = Vec::new();
    loop {
        let after = events.last().map_or(Seq::ZERO, |event| event.seq);
        let page = log.read(room_id, after, limit).await.expect("read the log");
        assert!(
            page.len() <= limit,
            "a page of {} for a limit of {limit}",
            page.len()
        );
        let last = page.len() < limit;
        events.extend(page);
        if last {
            return events;
        }
    }
}

fn assert_chain(events: &[Arc<StoredEvent>]) {
    let mut prev = Seq::ZERO;
    for event in events {
        assert_eq!(event.prev, prev, "the chain is broken before {}", event.seq);
        assert!(event.seq > prev, "{} does not rise over {prev}", event.seq);
        prev = event.seq;
    }
}

/// The room's next live event.
async fn recv_live(live: &mut LiveSubscription, room_id: &RoomId) -> Arc<StoredEvent> {
    loop {
        match within_timeout("a live event", live.next()).await {
            Some(LiveEvent::Event(event)) if event.event.room_id == *room_id => return event,
            Some(_) => {}
            None => panic!("the log has closed"),
        }
    }
}

/// Reads a partition's feed until `count` events of the room have come, in batches of `limit`.
async fn consume_room(
    mut feed: Box<dyn PartitionConsumer>,
    room_id: RoomId,
    count: usize,
    limit: usize,
) -> (Vec<Arc<StoredEvent>>, u64) {
    let (mut events, mut position) = (Vec::new(), 0);
    while events.len() < count {
        let batch = feed.next(limit).await.expect("read the feed");
        assert!(
            (1..=limit).contains(&batch.events.len()),
            "a batch of {}",
            batch.events.len()
        );
        position = batch.position;
        feed.acknowledge(position)
            .await
            .expect("acknowledge a batch");
        events.extend(
            batch
                .events
                .into_iter()
                .filter(|event| event.event.room_id == room_id),
        );
    }
    (events, position)
}

/// The partition's feed after `position`, once it is this caller's.
async fn open_consumer(
    log: &Arc<dyn EventLog>,
    partition: u16,
    position: u64,
) -> Box<dyn PartitionConsumer> {
    let claim = log.claim(partition).await.expect("claim a partition");
    claim.open(position).await.expect("open a feed")
}

/// The room's events from whichever partition has them, and that partition with its position.
pub(crate) async fn consume_any(
    log: &Arc<dyn EventLog>,
    room_id: &RoomId,
    count: usize,
    limit: usize,
) -> (Vec<Arc<StoredEvent>>, u16, u64) {
    let mut feeds: Vec<BoxFuture<'_, _>> = Vec::new();
    for partition in 0..log.partitions() {
        let room_id = room_id.clone();
        feeds.push(Box::pin(async move {
            let feed = open_consumer(log, partition, 0).await;
            let (events, position) = consume_room(feed, room_id, count, limit).await;
            (events, partition, position)
        }));
    }
    within_timeout("the feed's events", select_all(feeds))
        .await
        .0
}

/// An event is read as it was appended, whatever kind it is of.
pub async fn an_event_is_read_as_it_was_appended(harness: &mut impl LogHarness) {
    let (log, room_id, sender) = (harness.log(), RoomId::generate(), user());
    let mut expected = Vec::new();
    for body in one_of_each() {
        let event = event(&room_id, &sender, body);
        let appended = append(&log, &event).await;
        assert!(!appended.duplicate);
        assert_eq!(appended.sent_at, event.sent_at);
        assert_eq!(appended.message_id, event.message_id());
        expected.push(StoredEvent {
            seq: appended.seq,
            prev: appended.prev,
            event,
        });
    }
    let read: Vec<_> = read_all(&log, &room_id, 100)
        .await
        .iter()
        .map(|e| (**e).clone())
        .collect();
    assert_eq!(read, expected);
}

/// What was answered is there after a restart, and seqs keep rising.
pub async fn what_was_appended_is_there_after_a_restart(harness: &mut impl LogHarness) {
    let room_id = RoomId::generate();
    append_many(&harness.log(), &room_id, 20).await;
    let before = read_all(&harness.log(), &room_id, 100).await;
    harness.restart().await;
    harness.log().ping().await.expect("the log answers again");
    assert_eq!(read_all(&harness.log(), &room_id, 100).await, before);
    let next = append(&harness.log(), &event(&room_id, &user(), said("after"))).await;
    assert_eq!(Some(next.prev), before.last().map(|event| event.seq));
    assert!(next.seq > next.prev);
}

/// Seqs rise, and each event names the seq before its own.
pub async fn places_rise_and_each_names_the_one_before(harness: &mut impl LogHarness) {
    let (log, rooms) = (harness.log(), [RoomId::generate(), RoomId::generate()]);
    let sender = user();
    for number in 0..30 {
        append(&log, &event(&rooms[number % 2], &sender, said("x"))).await;
    }
    for room_id in &rooms {
        let events = read_all(&log, room_id, 100).await;
        assert_eq!(events.len(), 15);
        assert_chain(&events);
    }
}

/// The call fixes the order, whatever is awaited when.
pub async fn the_first_call_made_is_placed_first_whatever_is_awaited(
    harness: &mut impl LogHarness,
) {
    let (log, room_id, sender) = (harness.log(), RoomId::generate(), user());
    let mut appends: Vec<_> = (0..100)
        .map(|_| log.append(Append::new(event(&room_id, &sender, said("x")))))
        .collect();
    let mut places = Vec::new();
    while let Some(last) = appends.pop() {
        places.push(last.await.expect("append an event").seq);
    }
    assert!(
        places.is_sorted_by(|later, earlier| later > earlier),
        "{places:?}"
    );
}

/// An append whose future is dropped, even unpolled, is stored all the same.
pub async fn dropping_the_future_does_not_take_the_event_back(harness: &mut impl LogHarness) {
    let (log, room_id, sender) = (harness.log(), RoomId::generate(), user());
    let dropped = event(&room_id, &sender, said("dropped"));
    drop(log.append(Append::new(dropped.clone())));
    append(&log, &event(&room_id, &sender, said("awaited"))).await;
    let events = read_all(&log, &room_id, 100).await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].event, dropped);
}

/// An event id again adds nothing and gives the first seq, immediately, later, and after a restart.
pub async fn an_event_id_again_adds_nothing_and_gives_the_first_place(
    harness: &mut impl LogHarness,
) {
    let (room_id, sender) = (RoomId::generate(), user());
    let first = event(&room_id, &sender, said("once"));
    let mut again = event(&room_id, &sender, said("once more"));
    again.id = first.id.clone();
    again.sent_at = first.sent_at.plus(std::time::Duration::from_secs(5));
    let log = harness.log();
    let together = (0..10)
        .map(|_| log.append(Append::new(first.clone())))
        .collect::<Vec<_>>();
    let mut answers: Vec<_> = join_all(together)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    append_many(&log, &room_id, 3).await;
    answers.push(append(&log, &again).await);
    drop(log);
    harness.restart().await;
    answers.push(append(&harness.log(), &again).await);
    assert_eq!(answers.iter().filter(|answer| !answer.duplicate).count(), 1);
    for answer in &answers {
        assert_eq!((answer.seq, answer.prev), (answers[0].seq, Seq::ZERO));
        assert_eq!(answer.sent_at, first.sent_at);
        assert_eq!(answer.message_id, first.message_id());
    }
    assert_eq!(read_all(&harness.log(), &room_id, 100).await.len(), 4);
}

/// An event id is a room's own.
pub async fn an_event_id_in_another_room_is_another_event(harness: &mut impl LogHarness) {
    let (log, sender) = (harness.log(), user());
    let here = event(&RoomId::generate(), &sender, said("here"));
    let there = RoomEvent {
        room_id: RoomId::generate(),
        ..here.clone()
    };
    assert!(!append(&log, &here).await.duplicate);
    assert!(!append(&log, &there).await.duplicate);
}

/// An append with another expected head stores nothing and returns the head.
pub async fn an_append_that_expects_another_head_stores_nothing(harness: &mut impl LogHarness) {
    let (log, room_id, sender) = (harness.log(), RoomId::generate(), user());
    let first = append(&log, &event(&room_id, &sender, said("first"))).await;
    let late = event(&room_id, &sender, said("late"));
    let expects = |head| Append {
        event: late.clone(),
        expected_head: Some(head),
    };
    match log.append(expects(Seq::ZERO)).await {
        Err(LogError::HeadMismatch { head }) => assert_eq!(head, first.seq),
        other => panic!("{other:?}"),
    }
    assert_eq!(read_all(&log, &room_id, 100).await.len(), 1);
    let appended = log
        .append(expects(first.seq))
        .await
        .expect("the head is as expected");
    assert_eq!(appended.prev, first.seq);
}

/// Of many that expect the same head, one is stored.
pub async fn of_many_that_expect_one_head_one_is_stored(harness: &mut impl LogHarness) {
    let (log, room_id, sender) = (harness.log(), RoomId::generate(), user());
    let appends = (0..20).map(|_| {
        let event = event(&room_id, &sender, said("first"));
        log.append(Append {
            event,
            expected_head: Some(Seq::ZERO),
        })
    });
    let answers = join_all(appends).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let moved = |answer: &&Result<_, _>| matches!(answer, Err(LogError::HeadMismatch { .. }));
    assert_eq!(answers.iter().filter(moved).count(), 19);
    assert_eq!(read_all(&log, &room_id, 100).await.len(), 1);
}

/// A repeat is answered as one even where the head is no longer the expected one.
pub async fn a_repeat_is_a_duplicate_even_when_the_head_has_moved(harness: &mut impl LogHarness) {
    let (log, room_id, sender) = (harness.log(), RoomId::generate(), user());
    let append = Append {
        event: event(&room_id, &sender, said("first")),
        expected_head: Some(Seq::ZERO),
    };
    let first = log.append(append.clone()).await.expect("the room is empty");
    append_many(&log, &room_id, 2).await;
    let again = log.append(append).await.expect("a repeat");
    assert_eq!(
        again,
        Appended {
            duplicate: true,
            ..first
        }
    );
}

/// What is over the limit is refused by name and not stored; what just fits is taken.
pub async fn an_event_over_the_limit_is_refused(harness: &mut impl LogHarness) {
    let (log, room_id, sender) = (harness.log(), RoomId::generate(), user());
    let mut large = event(&room_id, &sender, said(""));
    let frame = roomcast_protocol::event::encode(&large).len();
    large.body = said(&"x".repeat(EVENT_BYTES_MAX - frame + 1));
    match log.append(Append::new(large.clone())).await {
        Err(LogError::TooLarge { bytes, limit }) => {
            assert_eq!((bytes, limit), (EVENT_BYTES_MAX + 1, EVENT_BYTES_MAX));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(log.head(&room_id).await.expect("read the head"), Seq::ZERO);
    large.body = said(&"x".repeat(EVENT_BYTES_MAX - frame));
    append(&log, &large).await;
    assert_eq!(read_all(&log, &room_id, 10).await[0].event, large);
}

/// The head is the last event's seq, zero without one; many are given in the order asked.
pub async fn the_head_is_the_last_events_place(harness: &mut impl LogHarness) {
    let (log, rooms) = (harness.log(), [RoomId::generate(), RoomId::generate()]);
    let unknown = RoomId::generate();
    let mut heads = Vec::new();
    for room_id in &rooms {
        heads.push(append_many(&log, room_id, 5).await[4].seq);
        assert_eq!(
            log.head(room_id).await.expect("read the head"),
            heads[heads.len() - 1]
        );
    }
    assert_eq!(log.head(&unknown).await.expect("read the head"), Seq::ZERO);
    let asked = [
        rooms[1].clone(),
        unknown,
        rooms[0].clone(),
        rooms[1].clone(),
    ];
    let answer = log.heads(&asked).await.expect("read the heads");
    assert_eq!(answer, [heads[1], Seq::ZERO, heads[0], heads[1]]);
}

/// Pages of any size put together are the whole chain.
pub async fn reading_in_pages_gives_the_whole_chain(harness: &mut impl LogHarness) {
    let (log, room_id) = (harness.log(), RoomId::generate());
    let places: Vec<Seq> = append_many(&log, &room_id, 25)
        .await
        .iter()
        .map(|a| a.seq)
        .collect();
    for limit in [1, 7, 25, 100] {
        let events = read_all(&log, &room_id, limit).await;
        assert_chain(&events);
        assert_eq!(
            events.iter().map(|event| event.seq).collect::<Vec<_>>(),
            places
        );
    }
    assert!(
        log.read(&room_id, places[24], 10)
            .await
            .expect("read")
            .is_empty()
    );
    assert!(
        log.read(&RoomId::generate(), Seq::ZERO, 10)
            .await
            .expect("read")
            .is_empty()
    );
}

/// A subscriber gets every event after it is stored, in order, and nothing for a duplicate.
pub async fn subscriber_gets_events_in_order_once_they_are_stored(harness: &mut impl LogHarness) {
    let (log, room_id, sender) = (harness.log(), RoomId::generate(), user());
    let mut live = log.subscribe();
    let first = event(&room_id, &sender, said("first"));
    append(&log, &first).await;
    append(&log, &first).await;
    append_many(&log, &room_id, 50).await;
    let mut heard = Vec::new();
    for _ in 0..51 {
        let event = recv_live(&mut live, &room_id).await;
        assert!(log.head(&room_id).await.expect("read the head") >= event.seq);
        heard.push(event);
    }
    assert_chain(&heard);
    assert_eq!(heard, read_all(&log, &room_id, 100).await);
}

/// The feed has every event of the room, in order, from one and the same partition.
pub async fn the_feed_has_every_event_in_order(harness: &mut impl LogHarness) {
    let (log, room_id) = (harness.log(), RoomId::generate());
    append_many(&log, &room_id, 25).await;
    let (events, _, _) = consume_any(&log, &room_id, 25, 4).await;
    assert_eq!(events, read_all(&log, &room_id, 100).await);
}

/// A consumer continues after a position it has given, waits for what is not there yet, and a restart does
/// not move positions.
pub async fn the_feed_goes_on_from_its_position_and_waits(harness: &mut impl LogHarness) {
    let room_id = RoomId::generate();
    append_many(&harness.log(), &room_id, 3).await;
    let (_, partition, position) = consume_any(&harness.log(), &room_id, 3, 100).await;
    harness.restart().await;
    let log = harness.log();
    let coming = async {
        let feed = open_consumer(&log, partition, position).await;
        consume_room(feed, room_id.clone(), 2, 100).await
    };
    let (next, _) = tokio::join!(within_timeout("the feed's events", coming), async {
        tokio::task::yield_now().await;
        append_many(&log, &room_id, 2).await
    });
    let all = read_all(&log, &room_id, 100).await;
    let fed: BTreeSet<Seq> = next.0.iter().map(|event| event.seq).collect();
    assert!(
        all[3..].iter().all(|event| fed.contains(&event.seq)),
        "{fed:?}"
    );
}

/// Makes a test of every promise of the log; `$make` is an async function that gives a harness.
#[macro_export]
macro_rules! event_log_conformance {
    ($make:ident) => {
        $crate::conformance_tests!(
            $make,
            event_log,
            [
                an_event_is_read_as_it_was_appended,
                what_was_appended_is_there_after_a_restart,
                places_rise_and_each_names_the_one_before,
                the_first_call_made_is_placed_first_whatever_is_awaited,
                dropping_the_future_does_not_take_the_event_back,
                an_event_id_again_adds_nothing_and_gives_the_first_place,
                an_event_id_in_another_room_is_another_event,
                an_append_that_expects_another_head_stores_nothing,
                of_many_that_expect_one_head_one_is_stored,
                a_repeat_is_a_duplicate_even_when_the_head_has_moved,
                an_event_over_the_limit_is_refused,
                the_head_is_the_last_events_place,
                reading_in_pages_gives_the_whole_chain,
                subscriber_gets_events_in_order_once_they_are_stored,
                the_feed_has_every_event_in_order,
                the_feed_goes_on_from_its_position_and_waits,
            ]
        );
    };
}
