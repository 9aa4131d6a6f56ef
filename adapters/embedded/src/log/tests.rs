//! The log when the disk is full, a task panics, a message is deleted, or the end has come.

use std::path::PathBuf;

use roomcast_ports::live::LiveEvent;
use roomcast_protocol::event::Message;
use roomcast_protocol::{EventBody, EventId, MessageId, RoomEvent, Timestamp, UserId};

use super::*;
use crate::database::{Durability, open_for_writing};

/// A log in a file of its own, which goes with it.
struct Scratch {
    directory: PathBuf,
    log: EmbeddedLog,
}

impl Scratch {
    fn open() -> Self {
        let name = format!("roomcast-log-{}", RoomId::generate());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("log.db");
        let connection = open_for_writing(&file, Durability::Disk, SCHEMA).unwrap();
        let log = EmbeddedLog::start(&file, connection).unwrap();
        Self { directory, log }
    }

    /// Lets the file have so many pages more than it has.
    async fn pages_left(&self, pages: u32) {
        let limit = move |log: &Connection| {
            let used: u32 = log.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            log.query_row(
                &format!("PRAGMA max_page_count = {}", used + pages),
                [],
                |row| row.get::<_, u32>(0),
            )
        };
        self.log.write(limit).await.unwrap();
    }

    async fn contents(&self) -> String {
        let bodies = |log: &Connection| {
            log.prepare("SELECT body FROM events")?
                .query_map([], |row| row.get::<_, Vec<u8>>(0))?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let bodies = self.log.query(bodies).await.unwrap();
        bodies
            .iter()
            .map(|body| String::from_utf8_lossy(body))
            .collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.log.close();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn event(room_id: &RoomId, body: EventBody) -> RoomEvent {
    RoomEvent {
        id: EventId::generate(),
        room_id: room_id.clone(),
        sender_id: UserId::new("somebody").unwrap(),
        client_message_id: None,
        sent_at: Timestamp::now(),
        body,
    }
}

fn said(room_id: &RoomId, content: &str) -> RoomEvent {
    let content = Some(content.to_owned());
    event(
        room_id,
        EventBody::MessageSent(Message {
            content,
            ..Message::default()
        }),
    )
}

#[tokio::test]
async fn a_full_disk_refuses_appends_and_loses_nothing_acknowledged() {
    let (scratch, room_id) = (Scratch::open(), RoomId::generate());
    let long = "x".repeat(2_000);
    let append = || scratch.log.append(Append::new(said(&room_id, &long)));
    let mut kept = vec![append().await.unwrap().seq];
    scratch.pages_left(10).await;
    let mut refused = 0;
    for appends in (0..30).map(|_| [append(), append()]) {
        for answer in futures_util::future::join_all(appends).await {
            match answer {
                Ok(appended) => kept.push(appended.seq),
                Err(LogError::Unavailable(_)) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    assert!(refused > 30, "the disk did not fill: {refused} refused");
    assert!(
        kept.len() > 2,
        "nothing was stored before the disk was full"
    );
    scratch.pages_left(1_000).await;
    let after = append().await.expect("there is room again");
    assert_eq!(Some(&after.prev), kept.last());
    kept.push(after.seq);
    let events = scratch.log.read(&room_id, Seq::ZERO, 1_000).await.unwrap();
    assert_eq!(
        events.iter().map(|event| event.seq).collect::<Vec<_>>(),
        kept
    );
    assert!(events.windows(2).all(|pair| pair[1].prev == pair[0].seq));
}

#[tokio::test]
async fn panic_while_writing_leaves_no_caller_waiting_and_the_next_append_works() {
    let (scratch, room_id) = (Scratch::open(), RoomId::generate());
    let first = scratch
        .log
        .append(Append::new(said(&room_id, "first")))
        .await
        .unwrap();
    let panicked = scratch
        .log
        .write(|_| -> rusqlite::Result<()> { panic!("on purpose") });
    assert!(panicked.await.is_err());
    let next = scratch
        .log
        .append(Append::new(said(&room_id, "next")))
        .await
        .unwrap();
    assert_eq!(next.prev, first.seq);
}

#[tokio::test]
async fn one_bad_task_does_not_take_its_batch_with_it() {
    let (scratch, room_id) = (Scratch::open(), RoomId::generate());
    let bad = scratch
        .log
        .write(|log| log.execute("INSERT INTO nowhere VALUES (1)", []));
    let good = scratch.log.append(Append::new(said(&room_id, "good")));
    let (bad, good) = tokio::join!(bad, good);
    assert!(bad.is_err());
    assert_eq!(good.unwrap().prev, Seq::ZERO);
}

#[tokio::test]
async fn deleted_messages_content_is_in_no_row_of_the_log() {
    let (scratch, room_id) = (Scratch::open(), RoomId::generate());
    let sent = said(&room_id, "secret");
    let message_id = MessageId::from(sent.id.clone());
    let edit = |content: &str| {
        let content = Some(content.to_owned());
        event(
            &room_id,
            EventBody::MessageEdited {
                message_id: message_id.clone(),
                content,
            },
        )
    };
    let deletion = event(
        &room_id,
        EventBody::MessageDeleted {
            message_id: message_id.clone(),
        },
    );
    let mut live = scratch.log.subscribe();
    let events = [
        sent,
        edit("a second secret"),
        deletion,
        edit("a late secret"),
    ];
    for event in events.clone() {
        scratch.log.append(Append::new(event)).await.unwrap();
    }
    let kept = scratch
        .log
        .append(Append::new(said(&room_id, "kept")))
        .await
        .unwrap();
    let contents = scratch.contents().await;
    assert!(!contents.contains("secret"), "{contents}");
    assert!(contents.contains("kept"));
    let read = scratch.log.read(&room_id, Seq::ZERO, 10).await.unwrap();
    assert_eq!(read.len(), 5);
    assert_eq!(read[0].event.id, events[0].id);
    for (number, event) in events.iter().enumerate() {
        let Some(LiveEvent::Event(heard)) = live.next().await else {
            panic!("nothing was heard")
        };
        let late = number == 3;
        assert_eq!(
            heard.event == *event,
            !late,
            "what was late is heard without content"
        );
    }
    let again = scratch
        .log
        .append(Append::new(events[0].clone()))
        .await
        .unwrap();
    assert!(again.duplicate && again.seq < kept.seq);
}

#[tokio::test]
async fn closed_log_has_stored_queued_appends_and_refuses_new_ones() {
    let (scratch, room_id) = (Scratch::open(), RoomId::generate());
    let mut live = scratch.log.subscribe();
    let claim = scratch.log.claim(0).await.unwrap();
    let mut feed = claim.open(0).await.unwrap();
    let waiting: Vec<_> = (0..2_000)
        .map(|_| scratch.log.append(Append::new(said(&room_id, "waits"))))
        .collect();
    scratch.log.close();
    for answer in futures_util::future::join_all(waiting).await {
        answer.expect("it was taken before the end");
    }
    let refused = scratch
        .log
        .append(Append::new(said(&room_id, "late")))
        .await;
    assert!(
        matches!(refused, Err(LogError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(matches!(
        scratch.log.head(&room_id).await,
        Err(LogError::Unavailable(_))
    ));
    assert!(matches!(feed.next(1).await, Err(LogError::Unavailable(_))));
    for _ in 0..2_000 {
        assert!(matches!(live.next().await, Some(LiveEvent::Event(_))));
    }
    assert!(live.next().await.is_none());
    assert!(scratch.log.subscribe().next().await.is_none());
}

#[tokio::test]
async fn what_waits_is_bounded_and_the_rest_is_refused() {
    let (scratch, room_id) = (Scratch::open(), RoomId::generate());
    let large = "x".repeat(60_000);
    // Together twice the bound; the thread is blocked during this.
    let (hold, held) = std::sync::mpsc::sync_channel::<()>(0);
    let held = std::sync::Mutex::new(held);
    let still = scratch.log.write(move |_| {
        let _ = held.lock().expect("one thread").recv();
        Ok(())
    });
    let mut still = Box::pin(still);
    std::future::poll_fn(|context| {
        assert!(still.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    let appends: Vec<_> = (0..QUEUE_BYTES_MAX / 30_000)
        .map(|_| scratch.log.append(Append::new(said(&room_id, &large))))
        .collect();
    drop(hold);
    still.await.unwrap();
    let answers = futures_util::future::join_all(appends).await;
    let stored = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Err(LogError::Unavailable(_))))
        .count();
    assert_eq!(stored + refused, answers.len());
    assert!(
        stored > 400 && refused > 400,
        "{stored} stored, {refused} refused"
    );
    let events = scratch
        .log
        .read(&room_id, Seq::ZERO, answers.len())
        .await
        .unwrap();
    assert_eq!(events.len(), stored);
}

/// Keeps the writer in a transaction of its own until the sender is dropped.
async fn hold_writer(log: &EmbeddedLog) -> std::sync::mpsc::SyncSender<()> {
    let (hold, held) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = move |_: &Connection| {
        let _ = held.recv();
        Ok(())
    };
    submit(log, wait);
    while log.writer.write_stalled_for().is_zero() {
        tokio::task::yield_now().await;
    }
    hold
}

fn submit(
    log: &EmbeddedLog,
    write: impl FnMut(&Connection) -> rusqlite::Result<()> + Send + 'static,
) {
    let (call, _) = call(write);
    assert!(log.writer.submit(LogTask::Call(call)).is_ok());
}

#[tokio::test]
async fn log_refuses_a_senders_later_appends_in_a_room_with_one_that_does_not_fit() {
    let (scratch, room_id) = (Scratch::open(), RoomId::generate());
    let first = scratch.log.append(Append::new(said(&room_id, "first")));
    let first = first.await.unwrap();
    scratch.pages_left(2).await;
    let hold = hold_writer(&scratch.log).await;
    // The rest of one transaction, so that what follows comes into the next.
    for _ in 1..512 {
        submit(&scratch.log, |_| Ok(()));
    }
    let too_long = "x".repeat(60_000);
    let refused = scratch.log.append(Append::new(said(&room_id, &too_long)));
    let behind = scratch.log.append(Append::new(said(&room_id, "behind")));
    let mut of_another = said(&room_id, "another's");
    of_another.sender_id = UserId::new("another").unwrap();
    let of_another = scratch.log.append(Append::new(of_another));
    drop(hold);
    assert!(matches!(refused.await, Err(LogError::Unavailable(_))));
    let behind = behind.await;
    assert!(
        matches!(behind, Err(LogError::Unavailable(_))),
        "{behind:?}"
    );
    let of_another = of_another.await.expect("it fits");
    assert_eq!(of_another.prev, first.seq);
    let again = scratch.log.append(Append::new(said(&room_id, "again")));
    assert_eq!(again.await.expect("it fits").prev, of_another.seq);
}

#[tokio::test]
async fn log_fails_heads_and_pings_while_the_disk_does_not_answer_the_writer() {
    let (mut scratch, room_id) = (Scratch::open(), RoomId::generate());
    scratch.log.stalled_after = Duration::from_millis(20);
    scratch.log.ping().await.expect("it is idle");
    let hold = hold_writer(&scratch.log).await;
    while scratch.log.ping().await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(scratch.log.head(&room_id).await.is_err());
    assert!(scratch.log.heads(&[room_id]).await.is_err());
    drop(hold);
    while scratch.log.ping().await.is_err() {
        tokio::task::yield_now().await;
    }
}
