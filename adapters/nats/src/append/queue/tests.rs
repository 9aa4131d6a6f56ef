//! The order of what waits, over refusals, silence, loss of the connection and giving up.

use roomcast_protocol::event::Message;
use roomcast_protocol::{EventBody, RoomEvent, UserId};

use super::*;

type Answer = oneshot::Receiver<Result<Appended, LogError>>;

fn waiting(room_id: &RoomId, now: Instant) -> (QueuedAppend, Answer) {
    waiting_of("somebody", room_id, now)
}

fn waiting_of(sender: &str, room_id: &RoomId, now: Instant) -> (QueuedAppend, Answer) {
    let event = RoomEvent {
        id: EventId::generate(),
        room_id: room_id.clone(),
        sender_id: UserId::new(sender).unwrap(),
        client_message_id: None,
        sent_at: Timestamp::now(),
        body: EventBody::MessageSent(Message::default()),
    };
    let (answer, receiver) = oneshot::channel();
    let body = Bytes::from_static(b"0123456789");
    (QueuedAppend::new(&event, body, None, answer, now), receiver)
}

fn numbers(queue: &mut Queue, now: Instant) -> Vec<u64> {
    std::iter::from_fn(|| {
        queue
            .next_to_send(now, |_| Some(0))
            .map(|sending| sending.number)
    })
    .collect()
}

#[test]
fn of_each_room_one_is_on_its_way_and_rooms_do_not_wait_for_each_other() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let rooms = [RoomId::generate(), RoomId::generate()];
    for number in 0..6 {
        queue.push(waiting(&rooms[number % 2], now).0);
    }
    assert_eq!(numbers(&mut queue, now), [0, 1]);
    queue.take(1).unwrap();
    assert_eq!(numbers(&mut queue, now), [3]);
    assert!(queue.take(5).is_none(), "it has not been sent");
    queue.take(0).unwrap();
    queue.take(3).unwrap();
    assert_eq!(numbers(&mut queue, now), [2, 5]);
    assert_eq!((queue.len(), queue.bytes()), (3, 30));
}

#[test]
fn what_is_refused_or_not_answered_is_sent_again_before_the_rooms_next() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let room_id = RoomId::generate();
    queue.push(waiting(&room_id, now).0);
    queue.push(waiting(&room_id, now).0);
    assert_eq!(numbers(&mut queue, now), [0]);
    queue.rejected_retryable(0, now);
    assert_eq!(queue.requeue_expired(now), 0, "after a pause");
    let soon = now + Duration::from_millis(5);
    assert_eq!(queue.requeue_expired(soon), 1);
    assert_eq!(numbers(&mut queue, soon), [0]);
    assert_eq!(
        queue.requeue_expired(soon + ATTEMPT_TIMEOUT - Duration::from_millis(1)),
        0
    );
    assert_eq!(queue.requeue_expired(soon + ATTEMPT_TIMEOUT), 1);
    assert_eq!(numbers(&mut queue, now), [0]);
    queue.requeue_all();
    assert_eq!(numbers(&mut queue, now), [0]);
    queue.take(0).unwrap();
    assert_eq!(numbers(&mut queue, now), [1]);
}

#[test]
fn failed_append_is_unavailable_only_when_certainly_not_stored() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let mut answers: Vec<Answer> = Vec::new();
    for _ in 0..4 {
        let (waiting, answer) = waiting(&RoomId::generate(), now);
        queue.push(waiting);
        answers.push(answer);
    }
    // The first is never sent, the second refused, the third silent, the fourth silent, then refused.
    let first = queue.ready.pop_front().unwrap();
    assert_eq!(numbers(&mut queue, now), [1, 2, 3]);
    queue.ready.push_back(first);
    queue.rejected_retryable(1, now);
    queue.requeue_expired(now + ATTEMPT_TIMEOUT);
    queue.ready.retain(|number| *number == 3);
    assert_eq!(numbers(&mut queue, now), [3]);
    queue.rejected_retryable(3, now);
    let late = now + Duration::from_secs(10);
    loop {
        let oldest = queue.evict_oldest(Some(now));
        if oldest.is_empty() {
            break;
        }
        for waiting in oldest {
            waiting.fail(late, "test");
        }
    }
    let answers: Vec<_> = answers.iter_mut().map(|a| a.try_recv().unwrap()).collect();
    for (number, answer) in answers.into_iter().enumerate() {
        match answer {
            Err(LogError::Unavailable(_)) => assert!(number < 2, "{number}"),
            Err(LogError::Unconfirmed(waited)) => {
                assert!(number >= 2 && waited == Duration::from_secs(10), "{number}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
}

#[test]
fn the_oldest_goes_first_and_its_rooms_next_takes_its_turn() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let (room_id, later) = (RoomId::generate(), now + Duration::from_secs(1));
    queue.push(waiting(&room_id, now).0);
    queue.push(waiting_of("another", &room_id, later).0);
    assert_eq!(numbers(&mut queue, now), [0]);
    assert_eq!(queue.evict_oldest(Some(now)).len(), 1);
    assert!(
        queue.evict_oldest(Some(now)).is_empty(),
        "the other is younger"
    );
    assert_eq!(numbers(&mut queue, later), [1]);
    assert_eq!(queue.evict_oldest(None).len(), 1);
    assert!(queue.evict_oldest(None).is_empty());
}

#[test]
fn live_event_that_precedes_the_ack_is_kept_for_it() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let (first, _answer) = waiting(&RoomId::generate(), now);
    let (room_id, event_id) = (first.room_id.clone(), first.event_id.clone());
    queue.push(first);
    queue.next_to_send(now, |_| Some(0)).unwrap();
    assert!(!queue.heard(&room_id, &EventId::generate(), 7, 3));
    assert!(queue.heard(&room_id, &event_id, 7, 3));
    assert_eq!(queue.take(0).unwrap().heard, Some((7, 3)));
    assert!(!queue.heard(&room_id, &event_id, 7, 3));
}

#[test]
fn queue_fails_a_senders_later_events_in_a_room_with_the_one_that_is_given_up() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let later = now + Duration::from_secs(8);
    let rooms = [RoomId::generate(), RoomId::generate()];
    let mut answers = Vec::new();
    for (sender, room, asked) in [
        ("anna", 0, now),
        ("anna", 0, later),
        ("ben", 0, later),
        ("anna", 1, later),
        ("anna", 0, later),
    ] {
        let (waiting, answer) = waiting_of(sender, &rooms[room], asked);
        queue.push(waiting);
        answers.push(answer);
    }
    assert_eq!(numbers(&mut queue, now), [0, 3]);
    let given_up = queue.evict_oldest(Some(now));
    assert_eq!(given_up.len(), 3, "hers in that room, and no others");
    for waiting in given_up {
        waiting.fail(later, "test");
    }
    let answers: Vec<_> = answers.iter_mut().map(|it| it.try_recv().ok()).collect();
    assert!(matches!(answers[0], Some(Err(LogError::Unconfirmed(_)))));
    for behind in [1, 4] {
        let answer = &answers[behind];
        assert!(
            matches!(answer, Some(Err(LogError::Unavailable(_)))),
            "{answer:?}"
        );
    }
    assert!(answers[2].is_none() && answers[3].is_none());
    assert_eq!(
        numbers(&mut queue, later),
        [2],
        "the room goes on with another's"
    );
    assert_eq!((queue.len(), queue.bytes()), (2, 20));
}
