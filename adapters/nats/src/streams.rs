//! The 32 streams and their consumers: created, compared with what they should be, and created again
//! when they are gone.
//!
//! A stream's own sequence numbers are the seqs: it starts at `incarnation << 40 | 1`, so readers and
//! writers know the incarnation from the number itself, also after the stream was created again.

mod consumer;
pub(crate) mod found;
mod incarnation;
mod maintain;
pub(crate) mod spec;
mod trim;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use roomcast_ports::back_off::BackOff;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::config::NatsConfig;
use crate::connect::ConnectError;
use crate::connection::NatsConnection;
use crate::continuity::Continuity;
use crate::error::{NatsError, refusal};
use crate::observed_seqs::ObservedSeqs;
use crate::request::{REPLY_TIMEOUT, RequestMux};
use crate::subjects::{self, PARTITIONS};
use found::StreamInfo;
use spec::differences;

/// How long streams are waited for at the start.
const STREAM_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two tries.
const RETRY_AFTER: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// How long creating may take: many are created concurrently.
const CREATE_TIMEOUT: Duration = Duration::from_secs(5);
/// Default replicas of a new stream, where there are servers for them.
const REPLICAS: usize = 3;
/// How long a cluster that has fewer servers may take to find the others, before its new streams have one copy.
const PEERS_TIMEOUT: Duration = Duration::from_secs(15);
/// The server's error text for too few known servers; when some are away the text continues.
const FEWER_SERVERS: &str = "no suitable peers for placement";

/// The streams.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) continuity: Continuity,
    link: NatsConnection,
    exchanges: Arc<RequestMux>,
    config: NatsConfig,
    known: Arc<ObservedSeqs>,
    suspicions: [Notify; PARTITIONS as usize],
    /// By partition, the bits of the share of its bytes that is free.
    headroom: [AtomicU64; PARTITIONS as usize],
    /// The cluster has too few servers for [`REPLICAS`] copies.
    has_few_servers: AtomicBool,
    warned_of_size: AtomicBool,
    begun: Instant,
}

impl Streams {
    pub(crate) fn new(
        link: NatsConnection,
        exchanges: Arc<RequestMux>,
        config: NatsConfig,
        known: Arc<ObservedSeqs>,
    ) -> Self {
        let full = 1.0_f64.to_bits();
        Self {
            continuity: Continuity::default(),
            link,
            exchanges,
            config,
            known,
            suspicions: std::array::from_fn(|_| Notify::new()),
            headroom: std::array::from_fn(|_| AtomicU64::new(full)),
            has_few_servers: AtomicBool::new(false),
            warned_of_size: AtomicBool::new(false),
            begun: Instant::now(),
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
        let until = Instant::now() + STREAM_TIMEOUT;
        try_join_all(self.partitions().map(|partition| async move {
            let ticket = self.continuity.ticket(partition, self.link.epoch());
            let info = self.ensure(partition, until).await?;
            self.measure(partition, &info);
            self.check_high_watermark(partition, info.state.last_seq)
                .await?;
            self.continuity.verified(partition, ticket);
            Ok(())
        }))
        .await?;
        Ok(())
    }

    /// Something of the partition was not there, or not what it can be: have a look soon.
    pub(crate) fn request_check(&self, partition: u16) {
        self.suspicions[usize::from(partition)].notify_one();
    }

    /// The stream's info.
    pub(crate) async fn info(&self, partition: u16) -> Result<StreamInfo, NatsError> {
        let subject = format!("$JS.API.STREAM.INFO.{}", subjects::stream(partition));
        let info: StreamInfo = self
            .exchanges
            .call(subject, &json!({}), REPLY_TIMEOUT)
            .await?;
        self.known.observe(partition, info.state.last_seq);
        self.known.has_replicas(partition, info.replicas());
        Ok(info)
    }

    async fn ensure(&self, partition: u16, until: Instant) -> Result<StreamInfo, ConnectError> {
        let wanted = spec::stream(&self.config, partition);
        let mut changed = false;
        let mut back_off = BackOff::new(RETRY_AFTER, RETRY_MAX);
        loop {
            let failure = match self.info(partition).await {
                Ok(info) => {
                    let mut differences = differences(&wanted, &info.config);
                    let raised = self.raise(&info);
                    if differences.is_empty() && raised.is_empty() {
                        self.ensure_consumer(partition, until).await?;
                        return Ok(info);
                    }
                    if changed || (!self.config.manages_streams && Instant::now() >= until) {
                        let what = subjects::stream(partition);
                        differences
                            .extend(raised.iter().map(|(key, to)| format!("{key} is not {to}")));
                        return Err(ConnectError::Mismatch { what, differences });
                    }
                    if self.config.manages_streams {
                        let change = self.update(partition, &info.config, &wanted, raised);
                        let failure = change.await.err();
                        changed = failure.is_none();
                        failure
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
                    sleep(back_off.next_delay()).await;
                }
                continue;
            };
            wait_or_fail(subjects::stream(partition), failure, until, &mut back_off).await?;
        }
    }

    /// Size limits that this process has to raise. A larger stream stays as it is.
    fn raise(&self, info: &StreamInfo) -> Map<String, Value> {
        if !self.config.manages_streams {
            return Map::new();
        }
        let spec::Resize { raised, kept } = spec::resize(&self.config, info);
        if !kept.is_empty() && !self.warned_of_size.swap(true, Ordering::Relaxed) {
            let stream = &info.config["name"];
            warn!(%stream, kept = kept.join("; "), "a start lowers no stream of the log");
        }
        raised
    }

    /// Creates the stream; the reason, if the caller has to wait.
    async fn create(
        &self,
        partition: u16,
        wanted: &Value,
    ) -> Result<Option<NatsError>, ConnectError> {
        let seen = self
            .high_watermark(partition)
            .await?
            .max(self.known.last(partition));
        let first_place = spec::first_seq_after(seen);
        let replicas = self.replicas_of_new(partition);
        let mut config = wanted.clone();
        config["first_seq"] = json!(first_place);
        for (key, value) in spec::size(&self.config, replicas) {
            config[key] = value;
        }
        let subject = format!("$JS.API.STREAM.CREATE.{}", subjects::stream(partition));
        let created: Result<Value, NatsError> =
            self.exchanges.call(subject, &config, CREATE_TIMEOUT).await;
        match created {
            Ok(_) => {
                info!(
                    partition,
                    first_place, replicas, "created a stream of the log"
                );
                Ok(None)
            }
            // Another process was faster.
            Err(failure) if failure.is(refusal::NAME_IN_USE) => Ok(None),
            Err(failure) if self.config.replicas.is_none() && self.lacks_servers(&failure) => {
                if !self.has_few_servers.swap(true, Ordering::Relaxed) {
                    warn!("log has fewer than {REPLICAS} servers: new streams get one copy");
                }
                Ok(None)
            }
            Err(failure) => Ok(Some(failure)),
        }
    }

    /// The configured number, else that of the stream before, else what the cluster has servers for.
    fn replicas_of_new(&self, partition: u16) -> usize {
        let before = Some(self.known.replicas(partition)).filter(|replicas| *replicas > 0);
        let few = self.has_few_servers.load(Ordering::Relaxed);
        let default = if few { 1 } else { REPLICAS };
        self.config.replicas.or(before).unwrap_or(default)
    }

    /// Whether this refusal means that there are, and will be, too few servers for [`REPLICAS`] copies.
    fn lacks_servers(&self, failure: &NatsError) -> bool {
        let lacks_peers = matches!(failure, NatsError::Refused(refused)
            if refused.err_code == refusal::NO_PEERS && refused.description == FEWER_SERVERS);
        failure.is(refusal::NOT_CLUSTERED) || (lacks_peers && self.begun.elapsed() >= PEERS_TIMEOUT)
    }

    /// Changes what is not as it should be, and leaves what was added.
    async fn update(
        &self,
        partition: u16,
        found: &Value,
        wanted: &Value,
        raised: Map<String, Value>,
    ) -> Result<(), NatsError> {
        let mut config = found.clone();
        let wanted = wanted.as_object().cloned().unwrap_or_default();
        for (key, value) in wanted.into_iter().chain(raised) {
            config[key] = value;
        }
        let subject = format!("$JS.API.STREAM.UPDATE.{}", subjects::stream(partition));
        let _: Value = self
            .exchanges
            .call(subject, &config, CREATE_TIMEOUT)
            .await?;
        info!(partition, "changed a stream of the log");
        Ok(())
    }

    async fn high_watermark(&self, partition: u16) -> Result<u64, ConnectError> {
        match &self.config.seen_to {
            Some(seen_to) => seen_to(partition).await.map_err(ConnectError::SeenTo),
            None => Ok(0),
        }
    }

    /// A stream that was put back from an older copy would give seqs again.
    async fn check_high_watermark(&self, partition: u16, last: u64) -> Result<(), ConnectError> {
        let seen = self.high_watermark(partition).await?;
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

async fn wait_or_fail(
    what: String,
    failure: NatsError,
    until: Instant,
    back_off: &mut BackOff,
) -> Result<(), ConnectError> {
    if Instant::now() >= until {
        return Err(ConnectError::Missing {
            what,
            within: STREAM_TIMEOUT,
            last: Box::new(failure),
        });
    }
    sleep(back_off.next_delay()).await;
    Ok(())
}
