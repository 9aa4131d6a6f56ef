//! The task of one connection: the only reader of its socket. It drains the outbox and drives the
//! dispatch of frames, so it stands above every other module of a connection's path.
//!
//! Written as a state machine by hand, since ten thousand of them wait at any moment and a byte here
//! is a byte ten thousand times. It holds no buffer: it reads into one that the thread's connections
//! share, and keeps only what it could not handle immediately. While a frame waits for something, the
//! socket is read on, up to a bound: what arrives is a sign of life.

mod io;
mod queued_work;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use roomcast_ports::back_off::BackOff;
use roomcast_protocol::limits::{AUTH_COST, READ_AHEAD_BYTES_MAX, WRITE_STALL_TIMEOUT};
use roomcast_protocol::{ClientFrame, CloseCode, ParsedFrame, ServerFrame, Timestamp, UserId};

use crate::clock::{Ticks, after, ticks};
use crate::codec::{self, Decoder};
use crate::connection::{self, Connection};
use crate::dispatch::{DeferredWork, FrameHandler, HandlerResult, Outcome};
use crate::hub::UserConnection;
use crate::hub::users::{Registered, User};
use crate::session::{self, Activity, AuthResult, ConnectionState, Due, FrameAction, RequestRef};
use crate::state::GatewayState;
use queued_work::QueuedWork;

/// Bytes per read, into the thread's buffer.
const READ_BYTES: usize = READ_AHEAD_BYTES_MAX;
/// Frames in a row before other connections have their turn.
const FRAMES_PER_TURN: usize = 32;
/// Reads in a row before other connections have their turn.
const READS_MAX: usize = 8;
/// Timeout of a partially written frame and the close frame after it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a closed connection may take to close on its side.
const LINGER_TIMEOUT: Duration = Duration::from_secs(3);
/// How much it may still send until then: what was on its way, but no flood.
const LINGER_BYTES: u32 = 2 << 20;
/// The longest delay until a sign-in is looked up again when the store gave no answer.
const REVALIDATE_RETRY_MAX: Duration = Duration::from_secs(10);
/// How often a sign-in is looked at again at most, and how soon after it could not be.
const REVALIDATE_INTERVAL_MIN: Duration = Duration::from_secs(1);

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// A connection's task.
pub(crate) struct Task {
    actor: FrameHandler,
    session: ConnectionState,
    decoder: Decoder,
    /// What the next frame waits for.
    work: Option<DeferredWork>,
    /// Bytes read but not dealt with yet, because of `work`.
    read_buffer: Option<Box<ReadBuffer>>,
    queued: Option<Box<QueuedWork>>,
    watched: Box<[UserId]>,
    ending: ClosePhase,
    /// The tick for which it stands in the wheel.
    wheel_at: Ticks,
}

/// At most [`READ_AHEAD_BYTES_MAX`]; boxed, since few connections have one.
#[derive(Debug)]
struct ReadBuffer {
    bytes: Vec<u8>,
}

impl ReadBuffer {
    fn of(bytes: &[u8]) -> Option<Box<Self>> {
        let bytes = bytes.to_vec();
        (!bytes.is_empty()).then(|| Box::new(Self { bytes }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClosePhase {
    No,
    /// Nothing is read for its meaning any more; the close frame is on its way.
    Closing {
        until: Ticks,
    },
    /// The close frame has gone out; what still comes is thrown away until the peer has closed too, but
    /// not more than `left` bytes of it.
    Lingering {
        until: Ticks,
        left: u32,
    },
}

/// Whether the connection continues.
enum PollResult {
    Continue,
    /// Nothing more to do until something happens.
    Pending,
    End,
}

impl Task {
    /// A task for an upgraded socket; `early` are bytes that came with the handshake.
    pub(crate) fn new(
        shared: Arc<GatewayState>,
        connection: Arc<UserConnection>,
        early: &[u8],
    ) -> Self {
        let session = ConnectionState::anonymous(shared.clock.now());
        Self {
            actor: FrameHandler { shared, connection },
            session,
            decoder: Decoder::new(),
            work: None,
            read_buffer: ReadBuffer::of(early),
            queued: None,
            watched: Box::default(),
            ending: ClosePhase::No,
            wheel_at: 0,
        }
    }

    /// Greets a connection whose token was judged at the handshake.
    pub(crate) fn welcome(&mut self, caller: roomcast_ports::access::Caller) {
        self.finish(Outcome::Authenticated(caller, RequestRef::default()));
    }

    /// Asks the wheel to come by in time, unless it will anyway.
    pub(crate) fn schedule(&mut self) {
        let (shared, connection) = (&self.actor.shared, &self.actor.connection);
        let due = match self.ending {
            ClosePhase::No => self.session.next_due(activity(connection)),
            ClosePhase::Closing { until } | ClosePhase::Lingering { until, .. } => until,
        };
        // One place in the wheel, however often the deadlines change.
        let stands = self.wheel_at > shared.wheel.turned_to();
        if !stands || due < self.wheel_at {
            self.wheel_at = shared.wheel.schedule(Arc::downgrade(connection), due);
        }
    }

    fn tick(&mut self) -> PollResult {
        if !self.actor.connection.take_tick() {
            return PollResult::Continue;
        }
        if self.actor.connection.take_recheck() {
            self.session.revalidate_now();
        }
        let now = self.actor.shared.clock.now();
        if let ClosePhase::Closing { until } | ClosePhase::Lingering { until, .. } = self.ending {
            if now >= until {
                return PollResult::End;
            }
        } else {
            self.run_due_timers(now);
            self.session.forget(now);
        }
        self.schedule();
        PollResult::Continue
    }

    fn run_due_timers(&mut self, now: Ticks) {
        let connection = self.actor.connection.clone();
        let stuck = connection.last_progress_at();
        if stuck.is_some_and(|since| now >= after(since, WRITE_STALL_TIMEOUT)) {
            connection.close(CloseCode::TooSlow, now);
        }
        if self.is_full() {
            // What it sends waits for us, not we for it.
            connection.record_received(now);
        }
        while let Some(due) = self.session.due(now, activity(&connection)) {
            match due {
                Due::Heartbeat => {
                    connection.send(&heartbeat(), now);
                    connection.record_sent(now);
                }
                Due::Ping => connection.send_control(&codec::encode_ping(b""), now),
                Due::TokenExpiring => {
                    if let Some(caller) = self.session.caller() {
                        let expires_at = caller.expires_at;
                        connection.send_frame(&ServerFrame::TokenExpiring { expires_at }, now);
                    }
                }
                Due::Revalidate => {
                    let caller = self.session.caller().cloned();
                    if let (None, Some(caller)) = (&self.work, caller) {
                        self.work = Some(self.actor.revalidate_session(caller));
                    } else {
                        self.session
                            .revalidated(now, ticks(REVALIDATE_INTERVAL_MIN));
                    }
                }
                Due::Close(close) => {
                    connection.close(close, now);
                    return;
                }
            }
        }
    }

    fn frame(&mut self, text: &str, now: Ticks) {
        let (verdict, echo) =
            session::check_frame(&mut self.session, ParsedFrame::parse(text), now);
        match verdict {
            FrameAction::Authenticate(token) => {
                let pause = self.session.pace(AUTH_COST, now);
                let judged = self.actor.authenticate(&token, echo.into_owned());
                self.work = Some(paused(pause, judged));
            }
            FrameAction::Act(ClientFrame::Subscribe {
                room_id: None,
                presence,
                rooms,
                ..
            }) => {
                let reference = echo.into_owned().reference;
                self.subscribe_each(&rooms, presence, reference);
            }
            FrameAction::Act(frame) => {
                let is_ping = matches!(frame, ClientFrame::Ping {});
                let user = self.actor.connection.user().cloned();
                let Some(user) = user else { return };
                match self.actor.handle_frame(&user, &self.watched, frame, echo) {
                    HandlerResult::Ready(done) => self.finish(done),
                    HandlerResult::Deferred(work) => self.work = Some(work),
                }
                if is_ping {
                    self.pace(1, now);
                }
            }
            FrameAction::Refuse(refusal, close) => {
                self.actor.refuse(&refusal, echo);
                if let Some(close) = close {
                    self.actor.connection.close(close, now);
                }
            }
            FrameAction::Close(close) => self.actor.connection.close(close, now),
        }
    }

    /// Lets the connection pause if it has sent too much of what is never refused.
    fn pace(&mut self, cost: u32, now: Ticks) {
        let pause = self.session.pace(cost, now);
        if !pause.is_zero() {
            self.work = Some(paused(pause, Box::pin(async { Outcome::Nothing })));
        }
    }

    /// Takes what a frame came to.
    fn finish(&mut self, done: Outcome) {
        let now = self.actor.shared.clock.now();
        match done {
            Outcome::Nothing => {}
            Outcome::Refused(refusal, echo) => {
                let close = self.session.refused(&refusal, now);
                self.actor.refuse(&refusal, echo);
                if let Some(close) = close {
                    self.actor.connection.close(close, now);
                }
            }
            Outcome::Rechecked => self.session.revalidated(now, self.revalidate_interval()),
            Outcome::NotRechecked => {
                // Drawn without a state of its own: connections are many.
                let delay = BackOff::new(REVALIDATE_RETRY_MAX, REVALIDATE_RETRY_MAX).next_delay();
                let delay = ticks(delay.max(REVALIDATE_INTERVAL_MIN));
                let again = self.revalidate_interval().min(delay);
                self.session.revalidated(now, again);
            }
            Outcome::Watching(user_ids) => {
                let before = std::mem::replace(&mut self.watched, user_ids.into());
                let gone: Vec<UserId> = before
                    .into_iter()
                    .filter(|user_id| !self.watched.contains(user_id))
                    .collect();
                self.actor
                    .shared
                    .hub
                    .watchers
                    .unwatch(&self.actor.connection, &gone);
            }
            Outcome::Replaying(replay, rest) => {
                self.queue_replay(replay);
                self.finish(*rest);
            }
            Outcome::Close(close) => self.actor.connection.close(close, now),
            Outcome::Authenticated(caller, echo) => self.authenticated(caller, echo, now),
        }
    }

    fn revalidate_interval(&self) -> Ticks {
        ticks(
            self.actor
                .shared
                .config
                .token_recheck
                .max(REVALIDATE_INTERVAL_MIN),
        )
    }

    fn authenticated(
        &mut self,
        caller: roomcast_ports::access::Caller,
        echo: RequestRef<'static>,
        now: Ticks,
    ) {
        let (user_id, session_id) = (caller.user_id.clone(), caller.session_id.clone());
        let expires_at = caller.expires_at;
        let every = self.revalidate_interval();
        match self
            .session
            .authenticated(caller, &self.actor.shared.clock, every)
        {
            AuthResult::UserMismatch => self.actor.connection.close(CloseCode::Unauthorized, now),
            AuthResult::Refreshed => {
                if let Some(user) = self.actor.connection.user() {
                    self.actor.connection.identify(user, session_id.clone());
                }
                let (shared, connection) = (&self.actor.shared, &self.actor.connection);
                let (recent, now) = (&shared.revocations, shared.clock.now());
                recent.check(connection, session_id.as_ref(), now);
                let frame = ServerFrame::Authenticated {
                    reference: echo.reference,
                    expires_at,
                };
                self.actor.connection.send_frame(&frame, now);
                self.actor.connection.request_tick();
            }
            AuthResult::First => self.greet(&user_id, session_id, echo, now),
        }
    }

    fn greet(
        &mut self,
        user_id: &UserId,
        session_id: Option<roomcast_protocol::SessionId>,
        echo: RequestRef<'static>,
        now: Ticks,
    ) {
        let (shared, connection) = (self.actor.shared.clone(), self.actor.connection.clone());
        let most = shared.config.connections_per_user_max;
        let welcome = ServerFrame::Welcome {
            reference: echo.reference,
            connection_id: connection.id(),
            user_id: user_id.clone(),
            protocol: 1,
            server_time: Timestamp::now(),
            heartbeat_ms: u64::try_from(roomcast_protocol::limits::HEARTBEAT_INTERVAL.as_millis())
                .unwrap_or(u64::MAX),
            limits: shared.config.limits(),
        };
        let greet = |user: &Arc<User>| {
            connection.identify(user, session_id.clone());
            connection.send_frame(&welcome, now);
        };
        let (user, registered) = shared.hub.register(user_id, &connection, most, now, greet);
        if registered == Registered::TooMany {
            connection.close(CloseCode::TooManyConnections, now);
            return;
        }
        shared.hub.newcomers.remove(&connection);
        shared.active_sessions.increment(1.0);
        let recent = &shared.revocations;
        recent.check(&connection, session_id.as_ref(), shared.clock.now());
        // A token that ends soon is announced immediately, not when the first frame would have been late.
        connection.request_tick();
        let actor = self.actor.clone();
        self.work = Some(Box::pin(async move {
            actor
                .on_connected(&user, registered == Registered::First)
                .await;
            Outcome::Nothing
        }));
    }
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.actor.connection.register(cx.waker());
        loop {
            if this.actor.connection.has_failed() {
                return Poll::Ready(());
            }
            if matches!(this.tick(), PollResult::End) {
                return Poll::Ready(());
            }
            match this.flush(cx) {
                PollResult::End => return Poll::Ready(()),
                PollResult::Continue => {}
                // Reading continues while the kernel's buffer is full, within a bound.
                PollResult::Pending if this.ending != ClosePhase::No => return Poll::Pending,
                PollResult::Pending => {}
            }
            if let Some(work) = &mut this.work {
                match work.as_mut().poll(cx) {
                    Poll::Ready(done) => {
                        this.work = None;
                        this.finish(done);
                        this.subscribe_next();
                        continue;
                    }
                    Poll::Pending => {
                        let refused = this.actor.connection.take_unanswered_refused();
                        this.actor.answer_refused(refused);
                    }
                }
            }
            if matches!(this.poll_queued(cx), PollResult::Continue) {
                continue;
            }
            match this.read(cx) {
                PollResult::End => return Poll::Ready(()),
                PollResult::Pending => return Poll::Pending,
                PollResult::Continue => {}
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let (shared, connection) = (&self.actor.shared, &self.actor.connection);
        connection.mark_gone();
        shared.hub.watchers.unwatch(connection, &self.watched);
        let subscriptions = std::mem::take(&mut *connection.subscriptions());
        if let Some(user) = connection.user() {
            shared.hub.unregister(user, connection, &subscriptions);
            shared
                .presence_reporter
                .report_offline(user.id.clone(), connection.id());
            shared.active_sessions.decrement(1.0);
        } else {
            shared.hub.newcomers.remove(connection);
        }
    }
}

/// The work, after a pause if there is to be one.
fn paused(pause: Duration, work: DeferredWork) -> DeferredWork {
    if pause.is_zero() {
        return work;
    }
    Box::pin(async move {
        tokio::time::sleep(pause).await;
        work.await
    })
}

fn activity(connection: &Connection) -> Activity {
    Activity {
        heard_at: connection.heard_at(),
        spoke_at: connection.spoke_at(),
        moved_at: connection.last_progress_at(),
    }
}

fn heartbeat() -> bytes::Bytes {
    static FRAME: std::sync::OnceLock<bytes::Bytes> = std::sync::OnceLock::new();
    FRAME
        .get_or_init(|| connection::encode(&ServerFrame::Heartbeat {}))
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_connection_is_small() {
        // Ten thousand of them wait at any moment; the figures are what is needed, and a little.
        assert!(size_of::<Task>() <= 136, "{}", size_of::<Task>());
        assert!(
            size_of::<UserConnection>() <= 192,
            "{}",
            size_of::<UserConnection>()
        );
    }
}
