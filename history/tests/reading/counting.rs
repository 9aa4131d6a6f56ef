//! A store that takes its time, and counts how often it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use roomcast_embedded::EmbeddedStore;
use roomcast_history::{History, PageQuery};
use roomcast_ports::StoreError;
use roomcast_ports::message_store::{MessageReader, MessageState};
use roomcast_ports::reactions::ReactionScope;
use roomcast_ports::timeline::Timeline as _;
use roomcast_protocol::{EventId, MessageId, RoomId, Seq, StoredEvent};
use tokio_util::task::TaskTracker;

use crate::world::World;

struct Counting {
    store: Arc<EmbeddedStore>,
    asked: AtomicUsize,
}

impl Counting {
    async fn count(&self) -> &EmbeddedStore {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        &self.store
    }
}

#[async_trait]
impl MessageReader for Counting {
    async fn applied_seq(&self, room_id: &RoomId) -> Result<Seq, StoreError> {
        self.count().await.applied_seq(room_id).await
    }
    async fn events_after(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, StoreError> {
        self.count().await.events_after(room_id, after, limit).await
    }
    async fn messages_before(
        &self,
        room_id: &RoomId,
        before: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError> {
        self.count()
            .await
            .messages_before(room_id, before, limit, tail_from)
            .await
    }
    async fn messages_from(
        &self,
        room_id: &RoomId,
        from: Seq,
        limit: usize,
        tail_from: Seq,
    ) -> Result<Vec<MessageState>, StoreError> {
        self.count()
            .await
            .messages_from(room_id, from, limit, tail_from)
            .await
    }
    async fn message(
        &self,
        room_id: &RoomId,
        message_id: &MessageId,
        scope: ReactionScope<'_>,
    ) -> Result<Option<MessageState>, StoreError> {
        self.count().await.message(room_id, message_id, scope).await
    }
    async fn event(
        &self,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        self.count().await.event(room_id, event_id).await
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
