//! Forgetting sessions that are over, so that the store doesn't grow with every sign-in there ever was.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::service::Accounts;

const EVERY: Duration = Duration::from_secs(60 * 60);
/// How long an expired session is still kept: long enough that no clock of ours is so far behind.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

impl Accounts {
    /// Forgets sessions long over, once an hour, until `stop`. Any number may run at once.
    pub async fn run(&self, stop: CancellationToken) {
        stop.run_until_cancelled(self.forget_for_ever()).await;
    }

    async fn forget_for_ever(&self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.sessions.forget_expired(KEPT_FOR).await {
                Ok(sessions) => debug!(sessions, "forgot sessions that are over"),
                Err(cause) => warn!(?cause, "failed to forget sessions that are over"),
            }
        }
    }
}
