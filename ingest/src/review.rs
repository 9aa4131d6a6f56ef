//! A second look at what was written last, beside what is being written now.
//!
//! A store may forget what it acknowledged: a machine of it that was killed loses its last seconds, and
//! one that was made anew has nothing. The log does not forget. So after every start, and whenever a
//! machine of the store came back, its last minutes are written again, which changes nothing where
//! nothing is missing. A partition that nobody brings forward although the log has more, since its
//! worker has been given all of it already, is brought forward as well.

use std::sync::atomic::Ordering;
use std::time::Duration;

use roomcast_ports::StoreError;
use roomcast_ports::event_log::LogError;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Ingest;
use crate::back_off::BackOff;
use crate::trim;

/// Entries written at once.
const BATCH: usize = 256;
/// How often the places are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum ReviewError {
    #[error("read the log again")]
    Log(#[from] LogError),
    #[error("write to the store again")]
    Store(#[from] StoreError),
}

/// Reviews until `stop`.
pub(crate) async fn run(ingest: Ingest, stop: CancellationToken) {
    let mut setbacks = ingest.writer.setbacks();
    tokio::select! {
        () = stop.cancelled() => {}
        () = review_always(&ingest, &mut setbacks) => {}
    }
}

async fn review_always(ingest: &Ingest, setbacks: &mut watch::Receiver<u64>) {
    loop {
        setbacks.mark_unchanged();
        if let Some(age) = ingest.writer.may_forget() {
            write_again(ingest, age).await;
        }
        tokio::select! {
            // A store whose watch has ended has no machines that come and go.
            Ok(()) = setbacks.changed() => {}
            () = bring_all_forward(ingest) => {}
            () = trim::run(ingest) => {}
        }
        info!("a machine of the store came back");
    }
}

/// Looks at the partitions that this process was not given, until it is dropped.
async fn bring_all_forward(ingest: &Ingest) {
    let mut places = vec![None; usize::from(ingest.log.partitions())];
    loop {
        sleep(LOOK_EVERY).await;
        for (partition, before) in (0..).zip(&mut places) {
            // Whoever has been given it sees to it.
            if ingest.held[usize::from(partition)].load(Ordering::Acquire) {
                *before = None;
                continue;
            }
            match bring_forward(ingest, partition, *before).await {
                Ok(place) => *before = Some(place),
                Err(error) => {
                    *before = None;
                    warn!(partition, ?error, "a partition cannot be looked at");
                }
            }
        }
    }
}

/// Writes the log's last `age` again, however often that has to be tried.
async fn write_again(ingest: &Ingest, age: Duration) {
    let mut entries = 0;
    for partition in 0..ingest.log.partitions() {
        let mut back_off = BackOff::default();
        loop {
            match write_partition_again(ingest, partition, age).await {
                Ok(count) => {
                    entries += count;
                    break;
                }
                Err(error) => warn!(partition, ?error, "the log's last minutes wait"),
            }
            sleep(back_off.next()).await;
        }
    }
    metrics::counter!("chat_ingest_reviewed_total").increment(entries);
    info!(entries, "the log's last minutes have been written again");
}

async fn write_partition_again(
    ingest: &Ingest,
    partition: u16,
    age: Duration,
) -> Result<u64, ReviewError> {
    // What is behind the place is its worker's to write.
    let until = ingest.writer.place(partition).await?;
    let from = ingest.log.position_before(partition, age).await?;
    write_stretch(ingest, partition, from, until).await
}

/// Writes what a partition lacks, if it has not moved since it was looked at before. Gives its place.
async fn bring_forward(
    ingest: &Ingest,
    partition: u16,
    before: Option<u64>,
) -> Result<u64, ReviewError> {
    let place = ingest.writer.place(partition).await?;
    if before == Some(place) {
        let entries = write_stretch(ingest, partition, place, u64::MAX).await?;
        if entries > 0 {
            info!(partition, entries, "brought forward what nobody was given");
        }
    }
    Ok(place)
}

async fn write_stretch(
    ingest: &Ingest,
    partition: u16,
    mut from: u64,
    until: u64,
) -> Result<u64, ReviewError> {
    let mut entries = 0;
    while from < until {
        let mut batch = ingest.log.stretch(partition, from, BATCH).await?;
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
        ingest.derive(partition, &batch).await?;
    }
    Ok(entries)
}
