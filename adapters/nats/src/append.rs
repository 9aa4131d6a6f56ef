//! The way of an event into the log: taken in order, sent room by room, sent again while the stream's
//! leader is away, and answered with the truth.
//!
//! Nothing is sent while there is no connection, so what is given up then was certainly not stored.
//! What was sent and never acknowledged may have been stored: its caller gets `Unconfirmed`.

mod queue;
mod resolve;
mod unconfirmed_live;
mod workers;

use std::sync::Arc;

use async_nats::header::{HeaderMap, HeaderName};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use metrics::{Gauge, counter, gauge};
use parking_lot::{Mutex, MutexGuard};
use roomcast_ports::event_log::{Append, Appended, LogError};
use roomcast_protocol::event::encode;
use roomcast_protocol::limits::{APPEND_QUEUE_MAX, EVENT_BYTES_MAX};
use roomcast_protocol::{EventId, RoomId};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::connection::NatsConnection;
use crate::observed_seqs::ObservedSeqs;
use crate::reader::Reader;
use crate::request::RequestMux;
use crate::streams::Streams;
use crate::subscription_gate::SubscriptionGate;
use queue::{PublishAttempt, Queue, QueuedAppend};
use unconfirmed_live::AwaitingRepublish;

/// Bytes of events that wait, at most; past it the oldest is given up.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// What appending needs of the rest.
#[derive(Debug)]
pub(crate) struct AppendDeps {
    pub(crate) link: NatsConnection,
    pub(crate) region: String,
    pub(crate) exchanges: Arc<RequestMux>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) known: Arc<ObservedSeqs>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) listening: Arc<SubscriptionGate>,
    pub(crate) tracker: TaskTracker,
}

/// Everything on its way into the log.
#[derive(Debug)]
pub(crate) struct Appender {
    around: AppendDeps,
    state: Mutex<State>,
    /// Where the streams answer.
    replies: String,
    to_send: Notify,
    to_watch: Notify,
    settled: Notify,
    /// What looks something up before it answers.
    settling: TaskTracker,
    waiting: Gauge,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    unseen: AwaitingRepublish,
    closed: bool,
}

impl State {
    /// Whether the only appends without a result are those being resolved.
    fn is_drained(&self) -> bool {
        self.queue.len() == 0 && self.unseen.is_answered()
    }
}

impl Appender {
    pub(crate) fn new(around: AppendDeps) -> Self {
        let replies = around.link.client.new_inbox();
        Self {
            around,
            state: Mutex::default(),
            replies,
            to_send: Notify::new(),
            to_watch: Notify::new(),
            settled: Notify::new(),
            settling: TaskTracker::new(),
            waiting: gauge!("chat_log_appends_waiting"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Takes the event; the call fixes its order.
    pub(crate) fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, LogError>> {
        let body = encode(&append.event);
        if body.len() > EVENT_BYTES_MAX {
            let (bytes, limit) = (body.len(), EVENT_BYTES_MAX);
            return Box::pin(std::future::ready(Err(LogError::TooLarge { bytes, limit })));
        }
        let now = Instant::now();
        let (answer, answered) = oneshot::channel();
        let waiting = QueuedAppend::new(
            &append.event,
            body.into(),
            append.expected_head,
            answer,
            now,
        );
        let mut state = self.lock();
        if state.closed {
            let closed = LogError::Unavailable("the log has been closed".into());
            return Box::pin(std::future::ready(Err(closed)));
        }
        while state.queue.len() >= APPEND_QUEUE_MAX
            || state.queue.bytes() + waiting.body.len() > WAITING_BYTES_MAX
        {
            let oldest = state.queue.evict_oldest(None);
            if oldest.is_empty() {
                break;
            }
            counter!("chat_log_appends_pushed_out_total").increment(oldest.len() as u64);
            for waiting in oldest {
                waiting.fail(now, "too many events wait for the log");
            }
        }
        state.queue.push(waiting);
        self.count(&state);
        drop(state);
        self.to_send.notify_one();
        self.to_watch.notify_one();
        Box::pin(async move {
            answered
                .await
                .unwrap_or_else(|_| Err(LogError::Unconfirmed(now.elapsed())))
        })
    }

    /// Takes nothing more, and waits until everything taken has been answered; each is within its time.
    pub(crate) async fn close(&self) {
        self.lock().closed = true;
        loop {
            let settled = self.settled.notified();
            if self.lock().is_drained() {
                break;
            }
            settled.await;
        }
        self.settling.close();
        self.settling.wait().await;
    }

    fn count(&self, state: &State) {
        #[expect(clippy::cast_precision_loss, reason = "at most ten thousand")]
        self.waiting.set(state.queue.len() as f64);
        if state.closed && state.is_drained() {
            self.settled.notify_waiters();
        }
    }

    /// A live event has come: one that is on its way here may be it.
    pub(crate) fn heard(
        &self,
        partition: u16,
        room_id: &RoomId,
        event_id: &EventId,
        place: u64,
        prev: u64,
    ) {
        let waiting = {
            let mut state = self.lock();
            if state.queue.len() > 0 && state.queue.heard(room_id, event_id, place, prev) {
                return;
            }
            state.unseen.seen((partition, place))
        };
        if let Some(waiting) = waiting {
            waiting.stored(place, prev);
        }
    }

    /// The headers of an event on the bus.
    fn headers(&self, sending: &PublishAttempt) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut id = message_id(&sending.room_id, &sending.event_id);
        if sending.is_renamed {
            id.push('~');
        }
        headers.insert(async_nats::header::NATS_MESSAGE_ID, id.as_str());
        if let Some(head) = sending.asked_head {
            headers.insert(
                async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                head.to_string().as_str(),
            );
        }
        headers.insert(CE_VERSION, "1.0");
        headers.insert(CE_ID, sending.event_id.as_str());
        headers.insert(CE_SOURCE, self.around.region.as_str());
        headers.insert(CE_TYPE, event_type(&sending.body));
        headers
    }
}

// The attributes of CloudEvents.
const CE_VERSION: HeaderName = HeaderName::from_static("ce-specversion");
const CE_ID: HeaderName = HeaderName::from_static("ce-id");
const CE_SOURCE: HeaderName = HeaderName::from_static("ce-source");
const CE_TYPE: HeaderName = HeaderName::from_static("ce-type");

/// What the stream knows an event by: ids are a room's own.
fn message_id(room_id: &RoomId, event_id: &EventId) -> String {
    format!("{room_id}/{event_id}")
}

/// The type an event's envelope begins with.
fn event_type(body: &Bytes) -> &str {
    let beginning = body.strip_prefix(br#"{"eventType":""#).unwrap_or_default();
    let end = beginning.iter().position(|byte| *byte == b'"').unwrap_or(0);
    std::str::from_utf8(&beginning[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests;
