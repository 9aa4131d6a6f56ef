//! A store that takes its time, and counts how often it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use roomcast_embedded::EmbeddedStore;
use roomcast_history::{History, PageQuery};
use roomcast_ports::StoreError;
use roomcast_ports::message_store::MessageReader;
use roomcast_ports::timeline::Timeline as _;
use roomcast_ports::wrapper::MessageReaderWrapper;
use roomcast_protocol::Seq;
use tokio_util::task::TaskTracker;

use crate::world::World;

struct Counting {
    store: Arc<EmbeddedStore>,
    asked: AtomicUsize,
}

#[async_trait]
impl MessageReaderWrapper for Counting {
    fn inner(&self) -> Arc<dyn MessageReader> {
        self.store.clone()
    }

    async fn before(&self) -> Result<(), StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }
}

fn counted(world: &World) -> (History, Arc<Counting>) {
    let counting = Arc::new(Counting {
        store: world.store.clone(),
        asked: AtomicUsize::new(0),
    });
    (
        History::new(Arc::clone(&world.log), counting.clone()),
        counting,
    )
}

#[tokio::test]
async fn a_room_that_comes_back_as_one_costs_the_store_what_two_cost() {
    let world = World::new().await;
    for round in 0..60 {
        world.say(&format!("message {round}")).await;
    }
    world.ingest(40).await;
    let (history, counting) = counted(&world);
    let tracker = TaskTracker::new();
    let clients: Vec<_> = (0..2_000)
        .map(|_| {
            let (history, room) = (history.clone(), world.room.clone());
            tracker.spawn(async move { history.page(&room, PageQuery::Newest, 50).await.unwrap() })
        })
        .collect();
    for client in clients {
        assert_eq!(client.await.unwrap().events.len(), 50);
    }
    let asked = counting.asked.load(Ordering::SeqCst);
    assert!(asked <= 4, "two reads a page, two pages: {asked}");
}

#[tokio::test]
async fn what_the_log_still_holds_is_caught_up_with_without_the_store() {
    let world = World::new().await;
    let (first, _) = world.say("first").await;
    let (second, second_id) = world.say("second").await;
    world.delete(&second_id).await;
    let (history, counting) = counted(&world);
    let caught_up = history
        .events_after(&world.room, first, 1_000)
        .await
        .unwrap();
    assert_eq!((caught_up.events.len(), caught_up.has_more), (2, false));
    assert_eq!(caught_up.events[0].seq, second);
    assert!(
        !caught_up.events[0].event.clone().redact(),
        "what it said is gone already"
    );
    let head = world.log.head(&world.room).await.unwrap();
    let nothing = history
        .events_after(&world.room, head, 1_000)
        .await
        .unwrap();
    assert!(nothing.events.is_empty() && nothing.head == head);
    let beyond = history
        .events_after(&world.room, Seq::MAX, 1_000)
        .await
        .unwrap();
    assert!(beyond.events.is_empty() && beyond.head == head);
    assert_eq!(counting.asked.load(Ordering::SeqCst), 0);
}
