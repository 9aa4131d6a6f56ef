//! One client connection: the socket, its outbox, and the sends that wait for an ack.
//!
//! Senders write frames directly to the socket, without waking a task or
//! copying a byte; only what the kernel does not take waits in the [`outbox`], which the connection's
//! [task](crate::task) drains. The task is the only reader.

pub(crate) mod outbox;
pub(crate) mod own_actions;
pub(crate) mod send_order;
pub(crate) mod sender_clock;

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use roomcast_protocol::limits::{CLIENT_IDLE_PING_AFTER, HEARTBEAT_INTERVAL, OUTBOX_BYTES_FAIR};
use roomcast_protocol::{CloseCode, ConnectionId, PresenceStatus, ServerFrame, SessionId};
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::clock::{Ticks, after, ticks};
use crate::codec;
use crate::lock::lock;
use crate::outbound;
use outbox::{Outbox, Pushed};
use own_actions::OwnAction;
use send_order::Refused;
use sender_clock::SenderClock;

/// A socket with what is waiting for it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    parts: Mutex<Parts>,
    waker: AtomicWaker,
    number: uuid::Uuid,
    /// Sends that the log has not answered.
    unacknowledged: AtomicU16,
    /// Sends whose answer has not been given to the socket: as many, and one for each thread at most.
    unanswered: AtomicU16,
    last_received_at: AtomicU32,
    spoke_at: AtomicU32,
    ticked: AtomicBool,
    /// The session is to be looked up again now.
    recheck: AtomicBool,
    /// The socket failed.
    dead: AtomicBool,
    /// The task has ended.
    gone: AtomicBool,
    status: AtomicU8,
    /// A close frame has been queued.
    closing: AtomicBool,
    /// [`Rare::refused`] has something.
    has_refused: AtomicBool,
    /// What its ids show of its client's clock.
    pub(crate) sender_clock: SenderClock,
}

/// What changes behind one lock, which is held for moments and under which no other is taken: each lock
/// costs eight bytes.
#[derive(Debug, Default)]
struct Parts {
    outbox: Outbox,
    session_id: Option<SessionId>,
    /// What most connections never have.
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    refused: Option<Refused>,
    own_acts: VecDeque<OwnAction>,
}

const ONLINE: u8 = 0;
const AWAY: u8 = 1;

impl Connection {
    pub(crate) fn new(stream: TcpStream, now: Ticks) -> Self {
        Self {
            stream,
            parts: Mutex::default(),
            waker: AtomicWaker::new(),
            number: uuid::Uuid::now_v7(),
            unacknowledged: AtomicU16::new(0),
            unanswered: AtomicU16::new(0),
            last_received_at: AtomicU32::new(now),
            spoke_at: AtomicU32::new(now),
            ticked: AtomicBool::new(false),
            recheck: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            status: AtomicU8::new(ONLINE),
            closing: AtomicBool::new(false),
            has_refused: AtomicBool::new(false),
            sender_clock: SenderClock::default(),
        }
    }

    pub(crate) fn id(&self) -> ConnectionId {
        ConnectionId::new(&self.number.to_string()).expect("a UUID is an id")
    }

    /// Sets the session of the last token.
    pub(crate) fn set_session(&self, session_id: Option<SessionId>) {
        lock(&self.parts).session_id = session_id;
    }

    /// Whether it came from this sign-in.
    pub(crate) fn is_of_session(&self, session_id: &SessionId) -> bool {
        lock(&self.parts).session_id.as_ref() == Some(session_id)
    }

    /// Has the sign-in looked up again, and the connection closed if it has ended.
    pub(crate) fn recheck_session(&self) {
        self.recheck.store(true, Ordering::Release);
        self.wake_for_tick();
    }

    /// Sends a frame's bytes, in order with everything sent before. Never waits: past the outbox's
    /// bounds the connection closes with [`CloseCode::TooSlow`].
    pub(crate) fn send(&self, frame: &Bytes, now: Ticks) {
        if self.write(frame, now) {
            self.record_sent(now);
        }
    }

    /// Sends a control frame of RFC 6455, as [`send`](Self::send) does. A browser shows those to no
    /// script, so they do not stand in for a heartbeat.
    pub(crate) fn send_control(&self, frame: &Bytes, now: Ticks) {
        self.write(frame, now);
    }

    /// Whether all of it is with the kernel already.
    fn write(&self, frame: &Bytes, now: Ticks) -> bool {
        let mut parts = lock(&self.parts);
        if self.is_closing() {
            return false;
        }
        let outbox = &mut parts.outbox;
        if outbox.is_empty() {
            match self.stream.try_write(frame) {
                Ok(written) if written == frame.len() => return true,
                Ok(written) => outbox.start(frame.slice(written..), now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    outbox.start(frame.clone(), now);
                }
                Err(_) => self.dead.store(true, Ordering::Release),
            }
            drop(parts);
            self.waker.wake();
        } else if !may_queue(outbox.bytes() + frame.len())
            || outbox.push(frame.clone()) == Pushed::OverBounds
        {
            drop(parts);
            self.close(CloseCode::TooSlow, now);
        }
        false
    }

    /// When the client last sent something.
    pub(crate) fn heard_at(&self) -> Ticks {
        self.last_received_at.load(Ordering::Relaxed)
    }

    /// When a frame was last sent that a script can receive.
    pub(crate) fn spoke_at(&self) -> Ticks {
        self.spoke_at.load(Ordering::Relaxed)
    }

    /// A frame that a script can receive was sent.
    pub(crate) fn record_sent(&self, at: Ticks) {
        self.spoke_at.store(at, Ordering::Relaxed);
    }

    /// Takes a sign of life, unless a later one is known.
    pub(crate) fn record_received(&self, at: Ticks) {
        self.last_received_at.fetch_max(at, Ordering::Relaxed);
    }

    /// Sends a frame that is for this connection alone.
    pub(crate) fn send_frame(&self, frame: &ServerFrame<'_>, now: Ticks) {
        self.send(&encode(frame), now);
    }

    /// Closes: a partially written frame is finished, queued ones are dropped, the close frame follows.
    pub(crate) fn close(&self, close: CloseCode, now: Ticks) {
        metrics::counter!("chat_ws_closes_total", "reason" => close.name()).increment(1);
        self.close_with(codec::encode_close(close.code(), close.reason()), now);
    }

    /// Answers the client's own close.
    pub(crate) fn close_with(&self, frame: Bytes, now: Ticks) {
        let mut parts = lock(&self.parts);
        if !self.closing.swap(true, Ordering::AcqRel) {
            parts.outbox.close(frame, now);
        }
        drop(parts);
        self.waker.wake();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Bytes that the kernel has not taken yet.
    pub(crate) fn queued_bytes(&self) -> usize {
        lock(&self.parts).outbox.bytes()
    }

    /// When the kernel last took something, while bytes wait.
    pub(crate) fn last_progress_at(&self) -> Option<Ticks> {
        lock(&self.parts).outbox.last_progress_at()
    }

    /// Wakes the task to look at its deadlines.
    pub(crate) fn wake_for_tick(&self) {
        self.request_tick();
        self.waker.wake();
    }

    /// Has the task look at its deadlines when it is polled next.
    pub(crate) fn request_tick(&self) {
        self.ticked.store(true, Ordering::Release);
    }

    /// Whether the task is to look at its deadlines; it is asked once.
    pub(crate) fn take_tick(&self) -> bool {
        self.ticked.swap(false, Ordering::AcqRel)
    }

    /// Whether the session is to be looked up again; the task is asked once.
    pub(crate) fn take_recheck(&self) -> bool {
        self.recheck.swap(false, Ordering::AcqRel)
    }

    /// One more send waits for its acknowledgement.
    pub(crate) fn send_started(&self) {
        self.unacknowledged.fetch_add(1, Ordering::AcqRel);
        self.unanswered.fetch_add(1, Ordering::AcqRel);
    }

    /// The log has answered a send. Called before the `ACK` is written: the client may send the next one the
    /// moment it arrives.
    pub(crate) fn send_committed(&self) {
        self.unacknowledged.fetch_sub(1, Ordering::AcqRel);
    }

    /// The `ACK` or `ERROR` has been written.
    pub(crate) fn ack_written(&self) {
        self.unanswered.fetch_sub(1, Ordering::AcqRel);
    }

    /// How many sends the log has not answered.
    pub(crate) fn unacknowledged(&self) -> u16 {
        self.unacknowledged.load(Ordering::Acquire)
    }

    /// Whether a send still waits for its answer.
    pub(crate) fn has_unwritten_ack(&self) -> bool {
        self.unanswered.load(Ordering::Acquire) > 0
    }

    /// Whether the socket has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// The task has ended.
    pub(crate) fn mark_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(crate) fn status(&self) -> PresenceStatus {
        if self.status.load(Ordering::Relaxed) == AWAY {
            PresenceStatus::Away
        } else {
            PresenceStatus::Online
        }
    }

    pub(crate) fn set_status(&self, status: PresenceStatus) {
        let code = if status == PresenceStatus::Away {
            AWAY
        } else {
            ONLINE
        };
        self.status.store(code, Ordering::Relaxed);
    }
}

/// What the task of the connection does with the socket.
impl Connection {
    /// Sets the task that is woken when there is something to do.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Writes what waits, until the kernel takes no more. Also returns whether a close frame was among
    /// what waits or has been written: read under the outbox's lock, so that it is exact.
    pub(crate) fn poll_flush(
        &self,
        now: Ticks,
        cx: &mut Context<'_>,
    ) -> (Poll<io::Result<()>>, bool) {
        loop {
            let outbox = &mut lock(&self.parts).outbox;
            let is_closing = self.is_closing();
            if outbox.is_empty() {
                return (Poll::Ready(Ok(())), is_closing);
            }
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                stopped => return (stopped, is_closing),
            }
            let since = outbox.waiting_since();
            match outbox.write(now, |slices| self.stream.try_write_vectored(slices)) {
                Ok(()) => self.record_sent(now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return (Poll::Ready(Err(error)), is_closing),
            }
            if outbox.is_empty()
                && since.is_some_and(|since| now >= after(since, HEARTBEAT_INTERVAL))
            {
                // The client accepted bytes all the time; from here on its frames can show that it is alive.
                self.record_received(now.saturating_sub(ticks(CLIENT_IDLE_PING_AFTER)));
            }
        }
    }

    /// Resolves when the socket has something to read.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    /// Reads what the kernel has.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buffer)
    }

    /// Closes the sending half of the socket.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write)
    }
}

/// Whether so many bytes may wait for one connection, for all that the process has to send.
fn may_queue(bytes: usize) -> bool {
    let too_much = bytes > OUTBOX_BYTES_FAIR && outbound::is_over();
    if too_much {
        outbound::refused("connection");
    }
    !too_much
}

/// A frame as it goes over the wire, made once for all who get it.
pub(crate) fn encode(frame: &ServerFrame<'_>) -> Bytes {
    codec::encode_text_with(frame.encoded_len(), |out| frame.write_json(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codec_takes_messages_as_long_as_frames_may_be() {
        assert_eq!(
            codec::MESSAGE_BYTES_MAX,
            roomcast_protocol::limits::FRAME_BYTES_MAX
        );
    }
}
