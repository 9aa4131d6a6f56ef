//! Promise 5: acknowledged events are immediately in history.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roomcast_history::PageQuery;
use roomcast_ports::timeline::Timeline as _;
use roomcast_protocol::{ErrorCode, MessageId};
use tokio_util::task::TaskTracker;

use crate::world::World;

async fn is_there_at_once(world: &World, text: &str) {
    let (seq, message_id) = world.say(text).await;
    let page = world
        .history
        .page(&world.room, PageQuery::Newest, 3)
        .await
        .unwrap();
    let last = page.events.last().unwrap();
    assert_eq!((last["seq"].as_u64(), page.head), (Some(seq.get()), seq));
    assert_eq!(last["content"], text);
    let view = world
        .history
        .message_view(&world.room, &message_id)
        .await
        .unwrap();
    assert_eq!((view.seq, view.content.as_deref()), (seq, Some(text)));
    let event = world
        .history
        .event(&world.room, &message_id.into())
        .await
        .unwrap();
    assert_eq!(event.unwrap().seq, seq);
}

#[tokio::test]
async fn a_thousand_reads_each_just_after_an_ack_have_the_message_while_ingest_stands_still() {
    let world = World::new().await;
    for round in 0..1_000 {
        is_there_at_once(&world, &format!("message {round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reads_each_just_after_an_ack_have_the_message_while_ingest_runs() {
    let world = Arc::new(World::new().await);
    let done = Arc::new(AtomicBool::new(false));
    let tracker = TaskTracker::new();
    let (ingesting, until) = (Arc::clone(&world), Arc::clone(&done));
    tracker.spawn(async move {
        while !until.load(Ordering::Relaxed) {
            ingesting.ingest(10).await;
        }
    });
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            let world = Arc::clone(&world);
            tracker.spawn(async move {
                for round in 0..250 {
                    let (seq, _) = world.say(&format!("{reader} {round}")).await;
                    let page = world
                        .history
                        .page(&world.room, PageQuery::Newest, 50)
                        .await
                        .unwrap();
                    let is_it = |it: &serde_json::Value| it["seq"].as_u64() == Some(seq.get());
                    assert!(page.events.iter().any(is_it), "{reader} {round}");
                    assert!(page.head >= seq);
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    tracker.close();
    tracker.wait().await;
}

#[tokio::test]
async fn a_message_that_never_was_is_not_found() {
    let world = World::new().await;
    let never = MessageId::new("never").unwrap();
    let refused = world
        .history
        .message_view(&world.room, &never)
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound);
    let event = world
        .history
        .event(&world.room, &never.into())
        .await
        .unwrap();
    assert!(event.is_none());
}

#[tokio::test]
async fn a_message_is_in_its_current_state_wherever_ingest_stands() {
    let world = World::new().await;
    let (_, edited) = world.say("one").await;
    let (_, deleted) = world.say("two").await;
    world.edit(&edited, "three").await;
    world.delete(&deleted).await;
    for _ in 0..6 {
        let view = world
            .history
            .message_view(&world.room, &edited)
            .await
            .unwrap();
        assert_eq!(view.content.as_deref(), Some("three"));
        assert!(view.edited_at.is_some() && !view.deleted);
        let view = world
            .history
            .message_view(&world.room, &deleted)
            .await
            .unwrap();
        assert_eq!((view.content, view.deleted), (None, true));
        world.ingest(1).await;
    }
}
