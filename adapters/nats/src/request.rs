//! Requests to the servers and their replies, over one subscription.
//!
//! The driver has requests of its own, but an unanswered one leaves its waiter behind for good, and
//! one that is answered by many messages it does not know. Here a question that is dropped is forgotten.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt as _;
use metrics::counter;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::error::{ApiError, NatsError};

/// How long an answer is waited for.
pub(crate) const REPLY_TIMEOUT: Duration = Duration::from_secs(3);

type Open = Arc<Mutex<HashMap<u64, mpsc::Sender<Message>>>>;

/// All questions that are open.
#[derive(Debug)]
pub(crate) struct RequestMux {
    client: Client,
    prefix: String,
    open: Open,
    next: AtomicU64,
}

/// One question, for as long as its answers are wanted.
pub(crate) struct PendingRequest {
    /// Where the answers go.
    pub(crate) reply: String,
    number: u64,
    open: Open,
    answers: mpsc::Receiver<Message>,
}

impl RequestMux {
    /// Listens for answers until the connection is closed.
    pub(crate) async fn start(
        client: Client,
        tracker: &TaskTracker,
    ) -> Result<Arc<Self>, async_nats::SubscribeError> {
        let prefix = client.new_inbox();
        let mut answers = client.subscribe(format!("{prefix}.*")).await?;
        let open: Open = Arc::default();
        let waiting = Arc::clone(&open);
        tracker.spawn(async move {
            while let Some(answer) = answers.next().await {
                route_reply(&waiting, answer);
            }
            waiting.lock().clear();
        });
        Ok(Arc::new(Self {
            client,
            prefix,
            open,
            next: AtomicU64::new(0),
        }))
    }

    /// Opens a question that may have so many answers.
    pub(crate) fn open(&self, answers_max: usize) -> PendingRequest {
        let (sender, answers) = mpsc::channel(answers_max);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(number, sender);
        PendingRequest {
            reply: format!("{}.{number}", self.prefix),
            number,
            open: Arc::clone(&self.open),
            answers,
        }
    }

    /// Asks on behalf of an open question, before `until`.
    pub(crate) async fn send(
        &self,
        exchange: &PendingRequest,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        until: Instant,
    ) -> Result<(), NatsError> {
        let reply = exchange.reply.clone();
        let publish = async {
            match headers {
                Some(headers) => {
                    self.client
                        .publish_with_reply_and_headers(subject.clone(), reply, headers, payload)
                        .await
                }
                None => {
                    self.client
                        .publish_with_reply(subject.clone(), reply, payload)
                        .await
                }
            }
        };
        match timeout_at(until, publish).await {
            Ok(sent) => sent.map_err(|error| NatsError::Unreadable(Box::new(error))),
            Err(_) => Err(timed_out(&subject, REPLY_TIMEOUT)),
        }
    }

    /// One question, one answer.
    pub(crate) async fn request(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        within: Duration,
    ) -> Result<Message, NatsError> {
        let until = Instant::now() + within;
        let mut exchange = self.open(1);
        self.send(&exchange, subject.clone(), headers, payload, until)
            .await?;
        exchange.answer(&subject, until, within).await
    }

    /// Asks the streams' interface, whose questions and answers are JSON.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        subject: String,
        question: &impl Serialize,
        within: Duration,
    ) -> Result<T, NatsError> {
        let question = serde_json::to_vec(question)?;
        let answer = self.request(subject, None, question.into(), within).await?;
        read_answer(&answer.payload)
    }
}

/// The answer, or the refusal in it.
pub(crate) fn read_answer<T: DeserializeOwned>(payload: &[u8]) -> Result<T, NatsError> {
    #[derive(serde::Deserialize)]
    struct ReplyStatus {
        error: Option<ApiError>,
    }
    match serde_json::from_slice::<ReplyStatus>(payload)?.error {
        Some(refused) => Err(refused.into()),
        None => Ok(serde_json::from_slice(payload)?),
    }
}

impl PendingRequest {
    /// Waits for the next answer until `until`.
    pub(crate) async fn answer(
        &mut self,
        subject: &str,
        until: Instant,
        within: Duration,
    ) -> Result<Message, NatsError> {
        match timeout_at(until, self.answers.recv()).await {
            Ok(Some(answer)) if answer.status == Some(StatusCode::NO_RESPONDERS) => {
                Err(NatsError::NoResponders(subject.to_owned()))
            }
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(NatsError::Closed),
            Err(_) => Err(timed_out(subject, within)),
        }
    }
}

fn timed_out(subject: &str, within: Duration) -> NatsError {
    counter!("chat_log_request_timeouts_total").increment(1);
    NatsError::TimedOut {
        subject: subject.to_owned(),
        within,
    }
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        self.open.lock().remove(&self.number);
    }
}

/// Gives the answer to who asked, if they still want it.
fn route_reply(open: &Open, answer: Message) {
    let number = answer
        .subject
        .rsplit_once('.')
        .and_then(|(_, number)| number.parse().ok());
    let Some(number) = number else { return };
    let open = open.lock();
    if let Some(waiting) = open.get(&number) {
        // Replies beyond the number requested are dropped.
        let _ = waiting.try_send(answer);
    }
}
