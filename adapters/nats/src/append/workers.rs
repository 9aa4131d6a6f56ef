//! The three append tasks: sender, ack receiver and watch.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use futures_util::StreamExt as _;
use metrics::counter;
use roomcast_protocol::RoomId;
use roomcast_protocol::limits::APPEND_TIMEOUT;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Appender, PublishAttempt};
use crate::error::{NatsError, refusal};
use crate::request::read_answer;
use crate::subjects::{self, partition_of};

/// How often what waits is looked at.
const TICK: Duration = Duration::from_millis(5);
/// How long an event waits for a stream that has no space left.
const FULL_TIMEOUT: Duration = Duration::from_secs(2);
/// Delay before the append worker checks a lost connection again.
const DISCONNECTED_DELAY: Duration = Duration::from_millis(100);

/// A stream's answer to what it stored.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    pub(super) seq: u64,
    #[serde(default)]
    pub(super) duplicate: bool,
}

impl Appender {
    /// Starts them. They end with `stop`.
    pub(crate) async fn start(
        self: &Arc<Self>,
        stop: &CancellationToken,
    ) -> Result<(), async_nats::SubscribeError> {
        let replies = format!("{}.*", self.replies);
        let answers = self.around.link.client.subscribe(replies).await?;
        let tracker = &self.around.tracker;
        tracker.spawn(Arc::clone(self).take_answers(answers, stop.clone()));
        tracker.spawn(Arc::clone(self).send(stop.clone()));
        tracker.spawn(Arc::clone(self).watch(stop.clone()));
        Ok(())
    }

    async fn send(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.to_send.notified() => {}
                () = stop.cancelled() => return,
            }
            while self.lock().queue.is_ready() {
                if !self.around.link.is_connected() {
                    tokio::select! {
                        () = sleep(DISCONNECTED_DELAY) => continue,
                        () = stop.cancelled() => return,
                    }
                }
                // Events republished before the subscription is active would be missed.
                self.around.listening.begun().await;
                let gate = |room_id: &RoomId| self.gate(room_id);
                let next = self.lock().queue.next_to_send(Instant::now(), gate);
                let Some(sending) = next else { break };
                if sending.attempt > 1 {
                    counter!("chat_log_append_retries_total").increment(1);
                }
                tokio::select! {
                    () = self.publish(sending) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }

    /// The last seq known of the room's partition, while its stream is known to continue from there.
    fn gate(&self, room_id: &RoomId) -> Option<u64> {
        let (partition, epoch) = (partition_of(room_id), self.around.link.epoch());
        let continuity = &self.around.streams.continuity;
        let known = self.around.known.last(partition);
        continuity.is_verified(partition, epoch).then_some(known)
    }

    async fn publish(&self, sending: PublishAttempt) {
        let partition = partition_of(&sending.room_id);
        let subject = subjects::append(&self.around.region, partition, &sending.room_id);
        let reply = format!("{}.{}", self.replies, sending.number);
        let headers = self.headers(&sending);
        let client = &self.around.link.client;
        let published = client
            .publish_with_reply_and_headers(subject, reply, headers, sending.body)
            .await;
        if let Err(error) = published {
            warn!(
                error = &error as &dyn std::error::Error,
                "failed to publish an event to the log"
            );
            self.lock()
                .queue
                .rejected_retryable(sending.number, Instant::now());
        }
    }

    async fn take_answers(self: Arc<Self>, mut answers: Subscriber, stop: CancellationToken) {
        loop {
            let answer = tokio::select! {
                answer = answers.next() => answer,
                () = stop.cancelled() => return,
            };
            let Some(answer) = answer else { return };
            let number = answer.subject.rsplit_once('.');
            if let Some(number) = number.and_then(|(_, number)| number.parse().ok()) {
                self.answered(number, &answer);
            }
        }
    }

    fn answered(self: &Arc<Self>, number: u64, answer: &Message) {
        let now = Instant::now();
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            // The stream has no leader, or is gone.
            let mut state = self.lock();
            if let Some(waiting) = state.queue.front(number) {
                let partition = partition_of(&waiting.room_id);
                self.around.streams.request_check(partition);
            }
            return state.queue.rejected_retryable(number, now);
        }
        match read_answer::<Stored>(&answer.payload) {
            Ok(stored) => self.stored(number, &stored),
            Err(NatsError::Refused(refused)) => match refused.err_code {
                refusal::WRONG_LAST => {
                    self.lock().queue.rejected_pending_lookup(number, now);
                    let head = head_in(&refused.description);
                    let appends = Arc::clone(self);
                    let settling = async move { appends.resolve_mismatch(number, head).await };
                    self.settling.spawn(settling);
                }
                refusal::TOO_LARGE => {
                    self.lock().queue.rejected_retryable(number, now);
                    if let Some(waiting) = self.take(number) {
                        waiting.fail(now, "larger than the log's streams take");
                    }
                }
                refusal::FULL => self.full(number, now),
                code => {
                    // Another of its room or its own id is on its way, or the stream has no room or
                    // no leader now: all of that passes, or the event is given up when its time is.
                    if code != refusal::LAST_IN_FLIGHT && code != refusal::SAME_ID_IN_FLIGHT {
                        counter!("chat_log_append_refusals_total").increment(1);
                        warn!(%refused, "log refused an event");
                    }
                    self.lock().queue.rejected_retryable(number, now);
                }
            },
            Err(failure) => {
                warn!(
                    failure = &failure as &dyn std::error::Error,
                    "failed to decode a publish ack"
                );
            }
        }
    }

    /// The stream has no space until ingest has trimmed it. That is a matter of seconds where ingest keeps up, and
    /// otherwise of unknown duration: waiting then would only fill the queue.
    fn full(&self, number: u64, now: Instant) {
        counter!("chat_log_full_refusals_total").increment(1);
        let mut state = self.lock();
        state.queue.rejected_retryable(number, now);
        let asked = state.queue.front(number).map(|waiting| waiting.asked);
        drop(state);
        if asked.is_some_and(|asked| now.saturating_duration_since(asked) >= FULL_TIMEOUT)
            && let Some(waiting) = self.take(number)
        {
            waiting.fail(
                now,
                "the log is full of events that are not in the store yet",
            );
        }
    }

    /// Watches the clock while anything waits.
    async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut fortunes = self.around.link.fortunes.clone();
        loop {
            let idle = {
                let state = self.lock();
                state.queue.len() == 0 && state.unseen.is_empty()
            };
            if idle {
                tokio::select! {
                    () = self.to_watch.notified() => {}
                    () = stop.cancelled() => return,
                }
            }
            tokio::select! {
                // A lost connection takes with it what was on its way.
                changed = timeout(TICK, fortunes.changed()) => {
                    if matches!(changed, Ok(Ok(()))) {
                        fortunes.borrow_and_update();
                        self.lock().queue.requeue_all();
                        self.to_send.notify_one();
                    }
                }
                () = stop.cancelled() => return,
            }
            self.run_due(Instant::now());
        }
    }

    fn run_due(self: &Arc<Self>, now: Instant) {
        let (mut nudges, mut lookups) = (Vec::new(), Vec::new());
        {
            let mut state = self.lock();
            if state.queue.requeue_expired(now) > 0 {
                self.to_send.notify_one();
            }
            let before = now.checked_sub(APPEND_TIMEOUT);
            while let Some(before) = before {
                let oldest = state.queue.evict_oldest(Some(before));
                if oldest.is_empty() {
                    break;
                }
                counter!("chat_log_appends_given_up_total").increment(oldest.len() as u64);
                for waiting in oldest {
                    waiting.fail(now, "the log does not answer");
                }
                self.to_send.notify_one();
            }
            while let Some(lookup) = state.unseen.next_without_prev(now) {
                lookups.push(lookup);
            }
            while let Some(nudge) = state.unseen.next_head_hint(now) {
                nudges.push(nudge);
            }
            self.count(&state);
        }
        for (place, waiting) in lookups {
            let appends = Arc::clone(self);
            let settling = async move { appends.resolve_prev(waiting, place).await };
            self.settling.spawn(settling);
        }
        if nudges.is_empty() {
            return;
        }
        // Aside: the clock must not stand still while a connection that is lost takes nothing.
        let appends = Arc::clone(self);
        self.around.tracker.spawn(async move {
            for (room_id, place) in nudges {
                debug!(%place, "stored event was not republished in time");
                appends.publish_head_hint(&room_id, place).await;
            }
        });
    }
}

/// The room's head, which the refusal ends with.
fn head_in(description: &str) -> Option<u64> {
    let (_, number) = description.rsplit_once(' ')?;
    number.parse().ok()
}
