//! A worker's lease of a partition: the pinned pull consumer and its messages.
//!
//! Of all workers that ask, the server pins one and gives it everything. The pin is lost when its
//! worker falls silent; then the next one is pinned. So a task keeps asking however long the worker
//! takes over what it has, and asks for nothing it could not keep.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use parking_lot::{Mutex, MutexGuard};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::direct::StoredMessage;
use crate::error::NatsError;
use crate::streams::spec::WORKERS;
use crate::subjects;

/// Messages kept here, at most.
const BUFFER_MAX: usize = 1_024;
/// Messages per pull request; so many are free before it asks again.
const PULL_BATCH_MAX: usize = 512;
/// Bytes per pull request.
const PULL_BYTES_MAX: usize = 1 << 20;
/// How long the server keeps a question open for a worker that has the pin, and one that waits for it.
const PULL_EXPIRY_PINNED: Duration = Duration::from_millis(1_500);
const PULL_EXPIRY_UNPINNED: Duration = Duration::from_secs(5);
/// An answer that is so much late does not come.
const GRACE: Duration = Duration::from_secs(1);
/// How long the server may be silent before the partition counts as lost.
const SILENT_MAX: Duration = Duration::from_secs(10);

/// One message the consumer brought.
#[derive(Debug, Clone)]
pub(super) struct Delivered {
    pub(super) stored: StoredMessage,
    /// How many more the stream holds behind it.
    pub(super) pending: u64,
    /// Its ack subject.
    pub(super) acknowledge: String,
}

/// The hold on a partition. It is let go when this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) partition: u16,
    shared: Arc<Shared>,
    client: Client,
    _held: DropGuard,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    came: Notify,
    taken: Notify,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<Delivered>,
    lost: Option<&'static str>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// What asks for messages.
struct PullLoop {
    client: Client,
    partition: u16,
    consumer: String,
    inbox: String,
    messages: Subscriber,
    pin: String,
    /// Questions asked so far; the last one's number is a part of where it is answered.
    number: u64,
    /// Messages that the last question may still bring; none once the server has ended it.
    owed: usize,
    asked_at: Instant,
}

impl Lease {
    /// Asks the server once for the pin; `None` when it was not given within some seconds.
    ///
    /// # Errors
    /// `LeaseLost` when another process has the pin.
    pub(super) async fn take(
        client: &Client,
        tracker: &TaskTracker,
        stop: &CancellationToken,
        partition: u16,
        consumer: &str,
    ) -> Result<Option<Self>, NatsError> {
        let inbox = client.new_inbox();
        let messages = client
            .subscribe(format!("{inbox}.*"))
            .await
            .map_err(|error| NatsError::Unreadable(Box::new(error)))?;
        let mut asking = PullLoop {
            client: client.clone(),
            partition,
            consumer: consumer.to_owned(),
            inbox,
            messages,
            pin: String::new(),
            number: 0,
            owed: 0,
            asked_at: Instant::now(),
        };
        asking.ask(PULL_EXPIRY_UNPINNED).await?;
        let until = Instant::now() + PULL_EXPIRY_UNPINNED + GRACE;
        let (pin, delivered) = match timeout_at(until, asking.first()).await {
            Ok(Ok(first)) => first,
            Ok(Err(failure)) => return Err(failure),
            Err(_) => return Ok(None),
        };
        asking.pin = pin;
        let shared = Arc::new(Shared::default());
        shared.lock().kept.push_back(delivered);
        let held = stop.child_token();
        tracker.spawn(asking.hold(Arc::clone(&shared), held.clone()));
        Ok(Some(Self {
            partition,
            shared,
            client: client.clone(),
            _held: held.drop_guard(),
        }))
    }

    /// Waits until a message is here. Cancel safe.
    pub(super) async fn wait(&self) -> Result<(), NatsError> {
        loop {
            let came = self.shared.came.notified();
            {
                let state = self.shared.lock();
                if let Some(why) = state.lost {
                    debug!(
                        partition = self.partition,
                        why, "lost the lease of a partition"
                    );
                    return Err(NatsError::LeaseLost);
                }
                if !state.kept.is_empty() {
                    return Ok(());
                }
            }
            came.await;
        }
    }

    /// The first messages here, at most `limit`; they stay.
    pub(super) fn peek(&self, limit: usize) -> Vec<Delivered> {
        self.shared
            .lock()
            .kept
            .iter()
            .take(limit)
            .cloned()
            .collect()
    }

    /// Takes the first messages away.
    pub(super) fn consume(&self, count: usize) {
        self.shared.lock().kept.drain(..count);
        self.shared.taken.notify_one();
    }

    /// How many wait here.
    pub(super) fn buffered(&self) -> u64 {
        self.shared.lock().kept.len() as u64
    }

    /// Acknowledges everything up to this message.
    pub(super) async fn acknowledge(&self, to: String) -> Result<(), NatsError> {
        self.client
            .publish(to, Bytes::from_static(b"+ACK"))
            .await
            .map_err(|error| NatsError::Unreadable(Box::new(error)))
    }
}

impl PullLoop {
    /// Pulls messages, or only keeps the pin when the buffer has no room.
    async fn ask(&mut self, open_for: Duration) -> Result<(), NatsError> {
        self.asked_at = Instant::now();
        self.number += 1;
        self.owed = PULL_BATCH_MAX;
        self.pull(json!({
            "batch": PULL_BATCH_MAX,
            "max_bytes": PULL_BYTES_MAX,
            "expires": u64::try_from(open_for.as_nanos()).unwrap_or(u64::MAX),
            "group": WORKERS,
            "id": self.pin,
        }))
        .await
    }

    /// Keeps the pin without asking for anything: no message fits into one byte.
    async fn keep_pin(&mut self) -> Result<(), NatsError> {
        self.asked_at = Instant::now();
        self.number += 1;
        self.pull(json!({
            "batch": 1, "max_bytes": 1, "no_wait": true, "group": WORKERS, "id": self.pin,
        }))
        .await
    }

    async fn pull(&self, question: serde_json::Value) -> Result<(), NatsError> {
        let stream = subjects::stream(self.partition);
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{}", self.consumer);
        let payload = serde_json::to_vec(&question)?.into();
        let answer_to = format!("{}.{}", self.inbox, self.number);
        self.client
            .publish_with_reply(subject, answer_to, payload)
            .await
            .map_err(|error| NatsError::Unreadable(Box::new(error)))
    }

    /// The pin, and the first message that came with it.
    async fn first(&mut self) -> Result<(String, Delivered), NatsError> {
        let message = loop {
            let Some(message) = self.messages.next().await else {
                return Err(NatsError::Closed);
            };
            match message.status.map(|status| status.as_u16()) {
                None => break message,
                // Messages that are still being copied come after the word that they were all.
                Some(409) if is_all(&message) => {}
                Some(503) => return Err(NatsError::NoResponders(message.subject.to_string())),
                Some(_) => return Err(NatsError::LeaseLost),
            }
        };
        let pin = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get_last("Nats-Pin-Id"))
            .map(|pin| pin.as_str().to_owned());
        self.owed = self.owed.saturating_sub(1);
        match (pin, delivered(message)) {
            (Some(pin), Some(delivered)) => Ok((pin, delivered)),
            _ => Err(NatsError::LeaseLost),
        }
    }

    /// Keeps asking until the lease is dropped or lost.
    async fn hold(mut self, shared: Arc<Shared>, held: CancellationToken) {
        let lost = tokio::select! {
            why = self.go_on(&shared) => Some(why),
            () = held.cancelled() => None,
        };
        shared.lock().lost = Some(lost.unwrap_or("let go"));
        shared.came.notify_waiters();
        shared.came.notify_one();
        if lost.is_none() {
            self.unpin(&shared).await;
        }
    }

    /// Returns unread messages and the pin, so that another worker gets both immediately. If any
    /// of this is lost, the server notices the silence.
    async fn unpin(&mut self, shared: &Shared) {
        let mut back: Vec<String> = shared
            .lock()
            .kept
            .drain(..)
            .map(|delivered| delivered.acknowledge)
            .collect();
        while let Some(Some(message)) = self.messages.next().now_or_never() {
            back.extend(delivered(message).map(|delivered| delivered.acknowledge));
        }
        for to in back {
            let _ = self.client.publish(to, Bytes::from_static(b"-NAK")).await;
        }
        let stream = subjects::stream(self.partition);
        let subject = format!("$JS.API.CONSUMER.UNPIN.{stream}.{}", self.consumer);
        if let Ok(question) = serde_json::to_vec(&json!({ "group": WORKERS })) {
            let _ = self.client.publish(subject, question.into()).await;
        }
    }

    async fn go_on(&mut self, shared: &Shared) -> &'static str {
        let mut heard_at = Instant::now();
        loop {
            if self.owed > 0 && Instant::now() >= self.asked_at + PULL_EXPIRY_PINNED + GRACE {
                // What was asked long ago brings nothing any more.
                self.owed = 0;
            }
            let free = BUFFER_MAX.saturating_sub(shared.lock().kept.len());
            let asked = if self.owed > 0 {
                Ok(())
            } else if free >= PULL_BATCH_MAX {
                self.ask(PULL_EXPIRY_PINNED).await
            } else if Instant::now() >= self.asked_at + PULL_EXPIRY_PINNED {
                self.keep_pin().await
            } else {
                Ok(())
            };
            let patience = if self.owed > 0 {
                PULL_EXPIRY_PINNED + GRACE
            } else {
                PULL_EXPIRY_PINNED
            };
            if asked.is_err() {
                return "the connection is closed";
            }
            tokio::select! {
                message = self.messages.next() => {
                    let Some(message) = message else {
                        return "the connection is closed";
                    };
                    heard_at = Instant::now();
                    if let Some(why) = self.take_in(shared, message) {
                        return why;
                    }
                }
                () = shared.taken.notified() => {}
                () = tokio::time::sleep_until(self.asked_at + patience) => {}
            }
            if heard_at.elapsed() > SILENT_MAX {
                return "the server is silent";
            }
        }
    }

    /// The server has ended a question. Only the last one matters: were every end answered by a new
    /// question, there would be ever more of them.
    fn ended(&mut self, message: &Message) {
        let number = message.subject.rsplit('.').next();
        if number.and_then(|text| text.parse().ok()) == Some(self.number) {
            self.owed = 0;
        }
    }

    /// Buffers a message or handles a status; the reason, if the lease is lost.
    fn take_in(&mut self, shared: &Shared, message: Message) -> Option<&'static str> {
        match message.status.map(|status| status.as_u16()) {
            None => {
                self.owed = self.owed.saturating_sub(1);
                if let Some(delivered) = delivered(message) {
                    shared.lock().kept.push_back(delivered);
                    shared.came.notify_one();
                }
                None
            }
            // A question's time is over, or it has brought all its bytes.
            Some(404 | 408) => {
                self.ended(&message);
                None
            }
            Some(409) if is_all(&message) => {
                self.ended(&message);
                None
            }
            Some(409) => Some("the consumer has changed"),
            Some(423) => Some("another worker has it"),
            Some(503) => Some("the consumer is gone"),
            Some(_) => None,
        }
    }
}

/// Whether the status only ends a completed pull request.
fn is_all(message: &Message) -> bool {
    let said = message.description.as_deref().unwrap_or_default();
    ["Batch Completed", "MaxBytes", "MaxWaiting"]
        .iter()
        .any(|limit| said.contains(limit))
}

/// A message with its seq, which stands in the subject it is acknowledged on:
/// `$JS.ACK.<stream>.<consumer>.<times>.<place>.<number>.<time>.<pending>`, or with the domain and the
/// account before the stream and a random token at the end.
fn delivered(message: Message) -> Option<Delivered> {
    let acknowledge = message.reply?.to_string();
    let tokens: Vec<&str> = acknowledge.split('.').collect();
    let (place, pending) = match tokens.len() {
        9 => (tokens[5], tokens[8]),
        12.. => (tokens[7], tokens[10]),
        _ => return None,
    };
    Some(Delivered {
        stored: StoredMessage {
            place: place.parse().ok()?,
            subject: message.subject.to_string(),
            body: message.payload,
        },
        pending: pending.parse().ok()?,
        acknowledge,
    })
}
