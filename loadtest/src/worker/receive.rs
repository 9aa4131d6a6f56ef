//! Handles each received frame.

use std::rc::Rc;
use std::time::Duration;

use roomcast_protocol::{ClientFrame, RoomId, Seq};

use super::client::{Client, Session, SubscriptionState};
use super::scheduler::TimerAction;
use super::{Worker, connect};
use crate::frame::{self, Frame, text};
use crate::message_tag::MessageTag;
use crate::stats::record;
use roomcast_checker::history::Event;

/// Retry delay of a refusal without `retryAfterMs`.
const RETRY_DELAY: Duration = Duration::from_millis(300);

impl Client {
    /// Handles a text frame received at `now`.
    pub(super) fn on_frame(&self, worker: &Rc<Worker>, bytes: &[u8], now: u64) {
        let Ok(frame) = Frame::read(bytes) else {
            worker.stats.borrow_mut().error("unreadable frame");
            return;
        };
        let mut session = self.session.borrow_mut();
        session.last_received = now;
        let understood = match &*frame.kind.0 {
            "ACK" => self.on_ack(worker, &mut session, &frame, now),
            "WELCOME" => self.on_welcome(worker, &mut session, &frame, now),
            "SUBSCRIBED" => self.on_subscribed(worker, &mut session, &frame, now),
            "UNSUBSCRIBED" => self.on_unsubscribed(worker, &mut session, &frame, now),
            "ERROR" => self.on_error(worker, &mut session, &frame, now),
            "RECONNECT" => {
                let at = now + frame.after_ms.min(60_000) * 1_000;
                worker.schedule(at, self.index, session.generation, TimerAction::Move);
                Some(())
            }
            "TOKEN_EXPIRING" => {
                worker
                    .tasks
                    .spawn_local(connect::renew(Rc::clone(worker), self.index));
                Some(())
            }
            "WARNING" => {
                worker
                    .stats
                    .borrow_mut()
                    .error(&format!("warning {}", text(frame.code.as_ref())));
                Some(())
            }
            // Frames without meaning here, and unknown ones.
            kind => match frame::event_kind(kind) {
                Some(kind) => self.on_event(worker, &mut session, frame.event(kind), now),
                None => Some(()),
            },
        };
        if understood.is_none() {
            worker.stats.borrow_mut().error("incomplete frame");
        }
    }

    fn on_welcome(
        &self,
        worker: &Worker,
        session: &mut Session,
        frame: &Frame<'_>,
        now: u64,
    ) -> Option<()> {
        session.live = true;
        session.heartbeat = frame.heartbeat_ms? * 1_000;
        record(&mut worker.stats.borrow_mut().connects, now - session.began);
        for cursor in 0..session.cursors.len() {
            self.subscribe(worker, session, cursor);
        }
        self.send_pending(worker, session);
        self.check_caught_up(worker, session);
        Some(())
    }

    fn on_subscribed(
        &self,
        worker: &Rc<Worker>,
        session: &mut Session,
        frame: &Frame<'_>,
        now: u64,
    ) -> Option<()> {
        let (room, number) = worker.room(frame)?;
        let head = frame.head?;
        let cursor = session
            .cursors
            .iter_mut()
            .find(|cursor| cursor.room == number)?;
        let asked = cursor.last;
        if let Some(log) = &*self.log.borrow() {
            log.subscribed(now, room, asked.and_then(Seq::new), head, frame.recovered);
        }
        let last = *cursor.last.get_or_insert(head.get());
        cursor.stage = if !frame.recovered {
            worker.stats.borrow_mut().counts.not_recovered += 1;
            worker.tasks.spawn_local(connect::catch_up(
                Rc::clone(worker),
                self.index,
                number,
                last,
            ));
            SubscriptionState::Reading
        } else if last < head.get() {
            SubscriptionState::CatchingUp { head: head.get() }
        } else {
            SubscriptionState::Live
        };
        self.check_caught_up(worker, session);
        Some(())
    }

    fn on_unsubscribed(
        &self,
        worker: &Worker,
        session: &mut Session,
        frame: &Frame<'_>,
        now: u64,
    ) -> Option<()> {
        let (room, number) = worker.room(frame)?;
        if let Some(log) = &*self.log.borrow() {
            log.unsubscribed(now, room);
        }
        let cursor = session
            .cursors
            .iter_mut()
            .find(|cursor| cursor.room == number)?;
        cursor.stage = SubscriptionState::Out;
        Some(())
    }

    fn on_event(
        &self,
        worker: &Worker,
        session: &mut Session,
        event: Option<(Event<'_>, &str)>,
        now: u64,
    ) -> Option<()> {
        let (event, room) = event?;
        let number = *worker.room_numbers.get(room)?;
        if let Some(log) = &*self.log.borrow() {
            log.delivered(now, &worker.rooms[number as usize], &event);
        }
        let cursor = session
            .cursors
            .iter_mut()
            .find(|cursor| cursor.room == number)?;
        let seq = event.seq.get();
        cursor.last = Some(cursor.last.unwrap_or_default().max(seq));
        let was_live = cursor.stage == SubscriptionState::Live;
        if let SubscriptionState::CatchingUp { head } = cursor.stage
            && head <= seq
        {
            cursor.stage = SubscriptionState::Live;
            self.check_caught_up(worker, session);
        }
        worker.count_delivery(&event, now, was_live && !self.slow);
        Some(())
    }

    fn on_ack(
        &self,
        worker: &Worker,
        session: &mut Session,
        frame: &Frame<'_>,
        now: u64,
    ) -> Option<()> {
        let (room, _) = worker.room(frame)?;
        let (client, message) = (
            text(frame.client_msg_id.as_ref()),
            text(frame.message_id.as_ref()),
        );
        if let Some(log) = &*self.log.borrow() {
            log.acked(now, room, client, message, frame.seq?, frame.duplicate);
        }
        let tag = MessageTag::from_id(client.as_bytes(), &worker.clock)?;
        let cursor = session
            .pending
            .iter()
            .position(|pending| worker.tag(pending) == tag);
        // A second answer to a message that was sent twice.
        let Some(cursor) = cursor else {
            return Some(());
        };
        let pending = session.pending.remove(cursor);
        if session.pending.is_empty() {
            session.pending = Vec::new();
        }
        {
            let mut stats = worker.stats.borrow_mut();
            stats.counts.acked += 1;
            stats.counts.duplicates += u64::from(frame.duplicate);
            record(&mut stats.acks, now.saturating_sub(pending.due));
        }
        self.send_pending(worker, session);
        Some(())
    }

    fn on_error(
        &self,
        worker: &Worker,
        session: &mut Session,
        frame: &Frame<'_>,
        now: u64,
    ) -> Option<()> {
        let name = text(frame.code.as_ref());
        worker.stats.borrow_mut().error(name);
        let again = now
            + frame.retry_after_ms.map_or_else(
                || worker.around(RETRY_DELAY),
                |after| after.min(60_000) * 1_000,
            );
        let Some(client) = &frame.client_msg_id else {
            let (_, number) = worker.room(frame)?;
            if frame.retryable {
                worker.schedule(
                    again,
                    self.index,
                    session.generation,
                    TimerAction::Subscribe(number),
                );
            }
            return Some(());
        };
        let (room, _) = worker.room(frame)?;
        if let (Some(log), Some(code)) = (&*self.log.borrow(), frame::code(name)) {
            log.refused(now, room, &client.0, code);
        }
        let tag = MessageTag::from_id(client.0.as_bytes(), &worker.clock)?;
        let cursor = session
            .pending
            .iter()
            .position(|pending| worker.tag(pending) == tag)?;
        if frame.retryable {
            let pending = &mut session.pending[cursor];
            pending.sent = None;
            pending.not_before = again;
            worker.schedule(again, self.index, session.generation, TimerAction::Send);
        } else {
            session.pending.remove(cursor);
            worker.stats.borrow_mut().counts.refused += 1;
        }
        Some(())
    }

    /// Requests a new token for a connection whose token expires soon.
    pub(super) fn send_token(&self, worker: &Worker, token: &str) {
        let mut session = self.session.borrow_mut();
        self.send_frame(
            worker,
            &mut session,
            &ClientFrame::Auth {
                token: token.into(),
            },
        );
    }
}

impl Worker {
    /// The index of a frame's room, if it belongs to the run.
    fn room(&self, frame: &Frame<'_>) -> Option<(&RoomId, u32)> {
        let (room, number) = self
            .room_numbers
            .get_key_value(text(frame.room_id.as_ref()))?;
        Some((room, *number))
    }

    /// Counts a received message, if the run sent it.
    pub(super) fn count_delivery(&self, event: &Event<'_>, now: u64, live: bool) {
        let id = event.client_msg_id.as_ref().map_or("", |id| &*id.0);
        let Some(tag) = MessageTag::from_id(id.as_bytes(), &self.clock) else {
            return;
        };
        let us = now.saturating_sub(tag.due);
        let mut stats = self.stats.borrow_mut();
        stats.delivery(tag.due, us, live && !tag.away);
        if let Some(reach) = &mut stats.reach {
            let reach = reach.entry((tag.worker, tag.number)).or_default();
            reach.add(crate::stats::FanoutProgress {
                members: 1,
                last_us: us,
            });
        }
    }
}
