//! Every event after a seq, once and in order, with deleted messages redacted.

use roomcast_history::PageQuery;
use roomcast_ports::timeline::Timeline as _;
use roomcast_protocol::{EventBody, RoomId, Seq};

use crate::world::World;

#[tokio::test]
async fn pages_after_a_place_are_the_log_wherever_ingest_stands() {
    let world = World::new().await;
    let mut deleted = Vec::new();
    for round in 0..40 {
        let (_, message_id) = world.say(&format!("message {round}")).await;
        match round % 4 {
            1 => world.edit(&message_id, "better").await,
            2 => deleted.push(message_id),
            _ => {}
        }
    }
    for message_id in &deleted {
        world.edit(message_id, "soon gone").await;
        world.delete(message_id).await;
    }
    let events = world.events().await;
    for step in 0..6 {
        for limit in [1, 7, 50, 1_000] {
            let mut walked = Vec::new();
            let mut after = Seq::ZERO;
            loop {
                let page = world
                    .history
                    .events_after(&world.room, after, limit)
                    .await
                    .unwrap();
                assert!(page.events.len() <= limit);
                assert_eq!(page.head, events.last().unwrap().seq);
                walked.extend(page.events);
                after = walked.last().unwrap().seq;
                if !page.has_more {
                    break;
                }
            }
            assert_eq!(walked.len(), events.len(), "step {step}, limit {limit}");
            for (read, logged) in walked.iter().zip(&events) {
                assert_eq!((read.seq, read.prev), (logged.seq, logged.prev));
                let gone = read
                    .event
                    .message_id()
                    .is_some_and(|id| deleted.contains(&id));
                let still_says = read.event.clone().redact();
                assert!(
                    !(gone && still_says),
                    "step {step}, limit {limit}: {read:?}"
                );
            }
        }
        world.ingest(20).await;
    }
}

#[tokio::test]
async fn the_start_after_a_place_is_a_prefix_and_knows_of_all_that_follows() {
    let world = World::new().await;
    for round in 0..150 {
        let (_, message_id) = world.say(&format!("message {round}")).await;
        if round % 5 == 0 {
            world.delete(&message_id).await;
        }
    }
    let (room, history) = (&world.room, &world.history);
    for _ in 0..4 {
        for (limit, bytes_max) in [(1_000, 2_000), (1_000, 1), (100, 2_000), (1_000, 1 << 20)] {
            let all = history.events_after(room, Seq::ZERO, limit).await.unwrap();
            let start = history.first_events_after(room, Seq::ZERO, limit, bytes_max);
            let start = start.await.unwrap();
            assert_eq!(
                (start.head, start.has_more, start.is_complete),
                (all.head, all.has_more, all.is_complete)
            );
            let count = start.events.len();
            assert_eq!(start.events, all.events[..count], "a prefix");
            assert_eq!(start.count, all.events.len());
            let bytes: usize = start.events.iter().map(|it| it.frame().encoded_len()).sum();
            assert!(count == 1 || bytes <= bytes_max, "{bytes} of {bytes_max}");
            let next = all
                .events
                .get(count)
                .map_or(0, |it| it.frame().encoded_len());
            assert!(
                count == start.count || bytes + next > bytes_max,
                "as many as fit"
            );
        }
        world.ingest(60).await;
    }
}

#[tokio::test]
async fn frames_after_a_seq_have_flags_for_more_on_either_side() {
    let world = World::new().await;
    let (first, message_id) = world.say("one").await;
    world.say("two").await;
    world.delete(&message_id).await;
    let founded = world.events().await[0].seq;
    for _ in 0..5 {
        let page = |after, limit| {
            world
                .history
                .page(&world.room, PageQuery::After(after), limit)
        };
        let all = page(Seq::ZERO, 10).await.unwrap();
        let types: Vec<_> = all
            .events
            .iter()
            .map(|it| it["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            types,
            ["MEMBER_JOINED", "MESSAGE", "MESSAGE", "MESSAGE_DELETED"]
        );
        assert_eq!((all.has_more_before, all.has_more_after), (false, false));
        assert_eq!(all.events[1]["deleted"], true);
        assert_eq!(all.events[1]["prev"].as_u64(), Some(founded.get()));
        assert!(all.events[1].get("content").is_none());
        let some = page(founded, 1).await.unwrap();
        assert_eq!((some.has_more_before, some.has_more_after), (true, true));
        let before_all = page(Seq::new(founded.get() - 1).unwrap(), 10)
            .await
            .unwrap();
        assert!(!before_all.has_more_before);
        let none = page(all.head, 10).await.unwrap();
        assert!(none.events.is_empty() && none.has_more_before && !none.has_more_after);
        assert_eq!(page(first, 10).await.unwrap().events.len(), 2);
        world.ingest(1).await;
    }
}

#[tokio::test]
async fn edit_after_the_deletion_it_raced_is_redacted() {
    let world = World::new().await;
    let (first, message_id) = world.say("one").await;
    world.delete(&message_id).await;
    world.edit(&message_id, "too late").await;
    for _ in 0..5 {
        let page = world
            .history
            .events_after(&world.room, first, 10)
            .await
            .unwrap();
        let late = &page.events[1].event.body;
        assert!(
            matches!(late, EventBody::MessageEdited { content: None, .. }),
            "{late:?}"
        );
        let view = world
            .history
            .message_view(&world.room, &message_id)
            .await
            .unwrap();
        assert!(view.deleted && view.content.is_none());
        world.ingest(1).await;
    }
}

#[tokio::test]
async fn a_room_that_never_was_is_empty() {
    let world = World::new().await;
    let never = RoomId::new("never").unwrap();
    let caught_up = world
        .history
        .events_after(&never, Seq::ZERO, 10)
        .await
        .unwrap();
    assert!(caught_up.events.is_empty() && caught_up.head == Seq::ZERO && !caught_up.has_more);
    let page = world
        .history
        .page(&never, PageQuery::Newest, 10)
        .await
        .unwrap();
    assert!(page.events.is_empty() && !page.has_more_before && !page.has_more_after);
    assert_eq!(world.history.head(&never).await.unwrap(), Seq::ZERO);
}
