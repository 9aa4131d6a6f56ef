//! Forgetting sessions that are over, so that the store doesn't grow with every sign-in there ever was.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::service::Accounts;

const EXPIRY_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How often ends of users are looked for that were left unfinished.
const RESUME_INTERVAL: Duration = Duration::from_secs(30);
/// Timeout after the stop for account deletions in progress.
const FINISH_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an expired session is still kept: long enough that no clock of ours is so far behind.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

impl Accounts {
    /// Forgets sessions long over, once an hour, and resumes ends of users that were left unfinished,
    /// until `stop`; then waits for those in progress. Any number may run concurrently.
    pub async fn run(&self, stop: CancellationToken) {
        let both = async { tokio::join!(self.expiry_loop(), self.resume_loop()) };
        stop.run_until_cancelled(both).await;
        self.tasks.close();
        // What is not finished by then is resumed after the next start.
        let _ = tokio::time::timeout(FINISH_TIMEOUT, self.tasks.wait()).await;
    }

    async fn resume_loop(&self) {
        let mut ticks = interval(RESUME_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.resume_endings().await;
        }
    }

    async fn expiry_loop(&self) {
        let mut ticks = interval(EXPIRY_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.sessions.delete_expired(RETENTION).await {
                Ok(sessions) => debug!(sessions, "deleted expired sessions"),
                Err(cause) => warn!(?cause, "failed to delete expired sessions"),
            }
        }
    }
}
