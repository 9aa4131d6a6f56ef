//! Appends one event: resolves its room, assigns its seq, detects duplicates.

use std::sync::Arc;

use roomcast_ports::event_log::{Append, Appended, LogError};
use roomcast_ports::live::LiveEvent;
use roomcast_protocol::event::encode;
use roomcast_protocol::{EventBody, RoomEvent, RoomId, Seq, StoredEvent};
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::{OwnedSemaphorePermit, broadcast, oneshot, watch};

use super::head_cache::{Head, HeadCache};
use super::redact;
use crate::rows;
use crate::writer::{Failure, Line, WriterState};

/// Bits of a seq below the log's incarnation.
const INCARNATION_SHIFT: u32 = 40;

/// An event on its way into the log.
pub(crate) struct AppendTask {
    event: RoomEvent,
    body: Vec<u8>,
    /// The room its bytes take among those that wait.
    _waiting_bytes: OwnedSemaphorePermit,
    expected_head: Option<Seq>,
    reply: oneshot::Sender<Result<Appended, LogError>>,
    verdict: Option<AppendOutcome>,
}

/// What becomes of it if the transaction commits.
enum AppendOutcome {
    Stored { seq: Seq, prev: Seq },
    Duplicate(Appended),
    Moved { head: Seq },
}

/// What the log's thread knows without asking.
pub(crate) struct AppendState {
    heads: HeadCache,
    last: Seq,
    live: broadcast::Sender<LiveEvent>,
    stored_to: watch::Sender<Seq>,
}

impl AppendState {
    pub(super) fn load(
        connection: &Connection,
        live: broadcast::Sender<LiveEvent>,
    ) -> rusqlite::Result<(Self, watch::Receiver<Seq>)> {
        let last = last_place(connection)?;
        let (stored_to, receiver) = watch::channel(last);
        Ok((
            Self {
                heads: HeadCache::default(),
                last,
                live,
                stored_to,
            },
            receiver,
        ))
    }
}

impl WriterState for AppendState {
    fn forget(&mut self) {
        self.heads.clear();
        self.last = *self.stored_to.borrow();
    }

    fn committed(&mut self) {
        self.stored_to.send_if_modified(|stored_to| {
            let moved = *stored_to != self.last;
            *stored_to = self.last;
            moved
        });
    }
}

impl AppendTask {
    pub(super) fn new(
        append: Append,
        body: Vec<u8>,
        waiting_bytes: OwnedSemaphorePermit,
        reply: oneshot::Sender<Result<Appended, LogError>>,
    ) -> Self {
        let Append {
            event,
            expected_head,
        } = append;
        Self {
            event,
            body,
            _waiting_bytes: waiting_bytes,
            expected_head,
            reply,
            verdict: None,
        }
    }

    pub(super) fn line(&self) -> Line {
        (self.event.room_id.clone(), self.event.sender_id.clone())
    }

    pub(super) fn apply(
        &mut self,
        log: &Connection,
        memory: &mut AppendState,
    ) -> rusqlite::Result<()> {
        let head = room_head(log, memory, &self.event.room_id)?;
        // A repeat is answered as one even where the room has moved on since.
        if self
            .expected_head
            .is_some_and(|expected| expected != head.seq)
        {
            let first = duplicate_of(log, head.room, &self.event)?;
            self.verdict = Some(first.map_or(
                AppendOutcome::Moved { head: head.seq },
                AppendOutcome::Duplicate,
            ));
            return Ok(());
        }
        if let EventBody::MessageEdited { message_id, .. } = &self.event.body
            && redact::is_deleted(log, head.room, message_id)?
            && self.event.redact()
        {
            self.body = encode(&self.event);
        }
        let seq = Seq::new(memory.last.get() + 1).expect("2^53 events are not reached");
        if !insert(log, head, seq, &self.event, &self.body)? {
            self.verdict = duplicate_of(log, head.room, &self.event)?.map(AppendOutcome::Duplicate);
            return Ok(());
        }
        if let EventBody::MessageDeleted { message_id } = &self.event.body {
            redact::redact(log, head.room, message_id)?;
        }
        memory.last = seq;
        memory.heads.set(
            &self.event.room_id,
            Head {
                room: head.room,
                seq,
            },
        );
        self.verdict = Some(AppendOutcome::Stored {
            seq,
            prev: head.seq,
        });
        Ok(())
    }

    pub(super) fn committed(self, memory: &mut AppendState) {
        let answer = match self.verdict.expect("a committed append has been applied") {
            AppendOutcome::Stored { seq, prev } => {
                let appended = Appended {
                    seq,
                    prev,
                    sent_at: self.event.sent_at,
                    message_id: self.event.message_id(),
                    duplicate: false,
                };
                let stored = StoredEvent {
                    seq,
                    prev,
                    event: self.event,
                };
                // There may be no subscriber.
                let _ = memory.live.send(LiveEvent::Event(Arc::new(stored)));
                Ok(appended)
            }
            AppendOutcome::Duplicate(first) => Ok(first),
            AppendOutcome::Moved { head } => Err(LogError::HeadMismatch { head }),
        };
        // Who asked may have gone; the event stays.
        let _ = self.reply.send(answer);
    }

    pub(super) fn failed(self, failure: Failure) {
        let _ = self.reply.send(Err(failure.into()));
    }
}

/// The seq after which the next event comes.
fn last_place(log: &Connection) -> rusqlite::Result<Seq> {
    let stored: u64 = log.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| {
        row.get(0)
    })?;
    let incarnation: u64 = log.query_row("SELECT number FROM incarnation", [], |row| row.get(0))?;
    let begin = incarnation << INCARNATION_SHIFT;
    Ok(Seq::new(stored.max(begin)).unwrap_or(Seq::MAX))
}

/// Begins a new incarnation when seqs after the log's own have been seen: the log was put back from
/// an older copy, and giving those seqs again would make two events of one.
pub(crate) fn start_epoch_after(log: &Connection, seen_to: u64) -> rusqlite::Result<()> {
    let last = last_place(log)?;
    if last.get() >= seen_to {
        return Ok(());
    }
    let incarnation = (seen_to >> INCARNATION_SHIFT) + 1;
    tracing::warn!(%last, seen_to, incarnation, "the log is older than what was derived from it");
    log.execute("UPDATE incarnation SET number = ?1", [incarnation])?;
    Ok(())
}

fn room_head(
    log: &Connection,
    memory: &mut AppendState,
    room_id: &RoomId,
) -> rusqlite::Result<Head> {
    if let Some(head) = memory.heads.get(room_id) {
        return Ok(head);
    }
    let known = log
        .prepare_cached("SELECT room FROM rooms WHERE room_id = ?1")?
        .query_row([room_id.as_str()], |row| row.get(0))
        .optional()?;
    let head = match known {
        Some(room) => Head {
            room,
            seq: super::read::head_of(log, room)?,
        },
        None => Head {
            room: intern_room(log, room_id)?,
            seq: Seq::ZERO,
        },
    };
    memory.heads.set(room_id, head);
    Ok(head)
}

fn intern_room(log: &Connection, room_id: &RoomId) -> rusqlite::Result<i64> {
    log.prepare_cached("INSERT INTO rooms (room_id) VALUES (?1)")?
        .insert([room_id.as_str()])
}

/// Whether it was stored; not when the room has an event of this id.
fn insert(
    log: &Connection,
    head: Head,
    seq: Seq,
    event: &RoomEvent,
    body: &[u8],
) -> rusqlite::Result<bool> {
    let target = match &event.body {
        EventBody::MessageEdited { message_id, .. } | EventBody::MessageDeleted { message_id } => {
            Some(message_id.as_str())
        }
        _ => None,
    };
    let added = log
        .prepare_cached(
            "INSERT INTO events (seq, room, prev, event_id, target, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (room, event_id) DO NOTHING",
        )?
        .execute(params![
            seq.get(),
            head.room,
            head.seq.get(),
            event.id.as_str(),
            target,
            body
        ])?;
    Ok(added == 1)
}

fn duplicate_of(
    log: &Connection,
    room: i64,
    event: &RoomEvent,
) -> rusqlite::Result<Option<Appended>> {
    log.prepare_cached("SELECT seq, prev, body FROM events WHERE room = ?1 AND event_id = ?2")?
        .query_row(params![room, event.id.as_str()], |row| {
            let first = rows::stored(row)?;
            Ok(Appended {
                seq: first.seq,
                prev: first.prev,
                sent_at: first.event.sent_at,
                message_id: first.event.message_id(),
                duplicate: true,
            })
        })
        .optional()
}
