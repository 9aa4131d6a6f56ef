//! Socket I/O of a connection's task: flushes the outbox, reads and decodes frames.

use std::io;
use std::task::{Context, Poll};

use roomcast_protocol::CloseCode;
use roomcast_protocol::limits::READ_AHEAD_BYTES_MAX;

use super::{
    CLOSE_TIMEOUT, ClosePhase, FRAMES_PER_TURN, LINGER_BYTES, LINGER_TIMEOUT, PollResult,
    READ_BYTES, READS_MAX, ReadBuffer, SCRATCH, Task,
};
use crate::clock::{Ticks, after};
use crate::codec::{self, Message, ProtocolError};

impl Task {
    /// Writes what waits; the connection begins to end when a close frame is among it.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> PollResult {
        let now = self.actor.shared.clock.now();
        let (flushed, is_closing) = self.actor.connection.poll_flush(now, cx);
        if is_closing && self.ending == ClosePhase::No {
            self.begin_closing(now);
        }
        match flushed {
            Poll::Pending => return PollResult::Pending,
            Poll::Ready(Err(_)) => return PollResult::End,
            Poll::Ready(Ok(())) => {}
        }
        if let ClosePhase::Closing { .. } = self.ending {
            // Half a close: closing whole with unread bytes would reset the connection, and the
            // client might never read why.
            if self.actor.connection.shutdown_write().is_err() {
                return PollResult::End;
            }
            self.ending = ClosePhase::Lingering {
                until: after(now, LINGER_TIMEOUT),
                left: LINGER_BYTES,
            };
            self.schedule();
        }
        PollResult::Continue
    }

    /// Stops handling frames. What they wait for is dropped here, where no lock is held: it may hold a room
    /// in the hub, and a room is locked before its connections.
    fn begin_closing(&mut self, now: Ticks) {
        self.ending = ClosePhase::Closing {
            until: after(now, CLOSE_TIMEOUT),
        };
        self.work = None;
        self.read_buffer = None;
        self.queued = None;
        self.schedule();
    }

    /// Whether as much has been read ahead as may be.
    pub(super) fn is_full(&self) -> bool {
        let backlog = self.read_buffer.as_ref();
        backlog.is_some_and(|backlog| backlog.bytes.len() >= READ_AHEAD_BYTES_MAX)
    }

    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> PollResult {
        if self.work.is_none()
            && self.ending == ClosePhase::No
            && let Some(mut backlog) = self.read_buffer.take()
        {
            self.process_bytes(&mut backlog.bytes);
            return self.yield_turn(cx);
        }
        for _ in 0..READS_MAX {
            if self.is_full() {
                return PollResult::Pending;
            }
            match self.actor.connection.poll_read_ready(cx) {
                Poll::Pending => {
                    // What has been read behind a frame that waits is still to be judged.
                    if self.work.is_none() {
                        let refused = self.actor.connection.take_all_refused();
                        self.actor.answer_refused(refused);
                    }
                    return PollResult::Pending;
                }
                Poll::Ready(Err(_)) => return PollResult::End,
                Poll::Ready(Ok(())) => {}
            }
            let was_working = self.work.is_some();
            let flow = SCRATCH.with_borrow_mut(|scratch| self.read_once(scratch));
            if self.read_buffer.is_some() && self.work.is_none() {
                return self.yield_turn(cx);
            }
            if !matches!(flow, PollResult::Continue)
                || self.work.is_some() != was_working
                || self.actor.connection.is_closing()
            {
                return flow;
            }
        }
        cx.waker().wake_by_ref();
        PollResult::Pending
    }

    /// Continues immediately, or at the next turn if much has been dealt with in this one.
    fn yield_turn(&self, cx: &Context<'_>) -> PollResult {
        if self.read_buffer.is_none() || self.work.is_some() {
            return PollResult::Continue;
        }
        cx.waker().wake_by_ref();
        PollResult::Pending
    }

    /// Reads into `scratch` and deals with it; behind a frame that waits it is kept for later.
    fn read_once(&mut self, scratch: &mut [u8]) -> PollResult {
        let kept = self.read_buffer.as_ref().map_or(0, |held| held.bytes.len());
        let scratch = &mut scratch[..READ_BYTES - kept];
        match self.actor.connection.try_read(scratch) {
            // What it sent before it left is dealt with first.
            Ok(0) if self.work.is_some() => PollResult::Pending,
            Ok(0) => PollResult::End,
            Ok(count) => {
                if self.ending == ClosePhase::No {
                    let now = self.actor.shared.clock.now();
                    self.actor.connection.record_received(now);
                    if self.work.is_none() {
                        self.process_bytes(&mut scratch[..count]);
                    } else if let Some(backlog) = &mut self.read_buffer {
                        backlog.bytes.extend_from_slice(&scratch[..count]);
                    } else {
                        self.read_buffer = ReadBuffer::of(&scratch[..count]);
                    }
                }
                self.discard(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => PollResult::Continue,
            Err(_) => PollResult::End,
        }
    }

    /// Counts what came after the close.
    fn discard(&mut self, count: usize) -> PollResult {
        if let ClosePhase::Lingering { left, .. } = &mut self.ending {
            *left = left.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
            if *left == 0 {
                return PollResult::End;
            }
        }
        PollResult::Continue
    }

    /// Deals with bytes from the client until something must be waited for or other connections have their
    /// turn; keeps the rest.
    fn process_bytes(&mut self, bytes: &mut [u8]) {
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
            self.read_buffer = ReadBuffer::of(input);
        }
    }

    fn handle(&mut self, item: Result<Option<Message<'_>>, ProtocolError>) {
        let now = self.actor.shared.clock.now();
        let connection = &self.actor.connection;
        match item {
            Ok(None | Some(Message::Pong)) => {}
            Ok(Some(Message::Text(text))) => self.frame(&text, now),
            Ok(Some(Message::Ping(payload))) => {
                connection.send_control(&codec::encode_pong(&payload), now);
                self.pace(1, now);
            }
            Ok(Some(Message::Close(code))) => {
                connection.close_with(codec::encode_close(code.unwrap_or(1000), ""), now);
            }
            Err(violation) => {
                let close = CloseCode::ALL
                    .into_iter()
                    .find(|close| close.code() == violation.close_code());
                connection.close(close.unwrap_or(CloseCode::ProtocolError), now);
            }
        }
    }
}
