//! The task of one connection: the only reader of its socket, and who drains its outbox.
//!
//! Written as a state machine by hand, since ten thousand of them wait at any moment and a byte here
//! is a byte ten thousand times. It holds no buffer: it reads into one that the thread's connections
//! share, and keeps only what it could not deal with at once.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use roomcast_protocol::{Close, Decoded, FleetFrame, Timestamp, UserId};
use socket2::SockRef;

use super::Connection;
use crate::Shared;
use crate::act::{Actor, Begun, Done, Work};
use crate::clock::{Seconds, seconds};
use crate::codec::{self, Decoder, Item, Violation};
use crate::hub::users::{Registered, User};
use crate::lock::lock;
use crate::session::{self, Authenticated, Due, Echo, Session, Verdict};

/// Bytes read at once, into the thread's buffer.
const READ_BYTES: usize = 16 << 10;
/// Reads in a row before other connections have their turn.
const READS_MAX: usize = 8;
/// How long what has begun to go out, and the close frame after it, may take.
const CLOSING_SECONDS: Seconds = 30;
/// How long a closed connection may take to close on its side.
const LINGER_SECONDS: Seconds = 3;
/// Seconds until a sign-in is looked up again when the store gave no answer.
const RECHECK_AGAIN_SECONDS: Seconds = 5;
/// How long the kernel may take nothing before the client counts as too slow.
const STUCK_SECONDS: Seconds = 20;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// A connection's task.
pub(crate) struct Task {
    actor: Actor,
    session: Session,
    decoder: Decoder,
    /// What the next frame waits for.
    work: Option<Work>,
    /// Bytes read but not dealt with yet, because of `work`.
    backlog: Vec<u8>,
    watched: Vec<UserId>,
    ending: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    No,
    /// Nothing is read for its meaning any more; the close frame is on its way.
    Closing {
        until: Seconds,
    },
    /// The close frame has gone out; what still comes is thrown away until the peer has closed too.
    Lingering {
        until: Seconds,
    },
}

/// Whether the connection goes on.
enum Flow {
    GoOn,
    /// Nothing more to do until something happens.
    Wait,
    End,
}

impl Task {
    /// A task for an upgraded socket; `early` are bytes that came with the handshake.
    pub(crate) fn new(shared: Arc<Shared>, connection: Arc<Connection>, early: &[u8]) -> Self {
        let session = Session::anonymous(shared.clock.now());
        Self {
            actor: Actor { shared, connection },
            session,
            decoder: Decoder::new(),
            work: None,
            backlog: early.to_vec(),
            watched: Vec::new(),
            ending: Ending::No,
        }
    }

    /// Greets a connection whose token was judged at the handshake.
    pub(crate) fn welcome(&mut self, caller: roomcast_ports::access::Caller) {
        self.finish(Done::Authenticated(caller, Echo::default()));
    }

    /// Asks the wheel to come by for the first time.
    pub(crate) fn schedule(&self) {
        let (shared, connection) = (&self.actor.shared, &self.actor.connection);
        let (heard, spoke) = times(connection);
        let due = match self.ending {
            Ending::No => self.session.next_due(heard, spoke),
            Ending::Closing { until } | Ending::Lingering { until } => until,
        };
        shared
            .wheel
            .schedule(Arc::downgrade(connection), shared.clock.now(), due);
    }

    fn tick(&mut self) -> Flow {
        if !self.actor.connection.ticked.swap(false, Ordering::AcqRel) {
            return Flow::GoOn;
        }
        if self.actor.connection.recheck.swap(false, Ordering::AcqRel) {
            self.session.recheck_now();
        }
        let now = self.actor.shared.clock.now();
        if let Ending::Closing { until } | Ending::Lingering { until } = self.ending {
            if now >= until {
                return Flow::End;
            }
        } else {
            self.look_at_deadlines(now);
        }
        self.schedule();
        Flow::GoOn
    }

    fn look_at_deadlines(&mut self, now: Seconds) {
        let connection = self.actor.connection.clone();
        let stuck = lock(&connection.outbox).stuck_since();
        if stuck.is_some_and(|since| now >= since + STUCK_SECONDS) {
            connection.close(Close::TooSlow, now);
        }
        loop {
            let (heard, spoke) = times(&connection);
            match self.session.due(now, heard, spoke) {
                None => return,
                Some(Due::Heartbeat) => {
                    connection.send(&heartbeat(), now);
                    connection.spoke_at.store(now, Ordering::Relaxed);
                }
                Some(Due::TokenExpiring) => {
                    if let Some(caller) = self.session.caller() {
                        connection.say(
                            &FleetFrame::TokenExpiring {
                                expires_at: caller.expires_at,
                            },
                            now,
                        );
                    }
                }
                Some(Due::Recheck) => {
                    let caller = self.session.caller().cloned();
                    if let (None, Some(caller)) = (&self.work, caller) {
                        self.work = Some(self.actor.recheck(caller));
                    } else {
                        self.session.rechecked(now, 1);
                    }
                }
                Some(Due::Close(close)) => {
                    connection.close(close, now);
                    return;
                }
            }
        }
    }

    /// Writes what waits; the connection begins to end when a close frame is among it.
    fn flush(&mut self, cx: &mut Context<'_>) -> Flow {
        let connection = &self.actor.connection;
        let now = self.actor.shared.clock.now();
        loop {
            let mut outbox = lock(&connection.outbox);
            if outbox.is_closing() && self.ending == Ending::No {
                self.ending = Ending::Closing {
                    until: now + CLOSING_SECONDS,
                };
                self.work = None;
                self.backlog = Vec::new();
                self.actor.shared.wheel.schedule(
                    Arc::downgrade(connection),
                    now,
                    now + LINGER_SECONDS,
                );
            }
            if outbox.is_empty() {
                break;
            }
            match connection.stream.poll_write_ready(cx) {
                Poll::Pending => return Flow::Wait,
                Poll::Ready(Err(_)) => return Flow::End,
                Poll::Ready(Ok(())) => {}
            }
            match outbox.write(now, |slices| connection.stream.try_write_vectored(slices)) {
                Ok(()) => connection.spoke_at.store(now, Ordering::Relaxed),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Flow::End,
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
                until: now + LINGER_SECONDS,
            };
        }
        Flow::GoOn
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Flow {
        if self.ending == Ending::No && !self.backlog.is_empty() {
            let mut backlog = std::mem::take(&mut self.backlog);
            self.take(&mut backlog);
            return Flow::GoOn;
        }
        for _ in 0..READS_MAX {
            match self.actor.connection.stream.poll_read_ready(cx) {
                Poll::Pending => {
                    let refused = self.actor.connection.send_order.take_all();
                    self.actor.answer_refused(refused);
                    return Flow::Wait;
                }
                Poll::Ready(Err(_)) => return Flow::End,
                Poll::Ready(Ok(())) => {}
            }
            let flow = SCRATCH.with_borrow_mut(|scratch| {
                match self.actor.connection.stream.try_read(scratch) {
                    Ok(0) => Flow::End,
                    Ok(count) => {
                        if self.ending == Ending::No {
                            let now = self.actor.shared.clock.now();
                            self.actor.connection.heard_at.store(now, Ordering::Relaxed);
                            self.take(&mut scratch[..count]);
                        }
                        Flow::GoOn
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Flow::GoOn,
                    Err(_) => Flow::End,
                }
            });
            if matches!(flow, Flow::End)
                || self.work.is_some()
                || self.actor.connection.is_closing()
            {
                return flow;
            }
        }
        cx.waker().wake_by_ref();
        Flow::Wait
    }

    /// Deals with bytes from the client until something must be waited for; keeps the rest.
    fn take(&mut self, bytes: &mut [u8]) {
        let mut input = bytes;
        while self.work.is_none() && !self.actor.connection.is_closing() {
            let item = self.decoder.next(&mut input);
            if matches!(item, Ok(None)) {
                break;
            }
            self.handle(item);
        }
        if self.work.is_some() {
            self.backlog = input.to_vec();
        }
    }

    fn handle(&mut self, item: Result<Option<Item<'_>>, Violation>) {
        let now = self.actor.shared.clock.now();
        let connection = &self.actor.connection;
        match item {
            Ok(None | Some(Item::Pong)) => {}
            Ok(Some(Item::Text(text))) => self.frame(&text, now),
            Ok(Some(Item::Ping(payload))) => connection.send(&codec::encode_pong(&payload), now),
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

    fn frame(&mut self, text: &str, now: Seconds) {
        let (verdict, echo) = session::judge(&mut self.session, Decoded::read(text), now);
        match verdict {
            Verdict::Authenticate(token) => {
                self.work = Some(self.actor.authenticate(&token, echo.into_owned()));
            }
            Verdict::Act(frame) => {
                let user = self.actor.connection.user().cloned();
                let Some(user) = user else { return };
                match self.actor.begin(&user, &self.watched, frame, echo) {
                    Begun::Done(done) => self.finish(done),
                    Begun::Work(work) => self.work = Some(work),
                }
            }
            Verdict::Refuse(refusal, close) => {
                self.actor.refuse(&refusal, echo);
                if let Some(close) = close {
                    self.actor.connection.close(close, now);
                }
            }
            Verdict::Close(close) => self.actor.connection.close(close, now),
        }
    }

    /// Takes what a frame came to.
    fn finish(&mut self, done: Done) {
        let now = self.actor.shared.clock.now();
        match done {
            Done::Nothing => {}
            Done::Refused(refusal, echo) => {
                let close = self.session.refused(&refusal, now);
                self.actor.refuse(&refusal, echo);
                if let Some(close) = close {
                    self.actor.connection.close(close, now);
                }
            }
            Done::Rechecked => self.session.rechecked(now, self.recheck_every()),
            Done::NotRechecked => {
                let again = self.recheck_every().min(RECHECK_AGAIN_SECONDS);
                self.session.rechecked(now, again);
            }
            Done::Watching(user_ids) => {
                let before = std::mem::replace(&mut self.watched, user_ids);
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
            Done::Close(close) => self.actor.connection.close(close, now),
            Done::Authenticated(caller, echo) => self.authenticated(caller, echo, now),
        }
    }

    fn recheck_every(&self) -> Seconds {
        seconds(self.actor.shared.config.token_recheck).max(1)
    }

    fn authenticated(
        &mut self,
        caller: roomcast_ports::access::Caller,
        echo: Echo<'static>,
        now: Seconds,
    ) {
        let (user_id, session_id) = (caller.user_id.clone(), caller.session_id.clone());
        let expires_at = caller.expires_at;
        let every = self.recheck_every();
        match self
            .session
            .authenticated(caller, &self.actor.shared.clock, every)
        {
            Authenticated::AnotherUser => self.actor.connection.close(Close::Unauthorized, now),
            Authenticated::Renewed => {
                if let Some(user) = self.actor.connection.user() {
                    self.actor.connection.identify(user, session_id.clone());
                }
                let (shared, connection) = (&self.actor.shared, &self.actor.connection);
                shared.check_recent_revocations(connection, session_id.as_ref());
                let frame = FleetFrame::Authenticated {
                    reference: echo.reference,
                    expires_at,
                };
                self.actor.connection.say(&frame, now);
                self.actor.connection.ticked.store(true, Ordering::Release);
            }
            Authenticated::Welcome => self.greet(&user_id, session_id, echo, now),
        }
    }

    fn greet(
        &mut self,
        user_id: &UserId,
        session_id: Option<roomcast_protocol::SessionId>,
        echo: Echo<'static>,
        now: Seconds,
    ) {
        let (shared, connection) = (self.actor.shared.clone(), self.actor.connection.clone());
        let most = shared.config.connections_per_user_max;
        let welcome = FleetFrame::Welcome {
            reference: echo.reference,
            connection_id: connection.id(),
            user_id: user_id.clone(),
            protocol: 1,
            server_time: Timestamp::now(),
            heartbeat_ms: u64::try_from(roomcast_protocol::limits::HEARTBEAT.as_millis())
                .unwrap_or(u64::MAX),
            limits: shared.config.limits(),
        };
        let greet = |user: &Arc<User>| {
            connection.identify(user, session_id.clone());
            connection.say(&welcome, now);
        };
        let (user, registered) = shared.hub.register(user_id, &connection, most, greet);
        if registered == Registered::TooMany {
            connection.close(Close::TooManyConnections, now);
            return;
        }
        shared.metrics.active_sessions.increment(1.0);
        shared.check_recent_revocations(&connection, session_id.as_ref());
        // A token that ends soon is announced at once, not when the first frame would have been late.
        connection.ticked.store(true, Ordering::Release);
        let actor = self.actor.clone();
        self.work = Some(Box::pin(async move {
            actor.arrive(&user, registered == Registered::First).await;
            Done::Nothing
        }));
    }
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.actor.connection.waker.register(cx.waker());
        loop {
            if this.actor.connection.dead.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            if matches!(this.tick(), Flow::End) {
                return Poll::Ready(());
            }
            match this.flush(cx) {
                Flow::End => return Poll::Ready(()),
                Flow::GoOn => {}
                // Reading goes on while the kernel is full, unless somebody reads for nothing.
                Flow::Wait if this.ending != Ending::No => return Poll::Pending,
                Flow::Wait => {}
            }
            if let Some(work) = &mut this.work {
                match work.as_mut().poll(cx) {
                    Poll::Ready(done) => {
                        this.work = None;
                        this.finish(done);
                        continue;
                    }
                    Poll::Pending => {
                        let refused = this.actor.connection.send_order.take_unanswered();
                        this.actor.answer_refused(refused);
                        return Poll::Pending;
                    }
                }
            }
            match this.read(cx) {
                Flow::End => return Poll::Ready(()),
                Flow::Wait => return Poll::Pending,
                Flow::GoOn => {}
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let (shared, connection) = (&self.actor.shared, &self.actor.connection);
        connection.gone.store(true, Ordering::Release);
        shared.hub.watchers.unwatch(connection, &self.watched);
        let subscriptions = std::mem::take(&mut *connection.subscriptions());
        if let Some(user) = connection.user() {
            shared.hub.unregister(user, connection, &subscriptions);
            shared.vitals.gone(user.id.clone(), connection.id());
            shared.metrics.active_sessions.decrement(1.0);
        }
    }
}

fn times(connection: &Connection) -> (Seconds, Seconds) {
    (
        connection.heard_at.load(Ordering::Relaxed),
        connection.spoke_at.load(Ordering::Relaxed),
    )
}

fn heartbeat() -> bytes::Bytes {
    static FRAME: std::sync::OnceLock<bytes::Bytes> = std::sync::OnceLock::new();
    FRAME
        .get_or_init(|| super::encode(&FleetFrame::Heartbeat {}))
        .clone()
}
