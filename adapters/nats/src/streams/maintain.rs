//! Stream maintenance: detects missing, full and replaced streams while the process runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{Message, SubscribeError, Subscriber};
use futures_util::StreamExt as _;
use futures_util::stream::select_all;
use metrics::gauge;
use roomcast_ports::back_off::BackOff;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::Streams;
use super::found::StreamInfo;
use super::spec::incarnation;
use crate::connect::ConnectError;
use crate::subjects;

/// Interval of stream checks without a hint that one is missing.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Between two looks, however often something is suspected.
const CHECK_DELAY: Duration = Duration::from_millis(20);
/// Delays before a stream that could not be looked at, or is not what it was, is looked at again.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How long one that has gone missing is tried to be put back before the next round.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of the store's checkpoint read. Without its answer, what this process observed
/// itself has to do: sends continue while the store is down.
const STORE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a stream has to end before what was seen of it, until it counts as restored from an older copy. A leader
/// that has just been elected may lack for milliseconds what it has not applied.
const RESTORED_AFTER: Duration = Duration::from_secs(1);

impl Streams {
    /// Starts looking at the streams, and ends with `stop`.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(), SubscribeError> {
        if self.config.manages_streams {
            let client = &self.link.client;
            let stream = client.subscribe("$JS.EVENT.ADVISORY.STREAM.DELETED.*");
            let consumer = client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.DELETED.>");
            let known = client.subscribe(subjects::OBSERVED);
            let (stream, consumer, known) = tokio::try_join!(stream, consumer, known)?;
            let hints = vec![stream, consumer, known];
            tracker.spawn(Arc::clone(self).take_hints(hints, stop.clone()));
        }
        for partition in self.partitions() {
            tracker.spawn(Arc::clone(self).maintain(partition, stop.clone()));
        }
        Ok(())
    }

    /// Checks streams on hints, until `stop`.
    async fn take_hints(self: Arc<Self>, hints: Vec<Subscriber>, stop: CancellationToken) {
        let mut hints = select_all(hints);
        loop {
            let hint = tokio::select! {
                hint = hints.next() => hint,
                () = stop.cancelled() => return,
            };
            let Some(hint) = hint else { return };
            if let Some((partition, place)) = known_in(&hint) {
                self.known_elsewhere(partition, place);
                continue;
            }
            for partition in self.partitions() {
                self.request_check(partition);
            }
        }
    }

    /// Another process observed this seq. One of another incarnation is ignored.
    fn known_elsewhere(&self, partition: u16, place: u64) {
        let known = self.known.last(partition);
        if place > known && incarnation(place) == incarnation(known) {
            self.known.observe(partition, place);
            self.request_check(partition);
        }
    }

    /// Looks at one stream until `stop`: puts back what goes missing where that is this process's to do, and
    /// verifies after each reconnect that the stream is the one it was.
    async fn maintain(self: Arc<Self>, partition: u16, stop: CancellationToken) {
        let mut fortunes = self.link.fortunes.clone();
        let mut back_off = BackOff::new(BACKOFF_MIN, BACKOFF_MAX);
        let mut behind_since = None;
        loop {
            let found = tokio::select! {
                found = self.check(partition, &mut behind_since) => found,
                // A question that went with the connection is never answered.
                Ok(()) = fortunes.changed() => continue,
                () = stop.cancelled() => return,
            };
            let wait = match found {
                Ok(true) => {
                    back_off.reset();
                    CHECK_INTERVAL
                }
                Ok(false) => back_off.next_delay(),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    if self.config.manages_streams {
                        warn!(partition, error, "failed to check a stream of the log");
                    } else {
                        debug!(partition, error, "failed to check a stream of the log");
                    }
                    back_off.next_delay()
                }
            };
            tokio::select! {
                () = self.suspicions[usize::from(partition)].notified() => sleep(CHECK_DELAY).await,
                // The sender lives as long as the connection.
                Ok(()) = fortunes.changed() => {}
                () = sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Whether the stream is there and has everything that was seen of it.
    async fn check(
        &self,
        partition: u16,
        behind_since: &mut Option<Instant>,
    ) -> Result<bool, ConnectError> {
        if !self.link.is_connected() {
            return Ok(false);
        }
        let epoch = self.link.epoch();
        let ticket = self.continuity.ticket(partition, epoch);
        if !self.continuity.is_verified(partition, epoch)
            && let Ok(Ok(seen)) = timeout(STORE_TIMEOUT, self.high_watermark(partition)).await
        {
            self.known.observe(partition, seen);
        }
        // What is stored from here on may be known before the answer, and not be in it.
        let known = self.known.last(partition);
        let info = if self.config.manages_streams {
            self.ensure(partition, Instant::now() + RECOVERY_TIMEOUT)
                .await?
        } else {
            let info = self.info(partition).await;
            info.map_err(|failure| ConnectError::Unreachable(Box::new(failure)))?
        };
        self.measure(partition, &info);
        let last = info.state.last_seq;
        if last >= known {
            *behind_since = None;
            self.continuity.verified(partition, ticket);
            return Ok(true);
        }
        self.continuity.doubt(partition);
        let since = *behind_since.get_or_insert_with(|| {
            warn!(
                partition,
                last, known, "stream ends below its high watermark"
            );
            Instant::now()
        });
        if self.config.manages_streams {
            if since.elapsed() >= RESTORED_AFTER {
                self.begin_incarnation(partition, &info).await?;
            }
        } else {
            // Those who can do something about it may know less.
            let subject = subjects::observed(partition);
            let told = self
                .link
                .client
                .publish(subject, known.to_string().into())
                .await;
            told.map_err(|error| ConnectError::Unreachable(Box::new(error)))?;
        }
        Ok(false)
    }

    /// Publishes how much room is left in the stream that has the least.
    pub(super) fn measure(&self, partition: u16, info: &StreamInfo) {
        self.headroom[usize::from(partition)].store(info.headroom().to_bits(), Ordering::Relaxed);
        let all = self.headroom.iter();
        let least = all
            .map(|bits| f64::from_bits(bits.load(Ordering::Relaxed)))
            .fold(1.0, f64::min);
        gauge!("chat_log_headroom_ratio").set(least);
    }
}

/// The partition and seq that a process of the fleet reports.
fn known_in(hint: &Message) -> Option<(u16, u64)> {
    let partition = subjects::partition_of_observed(&hint.subject)?;
    let place = std::str::from_utf8(&hint.payload).ok()?.parse().ok()?;
    Some((partition, place))
}
