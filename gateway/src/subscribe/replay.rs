//! The replay of what a subscription missed, page by page at the client's pace.
//!
//! Backpressure: the next page is read only when the client has taken the one before, so a slow reader holds
//! one page at most. The connection's other frames are handled concurrently. Whether all of it can be sent was decided
//! before `SUBSCRIBED`; a page that cannot be read after that closes the connection, since the client
//! was promised every missed event.

use std::sync::Arc;

use roomcast_ports::timeline::{EventPage, ReadError, Timeline};
use roomcast_protocol::limits::{
    OUTBOUND_TIMEOUT, OUTBOX_BYTES_FAIR, REPLAY_PAGE_BYTES, REPLAY_PAGE_EVENTS,
    REPLAY_READ_CONCURRENCY_MAX,
};
use roomcast_protocol::{CloseCode, Seq, StoredEvent};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, sleep};
use tracing::warn;

use crate::connection::{self, Connection};
use crate::hub::fanout::catch_up_to;
use crate::hub::room::{ReplayId, SubscriptionStart, send_unsubscribed};
use crate::hub::{Hub, Room, User, UserConnection};
use crate::lock::lock;
use crate::outbound;
use crate::rate_limit::{READING, RateLimiter, kib};

/// Delay before a replay checks the process's outbound bytes again.
const BUDGET_RECHECK_DELAY: Duration = Duration::from_millis(50);

/// What the replays of one gateway share.
#[derive(Debug)]
pub(crate) struct ReplayLimits {
    /// Events replayed by one `SUBSCRIBE` at most.
    pub(super) events_max: usize,
    /// Turns to read a page.
    pub(super) reads: Semaphore,
    /// What each user has had replayed lately.
    replayed: RateLimiter,
}

impl ReplayLimits {
    pub(crate) fn new(events_max: usize) -> Self {
        Self {
            events_max,
            reads: Semaphore::new(REPLAY_READ_CONCURRENCY_MAX),
            replayed: RateLimiter::default(),
        }
    }

    /// Charges so many bytes to the user, and waits until the rate allows for them.
    pub(super) async fn pace(&self, user: &User, bytes: usize) {
        let pause = self.replayed.draw(&user.id, kib(bytes), READING);
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }

    /// Charges the events that were read to count the missed ones.
    pub(super) fn charge(&self, user: &User, missed: &EventPage) {
        let sizes = missed
            .events
            .iter()
            .map(|event| event.frame().encoded_len());
        let bytes = sizes.sum::<usize>() * missed.count / missed.events.len().max(1);
        self.replayed.draw(&user.id, kib(bytes), READING);
    }
}

/// How far one replay has come.
#[derive(Debug)]
pub(crate) struct Replay {
    room: Arc<Room>,
    user: Arc<User>,
    id: ReplayId,
    /// Everything up to here has been queued.
    cursor: Seq,
}

impl Replay {
    pub(super) const fn new(room: Arc<Room>, user: Arc<User>, id: ReplayId, cursor: Seq) -> Self {
        Self {
            room,
            user,
            id,
            cursor,
        }
    }

    /// Whether something has taken its place.
    pub(crate) fn is_gone(&self) -> bool {
        lock(&self.room.state).replay_end(self.id).is_none()
    }

    /// Sends what has been read already, if the client has taken what was sent before. Whether that was
    /// all.
    pub(super) fn start(
        &mut self,
        hub: &Hub,
        connection: &Arc<UserConnection>,
        missed: &EventPage,
    ) -> bool {
        if connection.queued_bytes() > OUTBOX_BYTES_FAIR {
            return false;
        }
        if !self.send(hub, connection, &missed.events) {
            return true;
        }
        missed.events.len() == missed.count && self.finish(hub, connection)
    }

    /// Goes on to the room's present, or to where the subscription ended.
    pub(crate) async fn run(
        mut self,
        hub: &Arc<Hub>,
        limits: &ReplayLimits,
        connection: &Arc<UserConnection>,
    ) -> Result<(), CloseCode> {
        let mut most = REPLAY_PAGE_EVENTS;
        loop {
            wait_for_client(connection).await;
            if connection.is_closing() || self.finish(hub, connection) {
                return Ok(());
            }
            wait_for_budget().await?;
            let turn = limits.reads.acquire().await;
            let events = self.read(&*hub.timeline, most).await?;
            let (count, bytes) = fitting(&events);
            let page = &events[..count];
            let Some(last) = page.last() else {
                return Err(CloseCode::StateLost);
            };
            // A removal of this user among them ends the subscription there.
            let applied = catch_up_to(hub, &self.room, last.seq).await;
            applied.map_err(|error| lost(&error))?;
            if !self.send(hub, connection, page) {
                return Ok(());
            }
            // As many as will fit if they are like these.
            most = (page.len() + 1).min(REPLAY_PAGE_EVENTS);
            if page.len() == events.len() {
                most = (2 * most).min(REPLAY_PAGE_EVENTS);
            }
            drop(turn);
            limits.pace(&self.user, bytes).await;
            tokio::task::yield_now().await;
        }
    }

    async fn read(
        &self,
        timeline: &dyn Timeline,
        most: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, CloseCode> {
        let page = timeline
            .events_after(&self.room.id, self.cursor, most)
            .await;
        let page = page.map_err(|error| lost(&error))?;
        if page.is_complete {
            Ok(page.events)
        } else {
            Err(CloseCode::StateLost)
        }
    }

    /// Sends these events as far as the subscription goes; `false` if something has taken its place.
    fn send(
        &mut self,
        hub: &Hub,
        connection: &Arc<UserConnection>,
        events: &[Arc<StoredEvent>],
    ) -> bool {
        let now = hub.clock.now();
        loop {
            let Some(end) = lock(&self.room.state).replay_end(self.id) else {
                return false;
            };
            let mut page = Vec::new();
            for event in events.iter().filter(|event| event.seq <= end) {
                page.extend_from_slice(&connection::encode(&event.frame()));
            }
            let page = outbound::counted(page);
            // Under the room's lock, so that nothing goes out after the subscription's end.
            let state = lock(&self.room.state);
            match state.replay_end(self.id) {
                None => return false,
                Some(earlier) if earlier < end => {}
                Some(_) => {
                    if !page.is_empty() {
                        connection.send(&page, now);
                    }
                    self.cursor = events.last().map_or(self.cursor, |last| last.seq);
                    return true;
                }
            }
        }
    }

    /// Ends the replay if what comes next is at hand: in the room's ring, or nothing.
    fn finish(&self, hub: &Hub, connection: &Arc<UserConnection>) -> bool {
        let now = hub.clock.now();
        let mut state = lock(&self.room.state);
        let (frames, ended) = match state.activate_after(self.id, self.cursor) {
            SubscriptionStart::CaughtUp(frames) => (frames, false),
            SubscriptionStart::Ended(frames) => (frames, true),
            SubscriptionStart::Unsubscribed => return true,
            SubscriptionStart::Behind => return false,
        };
        for frame in &frames {
            connection.send(frame, now);
        }
        if ended {
            send_unsubscribed(&self.room.id, std::slice::from_ref(connection), now);
        }
        true
    }
}

fn lost(error: &ReadError) -> CloseCode {
    warn!(
        error = error as &dyn std::error::Error,
        "failed to read the next page of a replay"
    );
    CloseCode::StateLost
}

/// How many of these events make a page, one at least, and their bytes.
fn fitting(events: &[Arc<StoredEvent>]) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for event in events {
        let more = event.frame().encoded_len();
        if count > 0 && bytes + more > REPLAY_PAGE_BYTES {
            break;
        }
        count += 1;
        bytes += more;
    }
    (count, bytes)
}

/// Waits until the client has taken most of what waits for it.
async fn wait_for_client(connection: &Connection) {
    // Polled by the connection's own task, which comes by whenever the socket has taken something.
    std::future::poll_fn(|_| {
        if connection.queued_bytes() <= OUTBOX_BYTES_FAIR || connection.is_closing() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

/// Waits while the process has too much to send.
async fn wait_for_budget() -> Result<(), CloseCode> {
    let until = Instant::now() + OUTBOUND_TIMEOUT;
    while outbound::is_over() {
        if Instant::now() >= until {
            outbound::refused("replay");
            return Err(CloseCode::TooSlow);
        }
        sleep(BUDGET_RECHECK_DELAY).await;
    }
    Ok(())
}
