//! The 32 streams and their consumers: created, compared with what they should be, and created again
//! when they are gone.
//!
//! A stream's own numbers are the places: it begins at `incarnation << 40 | 1`, so whoever reads or
//! writes it knows its incarnation from the number itself, whenever it was created anew.

pub(crate) mod desired;

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures_util::StreamExt as _;
use futures_util::future::{join_all, try_join_all};
use futures_util::stream::select_all;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::NatsConfig;
use crate::connect::ConnectError;
use crate::exchanges::{ANSWER_WITHIN, Exchanges};
use crate::failure::{Failure, refusal};
use crate::known::Known;
use crate::subjects::{self, PARTITIONS};
use desired::differences;

/// How long streams are waited for at the start.
const THERE_WITHIN: Duration = Duration::from_secs(60);
/// How long one that has gone missing is tried to be put back before the next round.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// How often they are looked at, without being told that one may be missing.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// How long creating may take: many are created at once.
const CREATED_WITHIN: Duration = Duration::from_secs(5);

/// What a stream says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: Value,
    pub(crate) state: StreamState,
    #[serde(default)]
    pub(crate) cluster: Option<Cluster>,
}

/// What it holds.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamState {
    #[serde(rename = "messages")]
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) last_ts: String,
}

/// Where its copies are.
#[derive(Debug, Deserialize)]
pub(crate) struct Cluster {
    #[serde(default)]
    pub(crate) leader: Option<String>,
    #[serde(default)]
    pub(crate) replicas: Vec<Replica>,
}

/// A copy that does not lead.
#[derive(Debug, Deserialize)]
pub(crate) struct Replica {
    #[serde(default)]
    pub(crate) current: bool,
}

/// The streams.
#[derive(Debug)]
pub(crate) struct Streams {
    exchanges: Arc<Exchanges>,
    config: NatsConfig,
    known: Arc<Known>,
    suspicion: Notify,
}

impl Streams {
    pub(crate) fn new(exchanges: Arc<Exchanges>, config: NatsConfig, known: Arc<Known>) -> Self {
        Self {
            exchanges,
            config,
            known,
            suspicion: Notify::new(),
        }
    }

    /// The partitions whose streams this process uses: all of them, or none.
    pub(crate) fn partitions(&self) -> std::ops::Range<u16> {
        0..if self.config.uses_streams {
            PARTITIONS
        } else {
            0
        }
    }

    /// Waits until all are there as they should be; creates and changes them where that is this
    /// process's to do.
    pub(crate) async fn ensure_all(&self) -> Result<(), ConnectError> {
        let until = Instant::now() + THERE_WITHIN;
        try_join_all(self.partitions().map(|partition| async move {
            let info = self.ensure(partition, until).await?;
            self.check_seen(partition, info.state.last_seq).await
        }))
        .await?;
        Ok(())
    }

    /// Something was not there: have a look soon.
    pub(crate) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// Puts back what goes missing, until `stop`.
    pub(crate) async fn keep(
        self: Arc<Self>,
        mut deletions: Vec<Subscriber>,
        stop: CancellationToken,
    ) {
        loop {
            let mut deletions = select_all(&mut deletions);
            tokio::select! {
                () = self.suspicion.notified() => {}
                Some(_) = deletions.next() => {}
                () = sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            let until = Instant::now() + BACK_WITHIN;
            let looks = join_all(
                self.partitions()
                    .map(|partition| self.ensure(partition, until)),
            );
            let found = tokio::select! {
                found = looks => found,
                () = stop.cancelled() => return,
            };
            for error in found.into_iter().filter_map(Result::err) {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "look after the log's streams"
                );
            }
            sleep(PAUSE).await;
        }
    }

    /// Hears of every deletion as the servers tell it.
    pub(crate) async fn deletions(
        client: &Client,
    ) -> Result<Vec<Subscriber>, async_nats::SubscribeError> {
        let stream = client.subscribe("$JS.EVENT.ADVISORY.STREAM.DELETED.*");
        let consumer = client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.DELETED.>");
        let (stream, consumer) = tokio::try_join!(stream, consumer)?;
        Ok(vec![stream, consumer])
    }

    /// What the stream says of itself.
    pub(crate) async fn info(&self, partition: u16) -> Result<StreamInfo, Failure> {
        let subject = format!("$JS.API.STREAM.INFO.{}", subjects::stream(partition));
        let info: StreamInfo = self
            .exchanges
            .call(subject, &json!({}), ANSWER_WITHIN)
            .await?;
        self.known.saw(partition, info.state.last_seq);
        Ok(info)
    }

    async fn ensure(&self, partition: u16, until: Instant) -> Result<StreamInfo, ConnectError> {
        let wanted = desired::stream(&self.config, partition);
        let mut changed = false;
        loop {
            let failure = match self.info(partition).await {
                Ok(info) => {
                    let differences = differences(&wanted, &info.config);
                    if differences.is_empty() {
                        self.ensure_consumer(partition, until).await?;
                        return Ok(info);
                    }
                    if changed || (!self.config.manages_streams && Instant::now() >= until) {
                        let what = subjects::stream(partition);
                        return Err(ConnectError::Mismatch { what, differences });
                    }
                    if self.config.manages_streams {
                        changed = true;
                        self.change(partition, &info.config, &wanted).await.err()
                    } else {
                        None
                    }
                }
                Err(failure) if failure.is(refusal::NO_STREAM) && self.config.manages_streams => {
                    self.create(partition, &wanted).await?
                }
                Err(failure) => Some(failure),
            };
            let Some(failure) = failure else {
                if !self.config.manages_streams {
                    sleep(PAUSE).await;
                }
                continue;
            };
            wait_or_give_up(subjects::stream(partition), failure, until).await?;
        }
    }

    /// Creates the stream; why not, if somebody has to wait for that.
    async fn create(
        &self,
        partition: u16,
        wanted: &Value,
    ) -> Result<Option<Failure>, ConnectError> {
        let seen = self
            .seen_to(partition)
            .await?
            .max(self.known.last(partition));
        let mut config = wanted.clone();
        let first_place = desired::first_place_after(seen);
        config["first_seq"] = json!(first_place);
        let subject = format!("$JS.API.STREAM.CREATE.{}", subjects::stream(partition));
        let created: Result<Value, Failure> =
            self.exchanges.call(subject, &config, CREATED_WITHIN).await;
        match created {
            Ok(_) => {
                info!(partition, first_place, "created a stream of the log");
                Ok(None)
            }
            // Another process was faster.
            Err(failure) if failure.is(refusal::NAME_IN_USE) => Ok(None),
            Err(failure) => Ok(Some(failure)),
        }
    }

    /// Changes what is not as it should be, and leaves what was added.
    async fn change(&self, partition: u16, found: &Value, wanted: &Value) -> Result<(), Failure> {
        let mut config = found.clone();
        for (key, value) in wanted.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let subject = format!("$JS.API.STREAM.UPDATE.{}", subjects::stream(partition));
        let _: Value = self
            .exchanges
            .call(subject, &config, CREATED_WITHIN)
            .await?;
        info!(partition, "changed a stream of the log");
        Ok(())
    }

    /// Whoever manages the streams has the workers' consumers ready as well.
    async fn ensure_consumer(&self, partition: u16, until: Instant) -> Result<(), ConnectError> {
        if !self.config.manages_streams {
            return Ok(());
        }
        let (stream, name) = (subjects::stream(partition), &self.config.consumer);
        let wanted = desired::consumer(name);
        let mut changed = false;
        loop {
            let subject = format!("$JS.API.CONSUMER.INFO.{stream}.{name}");
            let found: Result<Value, Failure> = self
                .exchanges
                .call(subject, &json!({}), ANSWER_WITHIN)
                .await;
            let failure = match found {
                Ok(found) => {
                    let differences = differences(&wanted, &found["config"]);
                    if differences.is_empty() {
                        return Ok(());
                    }
                    if changed {
                        let what = format!("{stream} consumer {name}");
                        return Err(ConnectError::Mismatch { what, differences });
                    }
                    changed = true;
                    self.put_consumer(&stream, &wanted).await.err()
                }
                Err(failure) if failure.is(refusal::NO_CONSUMER) => {
                    self.put_consumer(&stream, &wanted).await.err()
                }
                Err(failure) => Some(failure),
            };
            if let Some(failure) = failure {
                wait_or_give_up(format!("{stream} consumer {name}"), failure, until).await?;
            }
        }
    }

    async fn put_consumer(&self, stream: &str, wanted: &Value) -> Result<(), Failure> {
        let name = &self.config.consumer;
        let subject = format!("$JS.API.CONSUMER.CREATE.{stream}.{name}");
        let question = json!({ "stream_name": stream, "config": wanted, "action": "" });
        let _: Value = self
            .exchanges
            .call(subject, &question, CREATED_WITHIN)
            .await?;
        Ok(())
    }

    async fn seen_to(&self, partition: u16) -> Result<u64, ConnectError> {
        match &self.config.seen_to {
            Some(seen_to) => seen_to(partition).await.map_err(ConnectError::SeenTo),
            None => Ok(0),
        }
    }

    /// A stream that was put back from an older copy would give places again.
    async fn check_seen(&self, partition: u16, last: u64) -> Result<(), ConnectError> {
        if !self.config.manages_streams {
            return Ok(());
        }
        let seen = self.seen_to(partition).await?;
        if seen <= last {
            return Ok(());
        }
        // It may have gone on between the two questions.
        match self.info(partition).await {
            Ok(info) if seen <= info.state.last_seq => Ok(()),
            _ => Err(ConnectError::Older {
                stream: subjects::stream(partition),
                last,
                seen,
            }),
        }
    }
}

async fn wait_or_give_up(
    what: String,
    failure: Failure,
    until: Instant,
) -> Result<(), ConnectError> {
    if Instant::now() >= until {
        return Err(ConnectError::Missing {
            what,
            within: THERE_WITHIN,
            last: Box::new(failure),
        });
    }
    sleep(PAUSE).await;
    Ok(())
}
