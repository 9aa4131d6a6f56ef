//! Resolves publish acks that need a follow-up: duplicates, head mismatches, unknown `prev`.

use std::sync::Arc;
use std::time::Duration;

use async_nats::header::HeaderMap;
use roomcast_ports::back_off::BackOff;
use roomcast_ports::event_log::{Appended, LogError};
use roomcast_protocol::RoomId;
use roomcast_protocol::event::decode;
use roomcast_protocol::limits::APPEND_TIMEOUT;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::queue::QueuedAppend;
use super::workers::Stored;
use super::{Appender, message_id};
use crate::error::{NatsError, refusal};
use crate::reader::seq;
use crate::request::{REPLY_TIMEOUT, read_answer};
use crate::streams::spec::incarnation;
use crate::subjects::{self, partition_of};

/// Between two questions about what was stored.
const RETRY_AFTER: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_millis(250);
/// An id that no event has.
const NEVER: &str = "-";

impl Appender {
    /// Takes it off the queue, and lets the room's next one go.
    pub(super) fn take(&self, number: u64) -> Option<QueuedAppend> {
        let mut state = self.lock();
        let waiting = state.queue.take(number);
        self.count(&state);
        if state.queue.is_ready() {
            self.to_send.notify_one();
        }
        waiting
    }

    /// The stream has it.
    pub(super) fn stored(self: &Arc<Self>, number: u64, stored: &Stored) {
        if self.is_void(number, stored) {
            return;
        }
        if let Some(waiting) = self.take(number) {
            self.complete(waiting, stored);
        }
    }

    /// Answers an append that is off the queue, or waits for its live copy to learn its `prev`.
    pub(super) fn complete(self: &Arc<Self>, waiting: QueuedAppend, stored: &Stored) {
        let (place, partition) = (stored.seq, partition_of(&waiting.room_id));
        self.around.known.observe(partition, place);
        self.around.known.observe_head(&waiting.room_id, place);
        let appends = Arc::clone(self);
        if stored.duplicate {
            let settling = async move { appends.resolve_duplicate(waiting, place).await };
            self.settling.spawn(settling);
            return;
        }
        if let Some((heard, prev)) = waiting.heard
            && heard == place
        {
            return waiting.stored(place, prev);
        }
        let listens = self.around.listening.listens();
        let room_id = waiting.room_id.clone();
        // What the stream was asked to expect, it has found.
        let unanswered = match waiting.expected_head {
            Some(head) => {
                waiting.stored(place, head.get());
                None
            }
            None => Some(waiting),
        };
        if listens {
            let now = Instant::now();
            let mut state = self.lock();
            state
                .unseen
                .insert((partition, place), room_id, unanswered, now);
            drop(state);
            // Between `take` and here the watch may have found nothing to do and gone to sleep.
            self.to_watch.notify_one();
        } else if let Some(waiting) = unanswered {
            let settling = async move { appends.resolve_prev(waiting, place).await };
            self.settling.spawn(settling);
        }
    }

    /// Whether it was stored in a stream that was restored from an older copy, at a seq that was given before.
    /// Then it is sent again once the stream has been verified, which takes a new incarnation.
    fn is_void(&self, number: u64, stored: &Stored) -> bool {
        let mut state = self.lock();
        let Some(waiting) = state.queue.front(number) else {
            return false;
        };
        let partition = partition_of(&waiting.room_id);
        let is_void = if stored.duplicate {
            // The stream knows the id from then, and the event is gone.
            let passed = incarnation(self.around.known.last(partition)) > incarnation(stored.seq);
            waiting.void == Some(stored.seq) && passed
        } else {
            stored.seq <= waiting.floor
        };
        if is_void {
            waiting.is_renamed = stored.duplicate;
            state.queue.void(number, stored.seq, Instant::now());
            if !stored.duplicate {
                self.around.streams.continuity.doubt(partition);
                self.around.streams.request_check(partition);
            }
        }
        is_void
    }

    /// Answers with the seq before it, which has to be asked for.
    pub(super) async fn resolve_prev(self: Arc<Self>, waiting: QueuedAppend, place: u64) {
        let ask = || self.around.reader.prev_of(&waiting.room_id, place);
        match before_deadline(&waiting, ask).await {
            Ok(prev) => waiting.stored(place, prev),
            Err(failure) => unconfirmed(waiting, &failure),
        }
    }

    /// Acknowledges a duplicate with the first append's result. Its live event may have been lost with the
    /// leader that stored it, so a head hint is published.
    pub(super) async fn resolve_duplicate(self: Arc<Self>, waiting: QueuedAppend, place: u64) {
        self.publish_head_hint(&waiting.room_id, place).await;
        match before_deadline(&waiting, || self.first_of(&waiting, place)).await {
            Ok(appended) => {
                // Who asked may have gone.
                let _ = waiting.answer.send(Ok(appended));
            }
            Err(failure) => unconfirmed(waiting, &failure),
        }
    }

    async fn first_of(&self, waiting: &QueuedAppend, place: u64) -> Result<Appended, NatsError> {
        let reader = &self.around.reader;
        let partition = partition_of(&waiting.room_id);
        let (first, prev) = tokio::try_join!(
            reader.at(partition, place),
            reader.prev_of(&waiting.room_id, place)
        )?;
        let event = decode(&first.body).map_err(|fault| NatsError::Unreadable(Box::new(fault)))?;
        // It may duplicate an unanswered attempt of this process: then there was nothing before.
        let is_ours = waiting.unanswered_attempts() > 1 && first.body == waiting.body;
        Ok(Appended {
            seq: seq(place),
            prev: seq(prev),
            sent_at: event.sent_at,
            message_id: event.message_id(),
            duplicate: !is_ours,
        })
    }

    /// The room's head is another than expected: it may have moved on with this very event, or the
    /// log may have forgotten the head that the caller remembers.
    pub(super) async fn resolve_mismatch(self: Arc<Self>, number: u64, head: Option<u64>) {
        let asked = {
            let mut state = self.lock();
            state.queue.front(number).map(|waiting| {
                let id = message_id(&waiting.room_id, &waiting.event_id);
                (waiting.room_id.clone(), id, waiting.asked_head.unwrap_or(0))
            })
        };
        let Some((room_id, message_id, asked)) = asked else {
            return;
        };
        match self
            .classify_mismatch(&room_id, &message_id, asked, head)
            .await
        {
            Ok(MismatchCause::Repeat(place)) => {
                let duplicate = true;
                let seq = place;
                self.stored(number, &Stored { seq, duplicate });
            }
            Ok(MismatchCause::Forgotten) => {
                let mut state = self.lock();
                state.queue.set_expected_seq(number, 0);
                state.queue.send_again(number, Instant::now());
            }
            Ok(MismatchCause::Moved(head)) => {
                if let Some(waiting) = self.take(number) {
                    let head = seq(head);
                    let _ = waiting.answer.send(Err(LogError::HeadMismatch { head }));
                }
            }
            Err(failure) => {
                debug!(
                    failure = &failure as &dyn std::error::Error,
                    "failed to classify a head mismatch"
                );
                self.lock().queue.send_again(number, Instant::now());
            }
        }
    }

    async fn classify_mismatch(
        &self,
        room_id: &RoomId,
        message_id: &str,
        asked: u64,
        head: Option<u64>,
    ) -> Result<MismatchCause, NatsError> {
        let partition = partition_of(room_id);
        // A stream with copies looks for a repeat first; one without, for the head.
        if !self.around.known.may_lag(partition)
            && let Some(place) = self.probe_duplicate(partition, room_id, message_id).await?
        {
            return Ok(MismatchCause::Repeat(place));
        }
        let head = match head {
            Some(head) => head,
            None => self.around.reader.head(room_id).await?,
        };
        if head == 0 && asked > 0 && self.around.reader.is_expired(partition, asked).await? {
            return Ok(MismatchCause::Forgotten);
        }
        Ok(MismatchCause::Moved(head))
    }

    /// Where the stream has an event of this id, if it has. It is asked to store one on a condition
    /// that never holds, and that it looks at only after the id.
    async fn probe_duplicate(
        &self,
        partition: u16,
        room_id: &RoomId,
        message_id: &str,
    ) -> Result<Option<u64>, NatsError> {
        let mut headers = HeaderMap::new();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, message_id);
        headers.insert(async_nats::header::NATS_EXPECTED_LAST_MESSAGE_ID, NEVER);
        let subject = subjects::append(&self.around.region, partition, room_id);
        let exchanges = &self.around.exchanges;
        let answer = exchanges
            .request(subject, Some(headers), bytes::Bytes::new(), REPLY_TIMEOUT)
            .await?;
        match read_answer::<Stored>(&answer.payload) {
            Ok(stored) => Ok(Some(stored.seq)),
            Err(failure) if failure.is(refusal::WRONG_LAST_ID) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Publishes the room's head to its subscribers.
    pub(super) async fn publish_head_hint(&self, room_id: &RoomId, place: u64) {
        metrics::counter!("chat_log_nudges_total").increment(1);
        let subject = subjects::head_hint(partition_of(room_id), room_id);
        let client = &self.around.link.client;
        if let Err(error) = client.publish(subject, place.to_string().into()).await {
            warn!(
                error = &error as &dyn std::error::Error,
                "failed to publish a head hint"
            );
        }
    }
}

/// Asks again while the append's time lasts: leaders return.
async fn before_deadline<T, F: Future<Output = Result<T, NatsError>>>(
    waiting: &QueuedAppend,
    ask: impl Fn() -> F,
) -> Result<T, NatsError> {
    let mut back_off = BackOff::new(RETRY_AFTER, RETRY_MAX);
    loop {
        match ask().await {
            // A leader that is being elected also refuses what it will answer soon.
            Err(failure)
                if !matches!(failure, NatsError::Closed)
                    && waiting.asked.elapsed() < APPEND_TIMEOUT =>
            {
                debug!(
                    failure = &failure as &dyn std::error::Error,
                    "failed to resolve a duplicate"
                );
                sleep(back_off.next_delay()).await;
            }
            done => return done,
        }
    }
}

/// Why a head is another than expected.
enum MismatchCause {
    /// The event is stored already, there.
    Repeat(u64),
    /// The log no longer holds what the caller expects, nor anything of the room since.
    Forgotten,
    /// Another process appended an event.
    Moved(u64),
}

/// Stored, but its seq or `prev` is unknown: a resend will get the answer.
fn unconfirmed(waiting: QueuedAppend, failure: &NatsError) {
    warn!(
        failure = failure as &dyn std::error::Error,
        "failed to read a stored event"
    );
    let waited = waiting.asked.elapsed();
    let _ = waiting.answer.send(Err(LogError::Unconfirmed(waited)));
}
