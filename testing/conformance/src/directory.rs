//! The promises of [`RoomDirectory`] about rooms and members; those about lists are in
//! [`listings`](super::listings).

use std::sync::Arc;

use roomcast_protocol::api::Marks;
use roomcast_protocol::event::RoomChange;
use roomcast_protocol::{
    EventBody, MemberRole, RoomId, RoomKind, Seq, StoredEvent, UserId, Visibility,
};

use super::message_store::{MessageHarness, feed};
use super::sample::{Script, founded, joined, left, unique_name, user};
use roomcast_ports::directory::{RoomDirectory, RoomListing, RoomRecord};
use roomcast_ports::message_store::MessageWriter;

use MemberRole::{Admin, Member, Owner};

/// A directory to test, with the store that feeds it.
pub trait DirectoryHarness: MessageHarness {
    /// The directory.
    fn directory(&self) -> Arc<dyn RoomDirectory>;
}

/// A directory and what writes it.
pub(crate) struct Rooms {
    pub(crate) directory: Arc<dyn RoomDirectory>,
    pub(crate) writer: Arc<dyn MessageWriter>,
}

impl Rooms {
    pub(crate) fn of(harness: &impl DirectoryHarness) -> Self {
        Self {
            directory: harness.directory(),
            writer: harness.writer(),
        }
    }

    /// Writes events ahead of the feed.
    pub(crate) async fn write(&self, events: &[Arc<StoredEvent>]) {
        self.writer.apply(events, None).await.expect("write events");
    }

    /// Writes a room's events as the feed brings them.
    pub(crate) async fn feed(&self, events: &[Arc<StoredEvent>]) {
        feed(&*self.writer, events).await;
    }

    pub(crate) async fn room(&self, room_id: &RoomId) -> RoomRecord {
        self.directory
            .room(room_id)
            .await
            .expect("read a room")
            .expect("the room is there")
    }

    pub(crate) async fn role(&self, room_id: &RoomId, user_id: &UserId) -> Option<MemberRole> {
        let member = self
            .directory
            .member(room_id, user_id)
            .await
            .expect("read a member");
        member.map(|member| member.role)
    }

    pub(crate) async fn owners(&self, room_id: &RoomId) -> u64 {
        self.directory
            .owner_count(room_id)
            .await
            .expect("count owners")
    }

    pub(crate) async fn listings(&self, user_id: &UserId) -> Vec<RoomListing> {
        self.directory
            .rooms_of(user_id, None, 1_000)
            .await
            .expect("list rooms")
    }

    pub(crate) async fn listing(&self, user_id: &UserId) -> RoomListing {
        let mut listings = self.listings(user_id).await;
        assert_eq!(listings.len(), 1);
        listings.remove(0)
    }

    pub(crate) async fn mark(
        &self,
        script: &Script,
        user: &UserId,
        read: Seq,
        delivered: Seq,
    ) -> Option<Marks> {
        let marks = self
            .directory
            .advance_markers(&script.room_id, user, read, delivered)
            .await;
        marks.expect("move marks")
    }
}

fn changed(user_id: &UserId, role: MemberRole) -> EventBody {
    EventBody::MemberChanged {
        user_id: user_id.clone(),
        role,
    }
}

pub(crate) fn renamed(
    name: Option<&str>,
    topic: Option<&str>,
    visibility: Option<Visibility>,
) -> EventBody {
    EventBody::RoomChanged(RoomChange {
        name: name.map(ToOwned::to_owned),
        topic: topic.map(ToOwned::to_owned),
        visibility,
    })
}

/// A room's record follows its creation and changes; fields that a change omits stay.
pub async fn room_record_follows_creation_and_changes(harness: &mut impl DirectoryHarness) {
    let (rooms, mut script) = (Rooms::of(harness), Script::group("first name"));
    let owner = script.owner.clone();
    assert_eq!(
        rooms
            .directory
            .room(&script.room_id)
            .await
            .expect("read a room"),
        None
    );
    rooms.write(&script.events).await;
    let mut expected = RoomRecord {
        room_id: script.room_id.clone(),
        kind: RoomKind::Group,
        visibility: Some(Visibility::Public),
        name: Some("first name".to_owned()),
        topic: None,
        created_at: script.events[0].event.sent_at,
        member_count: 1,
        deleted: false,
    };
    assert_eq!(rooms.room(&script.room_id).await, expected);
    let first = script.does(&owner, renamed(Some("a name"), Some("a topic"), None));
    let second = script.does(
        &owner,
        renamed(Some("last"), None, Some(Visibility::Private)),
    );
    rooms.write(&[second, first]).await;
    expected.name = Some("last".to_owned());
    expected.topic = Some("a topic".to_owned());
    expected.visibility = Some(Visibility::Private);
    assert_eq!(rooms.room(&script.room_id).await, expected);
}

/// A room that has ended is given as ended, and has no members and no place in lists.
pub async fn a_room_that_has_ended_is_only_given_by_its_id(harness: &mut impl DirectoryHarness) {
    let (rooms, name) = (Rooms::of(harness), unique_name());
    let mut script = Script::group(&name);
    let (owner, room_id) = (script.owner.clone(), script.room_id.clone());
    script.does(&owner, EventBody::RoomDeleted);
    script.does(&owner, joined(&user(), Member));
    rooms.write(&script.events).await;
    assert!(rooms.room(&room_id).await.deleted);
    assert_eq!(rooms.role(&room_id, &owner).await, None);
    let members = rooms
        .directory
        .members(&room_id, None, 10)
        .await
        .expect("list members");
    assert_eq!(members, []);
    assert_eq!(rooms.listings(&owner).await, []);
    let found = rooms
        .directory
        .public_rooms(&name, None, 10)
        .await
        .expect("find rooms");
    assert_eq!(found, []);
    assert_eq!(
        rooms.mark(&script, &owner, script.head(), Seq::ZERO).await,
        None
    );
}

/// Members come, change their role, leave and come again; the counts follow.
pub async fn members_come_change_leave_and_come_again(harness: &mut impl DirectoryHarness) {
    let (rooms, mut script) = (Rooms::of(harness), Script::group("members"));
    let (owner, ann, room_id) = (script.owner.clone(), user(), script.room_id.clone());
    let steps = [
        (joined(&ann, Member), Some(Member), 2, 1),
        (changed(&ann, Owner), Some(Owner), 2, 2),
        (changed(&ann, Admin), Some(Admin), 2, 1),
        (left(&ann), None, 1, 1),
        (joined(&ann, Member), Some(Member), 2, 1),
    ];
    rooms.write(&script.events).await;
    for (body, role, members, owners) in steps {
        let event = script.does(&owner, body);
        rooms.write(&[event]).await;
        assert_eq!(rooms.role(&room_id, &ann).await, role);
        assert_eq!(rooms.room(&room_id).await.member_count, members);
        assert_eq!(rooms.owners(&room_id).await, owners);
    }
    assert_eq!(rooms.role(&room_id, &owner).await, Some(Owner));
    assert_eq!(rooms.role(&room_id, &user()).await, None);
    assert_eq!(rooms.role(&RoomId::generate(), &owner).await, None);
}

/// Many members added in one event are members like others.
pub async fn many_members_are_added_at_once(harness: &mut impl DirectoryHarness) {
    let (rooms, mut script) = (Rooms::of(harness), Script::group("many"));
    let (owner, room_id) = (script.owner.clone(), script.room_id.clone());
    let user_ids: Vec<UserId> = (0..500).map(|_| user()).collect();
    let added = EventBody::MembersAdded {
        user_ids: user_ids.clone(),
        member_count: 501,
    };
    script.does(&owner, added);
    script.does(&owner, left(&user_ids[7]));
    rooms.write(&script.events).await;
    assert_eq!(rooms.room(&room_id).await.member_count, 500);
    assert_eq!(rooms.role(&room_id, &user_ids[499]).await, Some(Member));
    assert_eq!(rooms.role(&room_id, &user_ids[7]).await, None);
    assert_eq!(rooms.listings(&user_ids[3]).await.len(), 1);
}

/// Members come by user id, page by page.
pub async fn members_come_in_pages_by_user_id(harness: &mut impl DirectoryHarness) {
    let (rooms, mut script) = (Rooms::of(harness), Script::group("pages"));
    let owner = script.owner.clone();
    let mut expected = vec![owner.clone()];
    for _ in 0..6 {
        expected.push(user());
        script.does(&owner, joined(&expected[expected.len() - 1], Member));
    }
    rooms.write(&script.events).await;
    expected.sort();
    let mut found: Vec<UserId> = Vec::new();
    loop {
        let page = rooms
            .directory
            .members(&script.room_id, found.last(), 3)
            .await;
        let page = page.expect("list members");
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|member| member.user_id));
    }
    assert_eq!(found, expected);
}

/// Whatever order the events of members are written in, what follows is the same.
pub async fn the_order_of_writing_members_changes_nothing(harness: &mut impl DirectoryHarness) {
    let rooms = Rooms::of(harness);
    for seed in 1..=8 {
        let mut script = Script::group("any order");
        let (owner, ann, bob) = (script.owner.clone(), user(), user());
        script.does(&ann, founded(&ann, "a second founding"));
        script.does(&owner, joined(&ann, Member));
        script.does(&owner, changed(&ann, Owner));
        script.does(&owner, joined(&bob, Member));
        script.does(&owner, changed(&bob, Admin));
        script.does(&bob, left(&bob));
        script.does(&ann, left(&ann));
        script.does(&owner, joined(&ann, Admin));
        script.does(&owner, renamed(Some("one"), None, None));
        script.does(&owner, renamed(Some("two"), None, None));
        for event in script.shuffled(seed) {
            rooms.write(&[event]).await;
        }
        let room = rooms.room(&script.room_id).await;
        assert_eq!(
            (room.member_count, room.name.as_deref()),
            (2, Some("two")),
            "seed {seed}"
        );
        assert_eq!(
            room.created_at, script.events[0].event.sent_at,
            "seed {seed}"
        );
        assert_eq!(
            rooms.role(&script.room_id, &ann).await,
            Some(Admin),
            "seed {seed}"
        );
        assert_eq!(rooms.role(&script.room_id, &bob).await, None, "seed {seed}");
        assert_eq!(rooms.owners(&script.room_id).await, 1, "seed {seed}");
    }
}

/// Makes a test of every promise of the directory; `$make` is an async function that gives a harness.
#[macro_export]
macro_rules! directory_conformance {
    ($make:ident) => {
        $crate::conformance_tests!(
            $make,
            directory,
            [
                room_record_follows_creation_and_changes,
                a_room_that_has_ended_is_only_given_by_its_id,
                members_come_change_leave_and_come_again,
                many_members_are_added_at_once,
                members_come_in_pages_by_user_id,
                the_order_of_writing_members_changes_nothing,
            ]
        );
        $crate::listing_conformance!($make);
    };
}
