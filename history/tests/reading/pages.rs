//! Pages of messages in their current state, walked both ways.

use std::collections::BTreeMap;

use roomcast_history::PageQuery;
use roomcast_protocol::{EventBody, MessageId, Seq};
use serde_json::Value;

use crate::world::{World, next, user};

/// What a room with everything in it should look like: content by seq, none when deleted.
type Expected = BTreeMap<u64, Option<String>>;

async fn talkative(seed: &mut u64, events: usize) -> (World, Expected) {
    let world = World::new().await;
    let mut expected = Expected::new();
    let mut said: Vec<(Seq, MessageId)> = Vec::new();
    for round in 0..events {
        let text = format!("text {round}");
        let about = said.get(next(seed) % said.len().max(1)).cloned();
        match (next(seed) % 10, about) {
            (0, Some((seq, message_id))) => {
                world.delete(&message_id).await;
                expected.insert(seq.get(), None);
            }
            (1 | 2, Some((seq, message_id))) => {
                world.edit(&message_id, &text).await;
                expected.entry(seq.get()).and_modify(|content| {
                    if content.is_some() {
                        *content = Some(text);
                    }
                });
            }
            (3, Some((_, message_id))) => {
                let emoji = "+".to_owned();
                let removed = next(seed).is_multiple_of(3);
                let by = next(seed) % 4;
                world
                    .append(
                        by,
                        EventBody::ReactionChanged {
                            message_id,
                            emoji,
                            removed,
                        },
                    )
                    .await;
            }
            (4, _) => {
                let (user_id, role) = (user(round + 10), roomcast_protocol::MemberRole::Member);
                let founding = None;
                world
                    .append(
                        0,
                        EventBody::MemberJoined {
                            user_id,
                            role,
                            founding,
                        },
                    )
                    .await;
            }
            _ => {
                let (seq, message_id) = world.say(&text).await;
                expected.insert(seq.get(), Some(text));
                said.push((seq, message_id));
            }
        }
    }
    (world, expected)
}

fn seq(event: &Value) -> u64 {
    event["seq"].as_u64().unwrap()
}

fn content(event: &Value) -> Option<String> {
    assert!(event.get("prev").is_none() && event["type"] == "MESSAGE");
    let content = event
        .get("content")
        .map(|it| it.as_str().unwrap().to_owned());
    assert_eq!(event.get("deleted").is_some(), content.is_none());
    content
}

async fn walked_back(world: &World, limit: usize) -> Expected {
    let mut walked = Expected::new();
    let mut page = world
        .history
        .page(&world.room, PageQuery::Newest, limit)
        .await
        .unwrap();
    assert!(!page.has_more_after);
    loop {
        let full = page.events.len() == limit;
        assert!(full || !page.has_more_before, "full pages unless at an end");
        walked.extend(page.events.iter().map(|event| (seq(event), content(event))));
        let Some(first) = page.events.first().filter(|_| page.has_more_before) else {
            return walked;
        };
        let before = PageQuery::Before(Seq::new(seq(first)).unwrap());
        page = world
            .history
            .page(&world.room, before, limit)
            .await
            .unwrap();
        assert!(page.has_more_after && !page.events.is_empty());
    }
}

#[tokio::test]
async fn walking_back_page_by_page_is_the_room_wherever_ingest_stands() {
    for start in 0..4 {
        let mut seed = start;
        let (world, expected) = talkative(&mut seed, 120).await;
        for step in 0..5 {
            for limit in [1, 3, 7, 200] {
                let walked = walked_back(&world, limit).await;
                assert_eq!(walked, expected, "seed {start}, step {step}, limit {limit}");
            }
            world.ingest(30).await;
        }
    }
}

#[tokio::test]
async fn around_a_place_are_its_message_and_half_the_limit_on_each_side() {
    let mut seed = 7;
    let (world, expected) = talkative(&mut seed, 60).await;
    let places: Vec<u64> = expected.keys().copied().collect();
    let last_place = world.log.head(&world.room).await.unwrap().get();
    for _ in 0..3 {
        for limit in [1, 2, 5, 10] {
            for place in 0..last_place + 3 {
                let around = PageQuery::Around(Seq::new(place).unwrap());
                let page = world
                    .history
                    .page(&world.room, around, limit)
                    .await
                    .unwrap();
                let shown: Vec<u64> = page.events.iter().map(seq).collect();
                let middle = places
                    .partition_point(|it| *it < place)
                    .min(places.len() - 1);
                let (from, to) = (middle.saturating_sub(limit / 2), middle + limit / 2 + 1);
                let to = to.min(places.len());
                assert_eq!(shown, places[from..to], "around {place}, limit {limit}");
                let more = (page.has_more_before, page.has_more_after);
                assert_eq!(
                    more,
                    (from > 0, to < places.len()),
                    "around {place}, limit {limit}"
                );
                if place % 5 > 0 {
                    continue;
                }
                for event in &page.events {
                    assert_eq!(content(event), expected[&seq(event)]);
                }
            }
        }
        world.ingest(30).await;
    }
}

#[tokio::test]
async fn reactions_are_counted_and_the_first_fifty_named() {
    let world = World::new().await;
    let (_, message_id) = world.say("hello").await;
    for by in 0..60 {
        let (message_id, emoji) = (message_id.clone(), "+1".to_owned());
        world
            .append(
                by,
                EventBody::ReactionChanged {
                    message_id,
                    emoji,
                    removed: false,
                },
            )
            .await;
    }
    for _ in 0..3 {
        let page = world
            .history
            .page(&world.room, PageQuery::Newest, 10)
            .await
            .unwrap();
        let reaction = &page.events[0]["reactions"][0];
        assert_eq!(
            (reaction["emoji"].as_str(), reaction["count"].as_u64()),
            (Some("+1"), Some(60))
        );
        let users = reaction["userIds"].as_array().unwrap();
        assert_eq!((users.len(), &users[0]), (50, &Value::from("u0")));
        world.ingest(25).await;
    }
}

#[tokio::test]
async fn before_the_first_message_and_from_beyond_the_last_there_is_what_there_is() {
    let world = World::new().await;
    let (first, _) = world.say("one").await;
    world.say("two").await;
    for _ in 0..4 {
        let before = world
            .history
            .page(&world.room, PageQuery::Before(first), 10)
            .await
            .unwrap();
        assert!(before.events.is_empty() && !before.has_more_before && before.has_more_after);
        let before = world
            .history
            .page(&world.room, PageQuery::Before(Seq::MAX), 1)
            .await
            .unwrap();
        assert_eq!(
            (before.has_more_before, before.has_more_after),
            (true, false)
        );
        world.ingest(1).await;
    }
}
