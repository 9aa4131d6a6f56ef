//! The same rows come from the same log, however it is read, how often, by how many, and whatever of
//! what was written has been forgotten.

use std::sync::Arc;

use roomcast_conformance::sample::{Script, joined, message_id, reacted, user};
use roomcast_ports::directory::RoomDirectory as _;
use roomcast_ports::message_store::{Checkpoint, MessageReader as _, MessageState, MessageWriter};
use roomcast_ports::reactions::ReactionScope;
use roomcast_protocol::event::RoomChange;
use roomcast_protocol::{EventBody, MemberRole, StoredEvent, UserId};
use roomcast_scylla::ScyllaStore;

use crate::dump::{copy_some, dump};
use crate::harness::{self, Cql};
use crate::sample_log::{Chance, Log};

const PARTITION: u16 = 11;

/// A keyspace whose rooms' partitions hold a few events.
async fn connect(keyspace: &str) -> Arc<ScyllaStore> {
    harness::connect(keyspace, |config| config.bucket_events = 7).await
}

/// Writes the events as a feed that cuts them by chance.
async fn feed(writer: &dyn MessageWriter, events: &[Arc<StoredEvent>], chance: &mut Chance) {
    let mut rest = events;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at((1 + chance.below(24)).min(rest.len()));
        let position = batch[batch.len() - 1].seq.get();
        let place = Checkpoint {
            partition: PARTITION,
            position,
        };
        writer
            .apply(batch, Some(place))
            .await
            .expect("write a batch");
        rest = after;
    }
}

fn assert_same(one: &crate::dump::Cells, other: &crate::dump::Cells, seed: u64) {
    for (name, cell) in one {
        assert_eq!(Some(cell), other.get(name), "seed {seed}: {name:?}");
    }
    for name in other.keys() {
        assert!(
            one.contains_key(name),
            "seed {seed}: {name:?} should not be there"
        );
    }
}

#[tokio::test]
async fn whatever_was_forgotten_of_the_last_rows_comes_back_the_same_when_the_log_is_read_again() {
    let cql = Cql::connect().await;
    for seed in 1..=3 {
        let (whole, holed) = (format!("whole_{seed}"), format!("holed_{seed}"));
        let (mut chance, log) = (Chance::new(seed), Log::new(seed, 240));
        let store = connect(&whole).await;
        feed(&*store.messages(), &log.events, &mut chance).await;
        let expected = dump(&cql, &whole).await;
        assert!(expected.len() > 2_000, "{}", expected.len());

        let store = connect(&holed).await;
        let (kept, lost) = log.events.split_at(100 + chance.below(60));
        feed(&*store.messages(), kept, &mut chance).await;
        let after = lost[0].seq.get().cast_signed() - 1;
        copy_some(&cql, (&whole, &holed), after, &mut chance).await;
        // Another worker starts, and reads from before the loss.
        let store = connect(&holed).await;
        store
            .messages()
            .checkpoint(PARTITION)
            .await
            .expect("read the place");
        feed(&*store.messages(), &log.events[90..], &mut chance).await;
        assert_same(&expected, &dump(&cql, &holed).await, seed);
    }
}

#[tokio::test]
async fn two_who_write_the_same_log_at_the_same_time_leave_the_same_rows() {
    let (cql, seed) = (Cql::connect().await, 9);
    let log = Log::new(seed, 240);
    let alone = connect("alone").await;
    feed(&*alone.messages(), &log.events, &mut Chance::new(seed)).await;
    let (one, zombie) = (connect("both").await, connect("both").await);
    feed(&*zombie.messages(), &log.events[..120], &mut Chance::new(1)).await;
    let (one, zombie) = (one.messages(), zombie.messages());
    let (mut ahead, mut behind) = (Chance::new(2), Chance::new(3));
    // The one began earlier again and runs ahead; the other goes on from where it was.
    tokio::join!(
        feed(&*one, &log.events[60..], &mut ahead),
        feed(&*zombie, &log.events[120..], &mut behind),
    );
    feed(&*zombie, &log.events[100..130], &mut behind).await;
    assert_same(&dump(&cql, "alone").await, &dump(&cql, "both").await, seed);
    for room_id in &log.rooms {
        let events = one
            .events_after(room_id, roomcast_protocol::Seq::ZERO, 1_000)
            .await;
        let events = events.expect("read events");
        let expected = log.of(room_id);
        let places = |events: &[Arc<StoredEvent>]| -> Vec<_> {
            events
                .iter()
                .map(|stored| (stored.seq, stored.prev))
                .collect()
        };
        assert_eq!(places(&events), places(&expected));
        let applied_seq = one.applied_seq(room_id).await.expect("read");
        assert_eq!(applied_seq, expected[expected.len() - 1].seq);
    }
}

#[tokio::test]
async fn what_the_log_no_longer_knows_before_an_event_the_store_knows() {
    let store = connect("prevs").await;
    let mut script = Script::group("prevs");
    for number in 0..20 {
        script.says(&number.to_string());
    }
    let mut forgetful = script.events.clone();
    for stored in &mut forgetful {
        Arc::make_mut(stored).prev = roomcast_protocol::Seq::ZERO;
    }
    feed(&*store.messages(), &forgetful, &mut Chance::new(5)).await;
    let room_id = &script.room_id;
    let events = store
        .messages()
        .events_after(room_id, roomcast_protocol::Seq::ZERO, 100)
        .await;
    assert_eq!(events.expect("read events"), script.events);
}

fn holders(message: &MessageState) -> Vec<UserId> {
    let first = message.reactions.iter().next();
    let holders = first.map(|it| it.holders.iter().map(|(_, user_id)| user_id.clone()));
    holders.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_reaction_given_again_stays_where_it_was_first_given() {
    let store = connect("given_again").await;
    let (mut script, ann, bob) = (Script::group("given again"), user(), user());
    let sent = script.says("well?");
    let id = message_id(&sent);
    script.does(&ann, reacted(&id, "+1", false));
    script.does(&bob, reacted(&id, "+1", false));
    script.does(&ann, reacted(&id, "+1", false));
    for size in [100, 1, 2] {
        for batch in script.events.chunks(size) {
            feed(&*store.messages(), batch, &mut Chance::new(1)).await;
        }
        let message = store
            .messages()
            .message(&script.room_id, &id, ReactionScope::NONE)
            .await;
        let message = message.expect("read a message").expect("it is there");
        assert_eq!(holders(&message), [ann.clone(), bob.clone()]);
    }
    script.does(&ann, reacted(&id, "+1", true));
    script.does(&ann, reacted(&id, "+1", false));
    feed(&*store.messages(), &script.events, &mut Chance::new(2)).await;
    let message = store
        .messages()
        .message(&script.room_id, &id, ReactionScope::NONE)
        .await;
    let message = message.expect("read a message").expect("it is there");
    assert_eq!(holders(&message), [bob, ann]);
}

#[tokio::test]
async fn the_highest_place_is_known_once_anything_of_it_may_be_written() {
    let store = connect("places").await;
    assert_eq!(store.high_watermarks(3).await.expect("ask"), 0);
    let mut script = Script::group("places");
    script.says("hello");
    let place = Checkpoint {
        partition: 3,
        position: (7 << 40) + 12,
    };
    store
        .messages()
        .apply(&script.events, Some(place))
        .await
        .expect("write a batch");
    assert_eq!(store.high_watermarks(3).await.expect("ask"), place.position);
    assert_eq!(store.high_watermarks(4).await.expect("ask"), 0);
    // A checkpoint that was recorded without its rows.
    let cql = Cql::connect().await;
    let reached: i64 = (8 << 40) + 1;
    let update = format!(
        "UPDATE places.checkpoints USING TIMESTAMP {reached} SET epoch_floor = {reached} WHERE partition = 3"
    );
    cql.ask(&update, ()).await;
    assert_eq!(
        store.high_watermarks(3).await.expect("ask"),
        reached.cast_unsigned()
    );
    assert_eq!(
        store.messages().checkpoint(3).await.expect("ask"),
        place.position
    );
}

#[tokio::test]
async fn list_counts_a_rooms_members_again_only_after_a_joining_or_leaving() {
    let keyspace = "member_counts";
    let store = connect(keyspace).await;
    let (owner, mut chance) = (user(), Chance::new(6));
    let mut scripts: Vec<Script> = (0..100).map(|_| Script::group("counted")).collect();
    let mut events = Vec::new();
    for script in &mut scripts {
        script.does(&owner, joined(&owner, MemberRole::Member));
        events.extend(script.events.iter().cloned());
    }
    events.sort_by_key(|stored| stored.seq);
    feed(&*store.messages(), &events, &mut chance).await;
    let list = async || {
        let directory = store.messages();
        let rooms = directory.rooms_of(&owner, None, 100).await;
        let rooms = rooms.expect("list the rooms");
        assert_eq!(rooms.len(), 100);
        rooms
            .into_iter()
            .map(|room| room.room.member_count)
            .collect::<Vec<_>>()
    };
    assert_eq!(list().await, [2; 100]);

    // Rows that no event has written: a list that counted would see them.
    let cql = Cql::connect().await;
    for script in &scripts {
        let insert = format!(
            "INSERT INTO {keyspace}.members (room_id, user_id, is_member) VALUES (?, 'uncounted', true)"
        );
        cql.ask(&insert, (script.room_id.as_str(),)).await;
    }
    assert_eq!(list().await, [2; 100], "no room was counted again");
    let script = &mut scripts[0];
    let change = script.does(&owner, joined(&user(), MemberRole::Member));
    feed(&*store.messages(), &[change], &mut chance).await;
    let mut counts = list().await;
    counts.sort_unstable();
    assert_eq!(counts[98..], [2, 4], "one room was counted again");
}

#[tokio::test]
async fn public_search_drops_stale_index_rows_and_fills_its_page() {
    let keyspace = "public_index";
    let (store, cql) = (connect(keyspace).await, Cql::connect().await);
    let change = |name: &str| {
        EventBody::RoomChanged(RoomChange {
            name: Some(name.to_owned()),
            ..RoomChange::default()
        })
    };
    let mut renamed = Script::group("alpha");
    let owner = renamed.owner.clone();
    for name in ["beta", "alpha", "gamma"] {
        renamed.does(&owner, change(name));
    }
    let mut ended = Script::group("delta");
    ended.does(&ended.owner.clone(), EventBody::RoomDeleted);
    let other = Script::group("zeta");
    // One event at a time, so that each name has been in the index.
    for script in [&renamed, &ended, &other] {
        for stored in &script.events {
            let events = std::slice::from_ref(stored);
            feed(&*store.messages(), events, &mut Chance::new(1)).await;
        }
    }
    let select = format!("SELECT name_key, room_id FROM {keyspace}.public_rooms");
    let mut keys: Vec<String> = cql
        .ask(&select, ())
        .await
        .into_iter()
        .map(|row| format!("{:?}", row.columns[0]))
        .collect();
    keys.sort();
    assert_eq!(
        keys.len(),
        2,
        "a rename and a deletion leave no row: {keys:?}"
    );
    assert!(keys[0].contains("gamma") && keys[1].contains("zeta"));

    // Rows that a writer that crashed may leave: a former name, a room that ended, one that never was.
    let stale = [
        ("alpha", renamed.room_id.as_str()),
        ("delta", ended.room_id.as_str()),
        ("epsilon", "no-such-room"),
    ];
    for (key, room_id) in stale {
        for shard in 0..16 {
            let insert = format!(
                "INSERT INTO {keyspace}.public_rooms (shard, name_key, room_id, indexed)
                 VALUES ({shard}, '{key}', '{room_id}', true)"
            );
            cql.ask(&insert, ()).await;
        }
    }
    let directory = store.messages();
    let page = directory.public_rooms("", None, 2).await;
    let page = page.expect("search the public rooms");
    let ids: Vec<_> = page.iter().map(|room| room.room_id.clone()).collect();
    assert_eq!(ids, [renamed.room_id, other.room_id]);
}
