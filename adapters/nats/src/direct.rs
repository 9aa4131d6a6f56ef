//! Reading streams without a consumer: many messages by one question to any copy (the driver knows
//! only single ones), and single ones from the copy that leads.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use roomcast_ports::back_off::BackOff;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use crate::error::{NatsError, refusal};
use crate::request::RequestMux;
use crate::subjects;

/// How long one copy has for its answer.
const REPLICA_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long copies are asked.
const READ_TIMEOUT: Duration = Duration::from_secs(4);
/// Between two copies.
const RETRY_AFTER: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_millis(500);
/// Messages per request, at most.
pub(crate) const BATCH_MAX: usize = 1_000;
/// Bytes of one answer; the message that passes it is the last.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// What is asked for.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct DirectGetRequest<'a> {
    /// From this seq on.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) seq: u64,
    /// So many at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) batch: Option<usize>,
    /// Those of this subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_by_subj: Option<&'a str>,
    /// The last of each of these.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) multi_last: &'a [String],
    /// Nothing after this seq.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) up_to_seq: u64,
    /// From this moment on (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_time: Option<String>,
    /// The last of this subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_by_subj: Option<&'a str>,
    /// The message that passes so many bytes is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_bytes: Option<usize>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One message of a stream.
#[derive(Debug, Clone)]
pub(crate) struct StoredMessage {
    pub(crate) place: u64,
    pub(crate) subject: String,
    pub(crate) body: Bytes,
}

/// What one question brought.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) stored: Vec<StoredMessage>,
    /// How many more the asked copy has.
    pub(crate) more: u64,
}

/// Reads.
#[derive(Debug, Clone)]
pub(crate) struct DirectGet {
    exchanges: Arc<RequestMux>,
}

impl DirectGet {
    pub(crate) const fn new(exchanges: Arc<RequestMux>) -> Self {
        Self { exchanges }
    }

    /// Many messages, in order, from any copy of the stream: it may lag some milliseconds. A copy that
    /// dies before it has answered in full is followed by another.
    pub(crate) async fn batch(
        &self,
        partition: u16,
        question: DirectGetRequest<'_>,
    ) -> Result<Page, NatsError> {
        let until = Instant::now() + READ_TIMEOUT;
        let mut back_off = BackOff::new(RETRY_AFTER, RETRY_MAX);
        loop {
            let done = self.batch_once(partition, &question).await;
            let retry_at = Instant::now() + back_off.next_delay();
            match done {
                Err(failure) if failure.is_transient() && retry_at < until => {
                    sleep_until(retry_at).await;
                }
                done => return done,
            }
        }
    }

    async fn batch_once(
        &self,
        partition: u16,
        question: &DirectGetRequest<'_>,
    ) -> Result<Page, NatsError> {
        let answers_max = question.batch.unwrap_or(question.multi_last.len()) + 2;
        let question = DirectGetRequest {
            max_bytes: Some(BATCH_BYTES_MAX),
            ..question.clone()
        };
        let subject = format!("$JS.API.DIRECT.GET.{}", subjects::stream(partition));
        let payload = serde_json::to_vec(&question)?.into();
        let until = Instant::now() + REPLICA_TIMEOUT;
        let mut exchange = self.exchanges.open(answers_max);
        self.exchanges
            .send(&exchange, subject.clone(), None, payload, until)
            .await?;
        let mut page = Page::default();
        loop {
            let answer = exchange.answer(&subject, until, REPLICA_TIMEOUT).await?;
            match answer.status.map(|status| status.as_u16()) {
                None => page.stored.push(stored(&answer)?),
                Some(204) => {
                    page.more = number(answer.headers.as_ref(), "Nats-Num-Pending").unwrap_or(0);
                    let last = page.stored.last().map_or(0, |last| last.place);
                    return match number(answer.headers.as_ref(), "Nats-Last-Sequence") {
                        Some(told) if told != last => Err(NatsError::ReplicaLagging),
                        _ => Ok(page),
                    };
                }
                Some(404) => return Ok(page),
                Some(_) => return Err(unexpected(&answer)),
            }
        }
    }

    /// Checks that JetStream answers this account. The answer names no stream and holds no message.
    pub(crate) async fn answers(&self) -> Result<(), NatsError> {
        let subject = "$JS.API.INFO".to_owned();
        let nothing = serde_json::json!({});
        let _: serde_json::Value = self
            .exchanges
            .call(subject, &nothing, REPLICA_TIMEOUT * 2)
            .await?;
        Ok(())
    }

    /// One message from the copy that leads, which has everything that was ever acknowledged.
    pub(crate) async fn get_from_leader(
        &self,
        partition: u16,
        question: &DirectGetRequest<'_>,
        within: Duration,
    ) -> Result<Option<StoredMessage>, NatsError> {
        #[derive(Deserialize)]
        struct Answer {
            message: Body,
        }
        #[derive(Deserialize)]
        struct Body {
            subject: String,
            seq: u64,
            #[serde(default)]
            data: String,
        }
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", subjects::stream(partition));
        match self
            .exchanges
            .call::<Answer>(subject, question, within)
            .await
        {
            Ok(Answer { message }) => Ok(Some(StoredMessage {
                place: message.seq,
                subject: message.subject,
                body: STANDARD
                    .decode(message.data)
                    .map_err(|error| NatsError::Unreadable(Box::new(error)))?
                    .into(),
            })),
            Err(failure) if failure.is(refusal::NO_MESSAGE) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

fn stored(message: &Message) -> Result<StoredMessage, NatsError> {
    let headers = message.headers.as_ref();
    let place = number(headers, "Nats-Sequence");
    let subject = headers.and_then(|headers| headers.get_last("Nats-Subject"));
    match (place, subject) {
        (Some(place), Some(subject)) => Ok(StoredMessage {
            place,
            subject: subject.as_str().to_owned(),
            body: message.payload.clone(),
        }),
        _ => Err(unexpected(message)),
    }
}

/// A number among the headers. The server's own come last: a publisher may have sent some before.
pub(crate) fn number(headers: Option<&HeaderMap>, name: &'static str) -> Option<u64> {
    headers?.get_last(name)?.as_str().parse().ok()
}

fn unexpected(message: &Message) -> NatsError {
    let status = message.status.map_or(0, |status| status.as_u16());
    let said = message.description.as_deref().unwrap_or("a bare message");
    NatsError::Unreadable(format!("{status} {said}").into())
}
