//! The promises of [`RoomDirectory`](roomcast_ports::directory::RoomDirectory) about lists of rooms, unread
//! counts and marks.

use std::sync::Arc;

use roomcast_protocol::api::Marks;
use roomcast_protocol::{
    EventBody, MemberRole, RoomId, RoomKind, Seq, StoredEvent, Timestamp, Visibility,
};

use super::directory::{DirectoryHarness, Rooms, renamed};
use super::sample::{
    Script, deleted, founded_as, joined, left, message_id, said, unique_name, user,
};
use roomcast_ports::directory::{ListingCursor, PublicCursor};

use MemberRole::{Member, Owner};

/// A user's rooms come by latest activity, which is the last message or the room's making; then by id.
pub async fn a_users_rooms_come_by_latest_activity(harness: &mut impl DirectoryHarness) {
    let (rooms, ann) = (Rooms::of(harness), user());
    let mut expected: Vec<(u64, RoomId)> = Vec::new();
    for number in 0..7 {
        let mut script = Script::group("listed");
        let owner = script.owner.clone();
        let mut active_at = script.events[0].event.sent_at;
        script.does(&owner, joined(&ann, Member));
        for _ in 0..number % 4 {
            active_at = script.says("hello").event.sent_at;
        }
        script.does(&owner, renamed(None, Some("no activity"), None));
        rooms.feed(&script.events).await;
        expected.push((u64::MAX - active_at.as_millis(), script.room_id));
    }
    expected.sort();
    let mut expected: Vec<RoomId> = expected.into_iter().map(|(_, room_id)| room_id).collect();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = rooms
            .directory
            .rooms_of(&ann, after.as_ref(), 2)
            .await
            .expect("list rooms");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        let (active_at, room_id) = (last.active_at, last.room.room_id.clone());
        after = Some(ListingCursor { active_at, room_id });
        found.extend(page.into_iter().map(|listing| listing.room.room_id));
    }
    assert_eq!(found, expected);
    let ids = rooms
        .directory
        .room_ids_of(&ann, 3)
        .await
        .expect("list rooms");
    assert_eq!(ids, expected[..3]);
    let mut ids = rooms
        .directory
        .room_ids_of(&ann, expected.len())
        .await
        .expect("list rooms");
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
    assert_eq!(rooms.listings(&user()).await, []);
}

/// The rows of named rooms are those of the list, in its order, each once; others are left out.
pub async fn the_rows_of_named_rooms_are_those_of_the_list(harness: &mut impl DirectoryHarness) {
    let (rooms, ann) = (Rooms::of(harness), user());
    let mut wanted: Vec<RoomId> = Vec::new();
    for number in 0..6 {
        let mut script = Script::group("named");
        let owner = script.owner.clone();
        if number != 1 {
            script.does(&owner, joined(&ann, Member));
        }
        for _ in 0..(number * 5) % 4 {
            script.says("hello");
        }
        match number {
            2 => _ = script.does(&ann, left(&ann)),
            3 => _ = script.does(&owner, EventBody::RoomDeleted),
            _ => {}
        }
        rooms.feed(&script.events).await;
        // The first is not asked for.
        if number > 0 {
            wanted.extend([script.room_id.clone(), script.room_id]);
        }
    }
    wanted.push(RoomId::generate());
    let listed = rooms.listings(&ann).await;
    assert_eq!(listed.len(), 3);
    let expected: Vec<_> = listed
        .into_iter()
        .filter(|listing| wanted.contains(&listing.room.room_id))
        .collect();
    assert_eq!(expected.len(), 2);
    let found = rooms.directory.rooms_of_among(&ann, &wanted).await;
    assert_eq!(found.expect("list rooms"), expected);
    let none = rooms.directory.rooms_of_among(&ann, &[]).await;
    assert_eq!(none.expect("list rooms"), []);
}

/// A listing has the room, its head, the role, the marks, and the last message as it is now.
pub async fn a_listing_has_the_last_message_as_it_is_now(harness: &mut impl DirectoryHarness) {
    let (rooms, mut script) = (Rooms::of(harness), Script::group("listing"));
    let owner = script.owner.clone();
    rooms.feed(&script.events).await;
    let before = rooms.listing(&owner).await;
    assert_eq!(
        (before.last_message, before.active_at),
        (None, before.room.created_at)
    );
    let first = script.says("first");
    let last = script.says("last");
    script.does(&owner, deleted(&message_id(&last)));
    script.does(&owner, joined(&user(), Member));
    rooms.feed(&script.events).await;
    let listing = rooms.listing(&owner).await;
    let message = listing.last_message.expect("there is a message");
    assert_eq!((message.seq, message.is_deleted()), (last.seq, true));
    assert_eq!(listing.active_at, last.event.sent_at);
    assert!(listing.active_at > first.event.sent_at);
    assert_eq!(
        (listing.head, listing.role, listing.peer_id),
        (script.head(), Owner, None)
    );
    assert_eq!(listing.room, rooms.room(&script.room_id).await);
}

/// Unread is the exact number of messages after the read mark as far as the feed has come, deleted
/// since or not, whether the mark was set before the feed came so far or after.
pub async fn unread_is_exact_at_every_mark(harness: &mut impl DirectoryHarness) {
    let (rooms, ann) = (Rooms::of(harness), user());
    for ahead in [true, false] {
        let mut script = Script::group("unread");
        let owner = script.owner.clone();
        script.does(&owner, joined(&ann, Member));
        let mut sent = Vec::new();
        for number in 0..20 {
            sent.push(script.says("hello"));
            if number % 5 == 0 {
                script.does(&owner, deleted(&message_id(&sent[number])));
                script.does(&owner, renamed(Some("again"), None, None));
            }
        }
        let control = script
            .events
            .iter()
            .filter(|it| it.event.body.changes_room());
        rooms.write(&control.cloned().collect::<Vec<_>>()).await;
        if !ahead {
            rooms.feed(&script.events).await;
        }
        let (mut fed, mut at) = (Seq::ZERO, Seq::ZERO);
        for (number, event) in script.events.iter().enumerate() {
            if ahead && number % 4 == 3 {
                // The marks are up to four events ahead of it.
                let batch = &script.events[number - 3..=number];
                rooms.feed(batch).await;
                fed = event.seq;
            } else if !ahead {
                fed = script.head();
            }
            let unread = |message: &&Arc<StoredEvent>| message.seq > at && message.seq <= fed;
            let expected = sent.iter().filter(unread).count() as u64;
            let listings = rooms.listings(&ann).await;
            let listing = listings.iter().find(|l| l.room.room_id == script.room_id);
            assert_eq!(
                listing.expect("it is listed").unread,
                expected,
                "at {at}, fed to {fed}"
            );
            at = event.seq;
            rooms.mark(&script, &ann, at, Seq::ZERO).await;
        }
    }
}

/// Who sends has read up to there.
pub async fn sending_moves_the_senders_own_marks(harness: &mut impl DirectoryHarness) {
    let (rooms, mut script) = (Rooms::of(harness), Script::group("own marks"));
    let (owner, ann) = (script.owner.clone(), user());
    script.does(&owner, joined(&ann, Member));
    script.says("one");
    let own = script.does(&ann, said("two"));
    script.says("three");
    script.does(&ann, renamed(None, Some("moves no mark"), None));
    rooms.feed(&script.events).await;
    let listing = rooms.listing(&ann).await;
    assert_eq!(
        listing.marks,
        Marks {
            read: own.seq,
            delivered: own.seq
        }
    );
    assert_eq!(listing.unread, 1);
    rooms.feed(&script.events).await;
    assert_eq!(rooms.listing(&ann).await.marks.read, own.seq);
}

/// Marks move forward only, reading takes delivery along, and what does not move is `None`.
pub async fn marks_move_forward_only(harness: &mut impl DirectoryHarness) {
    let (rooms, mut script) = (Rooms::of(harness), Script::group("marks"));
    let (owner, ann) = (script.owner.clone(), user());
    let came = script.does(&owner, joined(&ann, Member)).seq;
    let places: Vec<Seq> = (0..5).map(|_| script.says("x").seq).collect();
    rooms.feed(&script.events).await;
    let marks = |read, delivered| Some(Marks { read, delivered });
    assert_eq!(
        rooms.mark(&script, &ann, came, places[1]).await,
        marks(came, places[1])
    );
    assert_eq!(
        rooms.mark(&script, &ann, places[0], Seq::ZERO).await,
        marks(places[0], places[1])
    );
    assert_eq!(
        rooms.mark(&script, &ann, places[3], Seq::ZERO).await,
        marks(places[3], places[3])
    );
    assert_eq!(rooms.mark(&script, &ann, places[2], places[3]).await, None);
    assert_eq!(
        rooms.mark(&script, &ann, came, places[4]).await,
        marks(places[3], places[4])
    );
    let member = rooms
        .directory
        .member(&script.room_id, &ann)
        .await
        .expect("read a member");
    assert_eq!(
        member.map(|member| member.marks),
        marks(places[3], places[4])
    );
    assert_eq!(
        rooms.mark(&script, &user(), places[4], places[4]).await,
        None
    );
}

/// A member's marks begin at the seq of the last joining, in whatever order it is written; messages
/// before it are not unread.
pub async fn marks_begin_where_a_member_joined(harness: &mut impl DirectoryHarness) {
    for ahead in [false, true] {
        let (rooms, mut script) = (Rooms::of(harness), Script::group("joining"));
        let (owner, ann) = (script.owner.clone(), user());
        script.says("before anybody came");
        let first = script.does(&owner, joined(&ann, Member)).seq;
        if ahead {
            rooms.write(&script.events[2..]).await;
        }
        rooms.feed(&script.events).await;
        let listing = rooms.listing(&ann).await;
        assert_eq!((listing.marks.read, listing.unread), (first, 0));
        script.says("unread");
        script.does(&ann, left(&ann));
        script.says("while away");
        let fed = script.events.len();
        let added = EventBody::MembersAdded {
            user_ids: vec![ann.clone()],
            member_count: 2,
        };
        let again = script.does(&owner, added).seq;
        script.says("new");
        if ahead {
            rooms.write(&script.events[fed..=fed]).await;
        }
        rooms.feed(&script.events).await;
        let listing = rooms.listing(&ann).await;
        assert_eq!(listing.marks.delivered, again);
        assert_eq!((listing.marks.read, listing.unread), (again, 1));
        assert_eq!(
            rooms.listing(&owner).await.unread,
            0,
            "sending moves the mark"
        );
    }
}

/// A message whose clock is behind moves its room down neither below its making nor its messages.
pub async fn a_clock_that_goes_back_moves_no_room_down(harness: &mut impl DirectoryHarness) {
    let (rooms, mut script) = (Rooms::of(harness), Script::group("clocks"));
    let owner = script.owner.clone();
    let made = script.events[0].event.sent_at;
    let late = |script: &mut Script| {
        let mut late = (*script.does(&owner, said("late"))).clone();
        late.event.sent_at = Timestamp::from_millis(made.as_millis() - 60_000);
        *script.events.last_mut().expect("an event") = Arc::new(late);
    };
    late(&mut script);
    rooms.feed(&script.events).await;
    assert_eq!(rooms.listing(&owner).await.active_at, made);
    let on_time = script.says("on time").event.sent_at;
    rooms.feed(&script.events).await;
    late(&mut script);
    rooms.feed(&script.events[3..]).await;
    let listing = rooms.listing(&owner).await;
    assert_eq!(listing.active_at, on_time);
    assert_eq!(
        listing.last_message.map(|it| it.seq),
        Some(script.head()),
        "the last message is the log's last"
    );
}

/// A direct room names the other one to each.
pub async fn a_direct_room_names_the_other_one(harness: &mut impl DirectoryHarness) {
    let (rooms, mut script) = (Rooms::of(harness), Script::new());
    let (ann, bob) = (script.owner.clone(), user());
    script.does(&ann, founded_as(&ann, RoomKind::Direct, None, None));
    script.does(&ann, joined(&bob, Member));
    rooms.write(&script.events).await;
    assert_eq!(rooms.listing(&ann).await.peer_id, Some(bob.clone()));
    assert_eq!(rooms.listing(&bob).await.peer_id, Some(ann));
    assert_eq!(rooms.room(&script.room_id).await.visibility, None);
}

/// Public groups are found by how their name begins, without case, page by page; others are not.
pub async fn public_groups_are_found_by_their_names_beginning(harness: &mut impl DirectoryHarness) {
    let (rooms, prefix) = (Rooms::of(harness), unique_name());
    let mut expected = Vec::new();
    for end in ["", " b", " Ärger", "C"] {
        let script = Script::group(&format!("{}{end}", prefix.to_uppercase()));
        rooms.write(&script.events).await;
        expected.push(script.room_id);
    }
    // A rename moves the room to its new position: nothing is left at the old one.
    let mut moved = Script::group(&format!("{prefix}A"));
    let name = format!("{prefix}D");
    moved.does(&moved.owner.clone(), renamed(Some(&name), None, None));
    rooms.write(&moved.events).await;
    expected.push(moved.room_id);
    let mut deleted = Script::group(&format!("{prefix}B"));
    deleted.does(&deleted.owner.clone(), EventBody::RoomDeleted);
    rooms.write(&deleted.events).await;
    let mut hidden = Script::group(&prefix);
    hidden.does(
        &hidden.owner.clone(),
        renamed(None, None, Some(Visibility::Private)),
    );
    rooms.write(&hidden.events).await;
    rooms
        .write(&Script::group(&format!("not {prefix}")).events)
        .await;
    let (mut found, mut after) = (Vec::<RoomId>::new(), None);
    loop {
        let page = rooms.directory.public_rooms(&prefix, after.as_ref(), 2);
        let page = page.await;
        let page = page.expect("find rooms");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(PublicCursor::of(last));
        found.extend(page.into_iter().map(|room| room.room_id));
    }
    assert_eq!(found, expected);
    let one = rooms
        .directory
        .public_rooms(&format!("{prefix} äR"), None, 10)
        .await;
    assert_eq!(one.expect("find rooms").len(), 1);
}

/// Makes a test of every promise of lists; part of [`directory_conformance!`](crate::directory_conformance).
#[macro_export]
macro_rules! listing_conformance {
    ($make:ident) => {
        $crate::conformance_tests!(
            $make,
            listings,
            [
                a_users_rooms_come_by_latest_activity,
                the_rows_of_named_rooms_are_those_of_the_list,
                a_listing_has_the_last_message_as_it_is_now,
                unread_is_exact_at_every_mark,
                sending_moves_the_senders_own_marks,
                marks_move_forward_only,
                marks_begin_where_a_member_joined,
                a_clock_that_goes_back_moves_no_room_down,
                a_direct_room_names_the_other_one,
                public_groups_are_found_by_their_names_beginning,
            ]
        );
    };
}
