//! The socket's side of a connection's task: what goes out, and what comes in until it is a frame.

use std::io;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use roomcast_protocol::Close;
use roomcast_protocol::limits::{HEARTBEAT, READ_AHEAD_BYTES_MAX, SILENCE_PINGED};
use socket2::SockRef;

use super::{
    Backlog, CLOSING_WITHIN, Ending, FRAMES_PER_TURN, Flow, LINGER_BYTES, LINGER_WITHIN,
    READ_BYTES, READS_MAX, SCRATCH, Task,
};
use crate::clock::{after, ticks};
use crate::codec::{self, Item, Violation};
use crate::lock::lock;

impl Task {
    /// Writes what waits; the connection begins to end when a close frame is among it.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> Flow {
        let connection = self.actor.connection.clone();
        let now = self.actor.shared.clock.now();
        loop {
            let outbox = &mut lock(&connection.parts).outbox;
            if connection.is_closing() && self.ending == Ending::No {
                self.ending = Ending::Closing {
                    until: after(now, CLOSING_WITHIN),
                };
                self.work = None;
                self.backlog = None;
                self.later = None;
                self.schedule();
            }
            if outbox.is_empty() {
                break;
            }
            match connection.stream.poll_write_ready(cx) {
                Poll::Pending => return Flow::Wait,
                Poll::Ready(Err(_)) => return Flow::End,
                Poll::Ready(Ok(())) => {}
            }
            let since = outbox.waiting_since();
            match outbox.write(now, |slices| connection.stream.try_write_vectored(slices)) {
                Ok(()) => connection.spoke_at.store(now, Ordering::Relaxed),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Flow::End,
            }
            if outbox.is_empty() && since.is_some_and(|since| now >= after(since, HEARTBEAT)) {
                // It was taking bytes all the time; now it can show that by itself.
                connection.heard(now.saturating_sub(ticks(SILENCE_PINGED)));
            }
        }
        if let Ending::Closing { .. } = self.ending {
            // Half a close: closing whole with unread bytes would reset the connection, and the
            // client might never read why.
            if SockRef::from(&connection.stream)
                .shutdown(std::net::Shutdown::Write)
                .is_err()
            {
                return Flow::End;
            }
            self.ending = Ending::Lingering {
                until: after(now, LINGER_WITHIN),
                left: LINGER_BYTES,
            };
            self.schedule();
        }
        Flow::GoOn
    }

    /// Whether as much has been read ahead as may be.
    pub(super) fn is_full(&self) -> bool {
        let backlog = self.backlog.as_ref();
        backlog.is_some_and(|backlog| backlog.bytes.len() >= READ_AHEAD_BYTES_MAX)
    }

    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Flow {
        if self.work.is_none()
            && self.ending == Ending::No
            && let Some(mut backlog) = self.backlog.take()
        {
            self.take(&mut backlog.bytes);
            return self.turn(cx);
        }
        for _ in 0..READS_MAX {
            if self.is_full() {
                return Flow::Wait;
            }
            match self.actor.connection.stream.poll_read_ready(cx) {
                Poll::Pending => {
                    // What has been read behind a frame that waits is still to be judged.
                    if self.work.is_none() {
                        let refused = self.actor.connection.take_all_refused();
                        self.actor.answer_refused(refused);
                    }
                    return Flow::Wait;
                }
                Poll::Ready(Err(_)) => return Flow::End,
                Poll::Ready(Ok(())) => {}
            }
            let was_working = self.work.is_some();
            let flow = SCRATCH.with_borrow_mut(|scratch| self.read_once(scratch));
            if self.backlog.is_some() && self.work.is_none() {
                return self.turn(cx);
            }
            if !matches!(flow, Flow::GoOn)
                || self.work.is_some() != was_working
                || self.actor.connection.is_closing()
            {
                return flow;
            }
        }
        cx.waker().wake_by_ref();
        Flow::Wait
    }

    /// Goes on at once, or at the next turn if much has been dealt with in this one.
    fn turn(&self, cx: &Context<'_>) -> Flow {
        if self.backlog.is_none() || self.work.is_some() {
            return Flow::GoOn;
        }
        cx.waker().wake_by_ref();
        Flow::Wait
    }

    /// Reads into `scratch` and deals with it; behind a frame that waits it is kept for later.
    fn read_once(&mut self, scratch: &mut [u8]) -> Flow {
        let kept = self.backlog.as_ref().map_or(0, |held| held.bytes.len());
        let scratch = &mut scratch[..READ_BYTES - kept];
        match self.actor.connection.stream.try_read(scratch) {
            // What it sent before it left is dealt with first.
            Ok(0) if self.work.is_some() => Flow::Wait,
            Ok(0) => Flow::End,
            Ok(count) => {
                if self.ending == Ending::No {
                    let now = self.actor.shared.clock.now();
                    self.actor.connection.heard(now);
                    if self.work.is_none() {
                        self.take(&mut scratch[..count]);
                    } else if let Some(backlog) = &mut self.backlog {
                        backlog.bytes.extend_from_slice(&scratch[..count]);
                    } else {
                        self.backlog = Backlog::of(&scratch[..count]);
                    }
                }
                self.throw_away(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Flow::GoOn,
            Err(_) => Flow::End,
        }
    }

    /// Counts what came after the close.
    fn throw_away(&mut self, count: usize) -> Flow {
        if let Ending::Lingering { left, .. } = &mut self.ending {
            *left = left.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
            if *left == 0 {
                return Flow::End;
            }
        }
        Flow::GoOn
    }

    /// Deals with bytes from the client until something must be waited for or other connections have their
    /// turn; keeps the rest.
    fn take(&mut self, bytes: &mut [u8]) {
        let mut input = bytes;
        let mut left = FRAMES_PER_TURN;
        while self.work.is_none() && left > 0 && !self.actor.connection.is_closing() {
            let item = self.decoder.next(&mut input);
            if matches!(item, Ok(None)) {
                return;
            }
            self.handle(item);
            left -= 1;
        }
        if self.work.is_some() || left == 0 {
            self.backlog = Backlog::of(input);
        }
    }

    fn handle(&mut self, item: Result<Option<Item<'_>>, Violation>) {
        let now = self.actor.shared.clock.now();
        let connection = &self.actor.connection;
        match item {
            Ok(None | Some(Item::Pong)) => {}
            Ok(Some(Item::Text(text))) => self.frame(&text, now),
            Ok(Some(Item::Ping(payload))) => {
                connection.send_control(&codec::encode_pong(&payload), now);
                self.pace(1, now);
            }
            Ok(Some(Item::Close(code))) => {
                connection.close_with(codec::encode_close(code.unwrap_or(1000), ""), now);
            }
            Err(violation) => {
                let close = Close::ALL
                    .into_iter()
                    .find(|close| close.code() == violation.close_code());
                connection.close(close.unwrap_or(Close::ProtocolError), now);
            }
        }
    }
}
