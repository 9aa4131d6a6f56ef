//! The data directory: who may open it, and what is in it after a restart, a crash or a power loss.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use roomcast_conformance::sample::{Script, deleted, edited, event, message_id, said, user};
use roomcast_embedded::{Embedded, OpenError};
use roomcast_ports::event_log::Append;
use roomcast_ports::message_store::{Checkpoint, MessageReader as _, MessageWriter as _};
use roomcast_protocol::{RoomId, Seq, StoredEvent};
use rusqlite::Connection;

/// A directory of a test's own, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = format!("roomcast-directory-{}", RoomId::generate());
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self) -> Embedded {
        Embedded::open(&self.0).expect("open the directory")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The files as a crash at this moment would leave them.
    fn crashed(&self) -> Self {
        let copy = Self::new();
        std::fs::create_dir_all(&copy.0).unwrap();
        for name in ["log.db", "log.db-wal", "store.db", "store.db-wal"] {
            std::fs::copy(self.file(name), copy.file(name)).unwrap();
        }
        copy
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn append(embedded: &Embedded, room_id: &RoomId, content: &str) -> Seq {
    let event = event(room_id, &user(), said(content));
    embedded
        .log()
        .append(Append::new(event))
        .await
        .expect("append an event")
        .seq
}

fn contains(file: &Path, word: &str) -> bool {
    let bytes = std::fs::read(file).unwrap();
    bytes
        .windows(word.len())
        .any(|window| window == word.as_bytes())
}

#[test]
fn a_second_opening_is_refused_and_names_the_directory() {
    let scratch = Scratch::new();
    let first = scratch.open();
    let refused = Embedded::open(&scratch.0).expect_err("it is open");
    assert!(matches!(refused, OpenError::Locked { .. }));
    assert!(
        refused.to_string().contains(&*scratch.0.to_string_lossy()),
        "{refused}"
    );
    drop(first);
    drop(scratch.open());
}

#[test]
fn data_of_a_later_version_is_refused_and_left_as_it_is() {
    for (name, steps) in [("log.db", 1), ("store.db", 2)] {
        let scratch = Scratch::new();
        drop(scratch.open());
        let file = Connection::open(scratch.file(name)).unwrap();
        file.pragma_update(None, "user_version", 99).unwrap();
        drop(file);
        let files =
            || ["log.db", "store.db"].map(|name| std::fs::read(scratch.file(name)).unwrap());
        let before = files();
        match Embedded::open(&scratch.0) {
            Err(OpenError::NewerSchema { found: 99, known }) => assert_eq!(known, steps),
            other => panic!("{other:?}"),
        }
        assert!(files() == before, "{name} was touched");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_by_name() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(&scratch.0).unwrap();
    std::fs::write(
        scratch.file("log.db"),
        "no database at all, however long it may be",
    )
    .unwrap();
    let refused = Embedded::open(&scratch.0).expect_err("it is no database");
    assert!(refused.to_string().contains("log.db"), "{refused}");
}

#[tokio::test]
async fn an_empty_file_becomes_a_database() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(&scratch.0).unwrap();
    std::fs::write(scratch.file("log.db"), "").unwrap();
    let room_id = RoomId::generate();
    append(&scratch.open(), &room_id, "hello").await;
    for (name, steps) in [("log.db", 1), ("store.db", 2)] {
        let file = Connection::open(scratch.file(name)).unwrap();
        let version: u32 = file
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(version, steps, "{name}");
    }
}

#[tokio::test]
async fn deleted_messages_content_is_not_in_the_files() {
    let scratch = Scratch::new();
    let (embedded, room_id, ann) = (scratch.open(), RoomId::generate(), user());
    append(&embedded, &room_id, "before").await;
    let sent = event(&room_id, &ann, said(&"a secret kept by nobody ".repeat(20)));
    let edit = event(
        &room_id,
        &ann,
        edited(&sent.id.clone().into(), "a secret told again"),
    );
    let deletion = event(&room_id, &ann, deleted(&sent.id.clone().into()));
    for event in [sent, edit] {
        embedded
            .log()
            .append(Append::new(event))
            .await
            .expect("append an event");
    }
    append(&embedded, &room_id, "after").await;
    let derive = async |embedded: &Embedded| {
        let after = embedded.messages().checkpoint(0).await.unwrap();
        let batch = embedded
            .log()
            .claim(0)
            .await
            .unwrap()
            .open(after)
            .await
            .unwrap()
            .next(100)
            .await
            .unwrap();
        let place = Checkpoint {
            partition: 0,
            position: batch.position,
        };
        embedded
            .messages()
            .apply(&batch.events, Some(place))
            .await
            .unwrap();
    };
    derive(&embedded).await;
    drop(embedded);
    assert!(
        contains(&scratch.file("log.db"), "secret")
            && contains(&scratch.file("store.db"), "secret")
    );
    let embedded = scratch.open();
    embedded
        .log()
        .append(Append::new(deletion))
        .await
        .expect("append an event");
    derive(&embedded).await;
    drop(embedded);
    assert!(!contains(&scratch.file("log.db"), "secret"));
    assert!(!contains(&scratch.file("store.db"), "secret"));
}

#[tokio::test]
async fn a_crash_loses_nothing_that_was_acknowledged() {
    let (scratch, room_id) = (Scratch::new(), RoomId::generate());
    let embedded = scratch.open();
    for number in 0..50 {
        let seq = append(&embedded, &room_id, &number.to_string()).await;
        if number % 10 == 0 {
            let crashed = scratch.crashed();
            let after = crashed.open();
            assert_eq!(after.log().head(&room_id).await.unwrap(), seq);
            let events = after.log().read(&room_id, Seq::ZERO, 100).await.unwrap();
            assert_eq!(events.len(), number + 1);
        }
    }
}

/// A power loss may take the store's last commits: its write-ahead log ends anywhere.
#[tokio::test]
async fn the_store_and_its_place_come_back_at_the_same_moment() {
    let scratch = Scratch::new();
    let embedded = scratch.open();
    let store = embedded.messages();
    let mut script = Script::group("crashes");
    let mut batches: Vec<Vec<Arc<StoredEvent>>> = vec![script.events.clone()];
    for number in 0..20 {
        let sent = script.says(&format!("message {number}"));
        let edit = script.does(&script.owner.clone(), edited(&message_id(&sent), "edited"));
        batches.push(vec![sent, edit]);
    }
    for batch in &batches {
        let position = batch[batch.len() - 1].seq.get();
        store
            .apply(
                batch,
                Some(Checkpoint {
                    partition: 0,
                    position,
                }),
            )
            .await
            .unwrap();
    }
    let whole = std::fs::metadata(scratch.file("store.db-wal"))
        .unwrap()
        .len();
    let mut places = std::collections::BTreeSet::new();
    for length in (0..=whole).step_by(usize::try_from(whole / 40).unwrap()) {
        let crashed = scratch.crashed();
        let wal = std::fs::OpenOptions::new()
            .write(true)
            .open(crashed.file("store.db-wal"));
        wal.unwrap().set_len(length).unwrap();
        let after = crashed.open();
        let store = after.messages();
        let place = store.checkpoint(0).await.unwrap();
        assert_eq!(
            store.applied_seq(&script.room_id).await.unwrap().get(),
            place
        );
        let events = store
            .events_after(&script.room_id, Seq::ZERO, 100)
            .await
            .unwrap();
        let expected: Vec<_> = script
            .events
            .iter()
            .filter(|e| e.seq.get() <= place)
            .collect();
        assert_eq!(events.iter().collect::<Vec<_>>(), expected);
        places.insert(place);
    }
    assert!(
        places.len() > 5,
        "the write-ahead log was cut at few places: {places:?}"
    );
}

#[tokio::test]
async fn a_log_put_back_from_an_older_copy_gives_no_place_twice() {
    let (scratch, room_id) = (Scratch::new(), RoomId::generate());
    append(&scratch.open(), &room_id, "in the copy").await;
    let copy = std::fs::read(scratch.file("log.db")).unwrap();
    let embedded = scratch.open();
    append(&embedded, &room_id, "lost with the log").await;
    let batch = embedded
        .log()
        .claim(0)
        .await
        .unwrap()
        .open(0)
        .await
        .unwrap()
        .next(10)
        .await
        .unwrap();
    let place = Checkpoint {
        partition: 0,
        position: batch.position,
    };
    embedded
        .messages()
        .apply(&batch.events, Some(place))
        .await
        .unwrap();
    drop(embedded);
    std::fs::write(scratch.file("log.db"), copy).unwrap();
    let embedded = scratch.open();
    let next = append(&embedded, &room_id, "after the copy").await;
    assert!(next.get() > place.position, "{next} was given before");
    let batch = embedded
        .log()
        .claim(0)
        .await
        .unwrap()
        .open(place.position)
        .await
        .unwrap()
        .next(10)
        .await
        .unwrap();
    assert_eq!(batch.events.len(), 1);
    drop(embedded);
    assert_eq!(
        append(&scratch.open(), &room_id, "a restart later")
            .await
            .get(),
        next.get() + 1
    );
}
