//! Who is in a room, asked by many at once, while the log moves on and while the store is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use roomcast_embedded::EmbeddedStore;
use roomcast_ports::StoreError;
use roomcast_ports::access::Memberships as _;
use roomcast_ports::directory::RoomDirectory;
use roomcast_ports::wrapper::RoomDirectoryWrapper;
use roomcast_protocol::{MemberRole, RoomId};
use roomcast_rooms::Rooms;

use crate::unreliable::Unreliable;
use crate::world::{World, caller, user};

/// A directory that counts what it is asked about rooms and members, and may be away.
struct Counting {
    store: Arc<EmbeddedStore>,
    asked: AtomicUsize,
    away: AtomicBool,
}

impl Counting {
    fn count(&self) -> Result<(), StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the test says so".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl RoomDirectoryWrapper for Counting {
    fn inner(&self) -> Arc<dyn RoomDirectory> {
        self.store.clone()
    }

    async fn before(&self) -> Result<(), StoreError> {
        self.count()
    }
}

fn counted(world: &World) -> (Rooms, Arc<Counting>) {
    let counting = Arc::new(Counting {
        store: world.store.clone(),
        asked: AtomicUsize::new(0),
        away: AtomicBool::new(false),
    });
    let rooms = Rooms::new(
        world.log.clone(),
        counting.clone(),
        world.store.clone(),
        world.store.clone(),
    );
    (rooms, counting)
}

#[tokio::test]
async fn a_room_whose_members_all_come_at_once_costs_the_store_one_look() {
    let world = World::new();
    let names: Vec<String> = (0..150).map(|number| format!("m{number}")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let room_id = world.group("anna", &members).await;
    world.ingest().await;
    let (rooms, counting) = counted(&world);
    let asks = (0..2_000).map(|number| {
        let (rooms, room_id) = (rooms.clone(), room_id.clone());
        async move {
            let who = user(&format!("m{}", number % 200));
            let standing = rooms.membership(&room_id, &who).await.unwrap();
            assert_eq!(standing.role.is_some(), number % 200 < 150, "{who}");
        }
    });
    futures_util::future::join_all(asks).await;
    let asked = counting.asked.load(Ordering::SeqCst);
    assert!(asked <= 3, "the room and one page of members: {asked}");
}

#[tokio::test]
async fn snapshot_follows_every_change_at_any_ingest_position() {
    let world = World::new();
    let room_id = world.group("anna", &["ben"]).await;
    let (rooms, _) = counted(&world);
    let role = async |name: &str| rooms.membership(&room_id, &user(name)).await.unwrap().role;
    for round in 0..20 {
        assert_eq!(role("carl").await, None, "round {round}");
        world
            .rooms
            .add_member(&caller("anna"), &room_id, &user("carl"), None)
            .await
            .unwrap();
        assert_eq!(role("carl").await, Some(MemberRole::Member));
        if round % 3 == 0 {
            world.ingest().await;
        }
        assert_eq!(role("anna").await, Some(MemberRole::Owner));
        world
            .rooms
            .remove_member(&caller("anna"), &room_id, &user("carl"))
            .await
            .unwrap();
        world.say(&room_id, "ben").await;
    }
    assert_eq!(world.role(&room_id, "carl").await, role("carl").await);
}

#[tokio::test]
async fn while_the_store_is_away_a_room_is_judged_by_the_log() {
    let world = World::new();
    let known = world.group("anna", &["ben"]).await;
    let fresh = world.group("anna", &["ben"]).await;
    world.ingest().await;
    let (rooms, counting) = counted(&world);
    rooms.membership(&known, &user("ben")).await.unwrap();
    counting.away.store(true, Ordering::SeqCst);
    for room_id in [&known, &fresh] {
        world
            .rooms
            .remove_member(&caller("anna"), room_id, &user("ben"))
            .await
            .unwrap();
        let role = async |name: &str| rooms.membership(room_id, &user(name)).await.unwrap().role;
        assert_eq!(role("ben").await, None);
        assert_eq!(role("anna").await, Some(MemberRole::Owner));
    }
    let nowhere = RoomId::generate();
    rooms
        .membership(&nowhere, &user("ben"))
        .await
        .expect_err("nothing is known of it, and nobody can say that it is not there");
}

#[tokio::test]
async fn snapshot_is_read_again_when_the_log_has_dropped_what_came_after_it() {
    let world = World::new();
    for said_since in [false, true] {
        let room_id = world.group("anna", &["ben"]).await;
        world.ingest().await;
        let log = Unreliable::after(&world.log, i64::MAX);
        let rooms = world.rooms_on(log.clone());
        let role = async |name: &str| rooms.membership(&room_id, &user(name)).await.unwrap().role;
        assert_eq!(role("ben").await, Some(MemberRole::Member));
        world
            .rooms
            .remove_member(&caller("anna"), &room_id, &user("ben"))
            .await
            .unwrap();
        world.ingest().await;
        log.drops_to(world.log.head(&room_id).await.unwrap());
        if said_since {
            // Of this one the log no longer knows what stands before it.
            world.say(&room_id, "anna").await;
        }
        assert_eq!(role("ben").await, None, "said since: {said_since}");
        assert_eq!(role("anna").await, Some(MemberRole::Owner));
    }
}
