//! Sends frames, and tracks messages until they have a response.

use std::time::Duration;

use roomcast_protocol::id::{Id, IdRef};
use roomcast_protocol::{ClientFrame, Seq};

use super::Worker;
use super::client::{Client, Pending, Session, SubscriptionState};
use crate::codec;
use crate::message_tag::MessageTag;
use crate::schedule::Due;
use crate::settings::Profile;
use crate::stats::record;
use roomcast_checker::history::{Attempt, MessageAction};

/// Limit of unacknowledged sends per connection; the fleet allows 64.
const IN_FLIGHT_MAX: usize = 60;
/// Limit of queued messages per client; further ones are counted and not sent.
const PENDING_MAX: usize = 10_000;
/// Limit of bytes waiting for a socket.
const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Response timeout before a message is resent.
const REPLY_TIMEOUT_US: u64 = 12_000_000;

impl Client {
    /// Handles a due message: sends it now, or queues it.
    pub(super) fn due(&self, worker: &Worker, due: &Due, at: u64) {
        let now = worker.clock.now();
        let mut session = self.session.borrow_mut();
        // A client that stops reading gets no responses, so it pauses its sends.
        let away = !session.live || self.slow || worker.is_stampeding();
        let number = worker.sends.replace(worker.sends.get() + 1);
        {
            let mut stats = worker.stats.borrow_mut();
            stats.counts.due += 1;
            if away {
                stats.counts.due_away += 1;
            } else {
                let lag = now.saturating_sub(at);
                stats.recent_lag_us = stats.recent_lag_us.max(lag);
                record(&mut stats.lag, lag);
            }
            if session.pending.len() >= PENDING_MAX {
                stats.error("not sent: too many wait");
                stats.counts.unanswered += 1;
                return;
            }
        }
        session.pending.push(Pending {
            number,
            room: due.room,
            due: at,
            bytes: u32::try_from(due.content_bytes).expect("content is short"),
            away,
            attempts: 0,
            sent: None,
            not_before: 0,
        });
        self.send_pending(worker, &mut session);
    }

    /// Sends queued messages within the limit of unacknowledged sends.
    pub(super) fn send_pending(&self, worker: &Worker, session: &mut Session) {
        if !session.live || worker.over.get() {
            return;
        }
        let now = worker.clock.now();
        let mut free = IN_FLIGHT_MAX.saturating_sub(
            session
                .pending
                .iter()
                .filter(|pending| pending.sent.is_some())
                .count(),
        );
        for cursor in 0..session.pending.len() {
            let pending = &mut session.pending[cursor];
            if free == 0 {
                return;
            }
            if pending.sent.is_none() && pending.not_before <= now {
                free -= 1;
                pending.sent = Some(now);
                pending.attempts += 1;
                let pending = *pending;
                self.send(worker, session, pending, now);
            }
        }
    }

    fn send(&self, worker: &Worker, session: &mut Session, pending: Pending, now: u64) {
        let id = worker.tag(&pending).to_id(&worker.clock);
        let content = content(worker.number, pending.number, pending.bytes as usize);
        let room = &worker.rooms[pending.room as usize];
        if let Some(log) = &*self.log.borrow() {
            log.sent(
                now,
                &Attempt {
                    room_id: room,
                    client_msg_id: &id,
                    action: MessageAction::Message { content: &content },
                },
            );
        }
        if pending.attempts > 1 {
            worker.stats.borrow_mut().counts.resent += 1;
        }
        self.send_frame(
            worker,
            session,
            &ClientFrame::SendMessage {
                room_id: named(room.as_str()),
                content: content.into(),
                client_msg_id: Some(named(&id)),
                reply_to: None,
                attachments: Vec::new(),
                mentions: Vec::new(),
            },
        );
    }

    /// Subscribes to a room from the client's cursor.
    pub(super) fn subscribe(&self, worker: &Worker, session: &mut Session, cursor: usize) {
        session.cursors[cursor].stage = SubscriptionState::Asked;
        let at = session.cursors[cursor];
        self.send_frame(
            worker,
            session,
            &ClientFrame::Subscribe {
                room_id: Some(named(worker.rooms[at.room as usize].as_str())),
                after: at.last.and_then(Seq::new),
                presence: false,
                rooms: Vec::new(),
            },
        );
    }

    /// Once a second: sends a ping after long silence, reconnects after a dead connection, and resends
    /// messages without a response.
    pub(super) fn flush(&self, worker: &Worker, now: u64) {
        let mut session = self.session.borrow_mut();
        if !session.live || worker.stalled.get() && self.slow {
            return;
        }
        if now.saturating_sub(session.last_received) > session.heartbeat * 3 / 2 {
            drop(session);
            worker.stats.borrow_mut().error("nothing heard");
            self.cut(worker, roomcast_checker::history::Disconnect::Lost, None);
            return;
        }
        if now.saturating_sub(session.last_sent) > session.heartbeat * 4 / 3 {
            self.send_frame(worker, &mut session, &ClientFrame::Ping {});
        }
        let unanswered = |sent: u64| now.saturating_sub(sent) > REPLY_TIMEOUT_US;
        let mut again = false;
        for pending in &mut session.pending {
            if pending.sent.is_some_and(unanswered) {
                pending.sent = None;
                again = true;
            }
        }
        if again {
            worker.stats.borrow_mut().error("no answer in time");
        }
        self.send_pending(worker, &mut session);
    }

    /// Sends a frame.
    pub(super) fn send_frame(
        &self,
        worker: &Worker,
        session: &mut Session,
        frame: &ClientFrame<'_>,
    ) {
        let text = serde_json::to_vec(frame).expect("frames are strings and numbers");
        self.put(worker, session, |out, mask| {
            codec::put_text(out, &text, mask);
        });
    }

    /// Answers a ping.
    pub(super) fn send_pong(&self, worker: &Worker, payload: &[u8]) {
        let mut session = self.session.borrow_mut();
        self.put(worker, &mut session, |out, mask| {
            codec::put_pong(out, payload, mask);
        });
    }

    /// Sends a close frame.
    pub(super) fn send_close(&self, worker: &Worker, code: u16) {
        let mut session = self.session.borrow_mut();
        self.put(worker, &mut session, |out, mask| {
            codec::put_close(out, code, mask);
        });
    }

    fn put(&self, worker: &Worker, session: &mut Session, encode: impl Fn(&mut Vec<u8>, [u8; 4])) {
        let Some(stream) = self.stream.borrow().clone() else {
            return;
        };
        let mask = worker.rng.borrow_mut().next_u64().to_le_bytes();
        let mask = *mask.first_chunk().expect("eight bytes");
        session.last_sent = worker.clock.now();
        if !session.outbox.is_empty() {
            if session.outbox.len() < OUTBOX_BYTES_MAX {
                encode(&mut session.outbox, mask);
            }
            return;
        }
        let mut bytes = worker.write_buffer.borrow_mut();
        bytes.clear();
        encode(&mut bytes, mask);
        // A broken socket is the reader's to notice.
        let written = match stream.try_write(&bytes) {
            Ok(written) => written,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
            Err(_) => return,
        };
        if written < bytes.len() {
            session.outbox.extend_from_slice(&bytes[written..]);
            worker.blocked.borrow_mut().push(self.index);
        }
    }

    /// Writes queued bytes. Returns whether some are left.
    pub(super) fn drain(&self) -> bool {
        let mut session = self.session.borrow_mut();
        let Some(stream) = self.stream.borrow().clone() else {
            return false;
        };
        match stream.try_write(&session.outbox) {
            Ok(written) => {
                session.outbox.drain(..written);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => session.outbox.clear(),
        }
        if session.outbox.is_empty() {
            session.outbox = Vec::new();
        }
        !session.outbox.is_empty()
    }
}

impl Worker {
    pub(super) fn tag(&self, pending: &Pending) -> MessageTag {
        MessageTag {
            number: pending.number,
            worker: self.number,
            run: self.run,
            due: pending.due,
            away: pending.away,
        }
    }

    /// While all clients reconnect after a cut, only the recovery is measured.
    fn is_stampeding(&self) -> bool {
        self.settings.profile == Profile::Stampede && self.all_caught_up_since.get().is_none()
    }

    /// A random time around `about`, so that clients do not act in step.
    pub(super) fn around(&self, about: Duration) -> u64 {
        let about = crate::clock::micros(about);
        about / 2 + self.rng.borrow_mut().next_u64() % about
    }
}

/// An id in a frame.
fn named<T: Id>(id: &str) -> IdRef<'_, T> {
    IdRef::new(id).expect("ids of the run are ids")
}

/// A message's content: its tag, then words up to its length.
fn content(worker: u8, number: u32, bytes: usize) -> String {
    const WORDS: &str = " and so the evening went on with talk of harvests, trains and weather";
    let mut text = format!("{worker}.{number}");
    while text.len() < bytes {
        text.push_str(WORDS);
    }
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::content;

    #[test]
    fn content_has_the_configured_length_and_is_unique() {
        for bytes in [1, 5, 100, 16_384] {
            assert_eq!(content(3, 77, bytes).len(), bytes);
        }
        assert_ne!(content(3, 77, 40), content(3, 78, 40));
    }
}
