//! `roomcast replay`: redrives dead letters.

use std::io::Write as _;

use anyhow::Context as _;
use roomcast_ingest::Ingest;

use crate::backends;
use crate::config::Settings;

/// Redrives the dead letters: writes every one that this version can read into the store, and reports how
/// many there were. What still cannot be read stays; doing it again is safe.
pub async fn redrive(settings: &Settings) -> anyhow::Result<()> {
    let backends = backends::open(settings).await?;
    let ingest = Ingest::new(
        backends.log.clone(),
        backends.writer.clone(),
        backends.dead_letters.clone(),
    );
    let replayed = ingest.redrive().await.context("replay dead letters");
    backends.close().await;
    let replayed = replayed?;
    let (written, kept) = (replayed.written, replayed.kept);
    // The exit status is right even if standard output is closed.
    let _ = writeln!(
        std::io::stdout(),
        "{written} dead letters written, {kept} still unreadable"
    );
    Ok(())
}
