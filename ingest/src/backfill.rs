//! Backfill after a store restart: rewrites what was written last, beside current ingest.
//!
//! A store may forget what it acknowledged: a machine of it that was killed loses its last seconds, and
//! one that was created again has nothing. The log keeps everything. So after every start the minutes before
//! the store's checkpoint are written again, and whenever a node of the store returned, all since some
//! minutes before it left, up to the log's end; which changes nothing where nothing is missing. A stalled partition, whose log has more although its
//! worker has been given all of it already, is brought forward as well.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use roomcast_ports::StoreError;
use roomcast_ports::event_log::LogError;
use roomcast_ports::message_store::ResyncRequests;
use roomcast_protocol::Timestamp;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Ingest;
use crate::new_back_off;
use crate::trim;

/// Entries per write.
const BATCH: usize = 256;
/// How often the checkpoints are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum BackfillError {
    #[error("read the log again")]
    Log(#[from] LogError),
    #[error("write to the store again")]
    Store(#[from] StoreError),
}

/// Reviews until `stop`.
pub(crate) async fn run(ingest: Ingest, stop: CancellationToken) {
    let mut setbacks = ingest.writer.resync_requests();
    tokio::select! {
        () = stop.cancelled() => {}
        () = run_backfill(&ingest, &mut setbacks) => {}
    }
}

/// What the store may have forgotten.
#[derive(Debug, Clone, Copy)]
enum Span {
    /// What was written last before the checkpoint, by whichever process.
    BeforeCheckpoint,
    /// What was written just before a machine left, and all since; `None` when it is not known when it did.
    SinceLoss(Option<Instant>),
}

async fn run_backfill(ingest: &Ingest, setbacks: &mut watch::Receiver<ResyncRequests>) {
    let mut span = Span::BeforeCheckpoint;
    let mut seen = setbacks.borrow_and_update().count();
    loop {
        if let Some(age) = ingest.writer.crash_loss_window() {
            replay_recent(ingest, span, age).await;
        }
        tokio::select! {
            // A store whose watch has ended has no machines that come and go.
            Ok(()) = setbacks.changed() => {}
            () = advance_stalled_partitions(ingest) => {}
            () = trim::run(ingest) => {}
        }
        let now = setbacks.borrow_and_update();
        span = Span::SinceLoss(now.away_since(seen));
        seen = now.count();
        info!("store node restarted; starting a backfill");
    }
}

/// Looks at the partitions that this process was not given, until it is dropped.
async fn advance_stalled_partitions(ingest: &Ingest) {
    let mut places = vec![None; usize::from(ingest.log.partitions())];
    loop {
        sleep(CHECK_INTERVAL).await;
        for (partition, before) in (0..).zip(&mut places) {
            // The worker that has its lease handles it.
            if ingest.held[usize::from(partition)].load(Ordering::Acquire) {
                *before = None;
                continue;
            }
            match advance_stalled_partition(ingest, partition, *before).await {
                Ok(place) => *before = Some(place),
                Err(error) => {
                    *before = None;
                    warn!(partition, ?error, "failed to check a partition");
                }
            }
        }
    }
}

/// Writes again what the store may have forgotten, however often that has to be tried. It forgets what
/// was written within `age` before a machine left.
async fn replay_recent(ingest: &Ingest, span: Span, age: Duration) {
    let mut entries = 0;
    for partition in 0..ingest.log.partitions() {
        let mut back_off = new_back_off();
        loop {
            match replay_partition(ingest, partition, span, age).await {
                Ok(count) => {
                    entries += count;
                    break;
                }
                Err(error) => warn!(partition, ?error, "failed to replay recent events"),
            }
            sleep(back_off.next_delay()).await;
        }
    }
    metrics::counter!("chat_ingest_reviewed_total").increment(entries);
    info!(entries, "replayed recent events");
}

async fn replay_partition(
    ingest: &Ingest,
    partition: u16,
    span: Span,
    age: Duration,
) -> Result<u64, BackfillError> {
    let (from, until) = match span {
        Span::BeforeCheckpoint => before_checkpoint(ingest, partition, age).await?,
        Span::SinceLoss(away_since) => {
            // The store's own checkpoint may be of before the loss, and a worker's in memory is not.
            let end = ingest
                .log
                .position_before(partition, Duration::ZERO)
                .await?;
            let last = ingest.progress[usize::from(partition)].last();
            let from = before_loss(ingest, partition, away_since, age).await?;
            (from, end.max(last))
        }
    };
    replay_range(ingest, partition, from, until).await
}

/// The bounds of what was written last before the store's checkpoint: by the time of the event there, since it
/// may have been a while ago. What is behind the checkpoint is its worker's to write.
async fn before_checkpoint(
    ingest: &Ingest,
    partition: u16,
    age: Duration,
) -> Result<(u64, u64), BackfillError> {
    let place = ingest.writer.checkpoint(partition).await?;
    let Some(before) = place.checked_sub(1) else {
        return Ok((0, 0));
    };
    let batch = ingest.log.read_partition(partition, before, 1).await?;
    let Some(event) = batch.events.first().filter(|it| it.seq.get() == place) else {
        // The log no longer holds it, or cannot read it.
        return Ok((0, place));
    };
    let now = Timestamp::now().as_millis();
    let passed = now.saturating_sub(event.event.sent_at.as_millis());
    let age = age + Duration::from_millis(passed);
    Ok((ingest.log.position_before(partition, age).await?, place))
}

/// A position before all that was written within `age` before a machine left, and since.
async fn before_loss(
    ingest: &Ingest,
    partition: u16,
    away_since: Option<Instant>,
    age: Duration,
) -> Result<u64, BackfillError> {
    let begin = away_since.and_then(|since| since.checked_sub(age));
    let Some(begin) = begin else { return Ok(0) };
    let progress = &ingest.progress[usize::from(partition)];
    if let Some(position) = progress.at(begin) {
        return Ok(position);
    }
    // Another process wrote it then: its events give the time, if it had no lag.
    let position = ingest
        .log
        .position_before(partition, begin.elapsed())
        .await?;
    Ok(progress
        .first()
        .map_or(position, |first| first.min(position)))
}

/// Writes what a partition lacks, if it has not moved since it was looked at before. Gives its checkpoint.
async fn advance_stalled_partition(
    ingest: &Ingest,
    partition: u16,
    before: Option<u64>,
) -> Result<u64, BackfillError> {
    let place = ingest.writer.checkpoint(partition).await?;
    if before == Some(place) {
        let entries = replay_range(ingest, partition, place, u64::MAX).await?;
        if entries > 0 {
            info!(partition, entries, "advanced stalled partition");
        }
    }
    Ok(place)
}

async fn replay_range(
    ingest: &Ingest,
    partition: u16,
    mut from: u64,
    until: u64,
) -> Result<u64, BackfillError> {
    let mut entries = 0;
    while from < until {
        let mut batch = ingest.log.read_partition(partition, from, BATCH).await?;
        if batch.events.is_empty() && batch.unreadable.is_empty() {
            break;
        }
        from = batch.position;
        if batch.position > until {
            batch.events.retain(|stored| stored.seq.get() <= until);
            batch.unreadable.retain(|letter| letter.position <= until);
            batch.position = until;
        }
        entries += (batch.events.len() + batch.unreadable.len()) as u64;
        ingest.apply_batch(partition, &batch).await?;
    }
    Ok(entries)
}
