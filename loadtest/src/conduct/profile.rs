//! What happens while the load runs: each profile's own part.

use std::time::Duration;

use anyhow::Context as _;

use super::Conductor;
use crate::clock::micros;
use crate::crew::Crew;
use crate::orders::Order;
use crate::settings::Profile;
use crate::watch::Standing;

/// How long everybody may take to be whole again before the run gives up waiting, if the bound is shorter.
const WHOLE_AT_LAST: Duration = Duration::from_secs(60);

impl Conductor<'_> {
    /// Everything from the first message due to the last.
    pub(super) async fn act(&mut self, crew: &mut Crew, from: u64) -> anyhow::Result<()> {
        let part = |share: f64| from + micros(self.settings.duration.mul_f64(share));
        let (quarter, half, two_thirds, end) = (part(0.25), part(0.5), part(0.66), part(1.0));
        match self.settings.profile {
            Profile::Stampede => {
                self.until(crew, half).await?;
                let cut = self.clock.now();
                crew.order(&Order::Cut).await?;
                // Ticks from before the order was heard say that all are whole, since earlier.
                self.whole_again(crew, cut, |standing, cut| {
                    standing.all_whole_since.filter(|at| *at >= cut)
                })
                .await?;
            }
            Profile::SlowReaders => {
                self.until(crew, quarter).await?;
                crew.order(&Order::Stall).await?;
                self.until(crew, two_thirds).await?;
                let again = self.clock.now();
                crew.order(&Order::Unstall).await?;
                let heads = self.heads().await.context("ask for the rooms' heads")?;
                crew.order(&Order::Await { heads }).await?;
                self.whole_again(crew, again, |standing, _| {
                    standing
                        .all_whole_since
                        .filter(|_| standing.behind == Some(0))
                })
                .await?;
            }
            Profile::Reload => {
                self.until(crew, quarter).await?;
                if let Some(command) = self.settings.reload_command.clone() {
                    self.reloaded(crew, &command).await?;
                }
            }
            Profile::Steady
            | Profile::Spike
            | Profile::Churn
            | Profile::Broadcast
            | Profile::Idle
            | Profile::Soak => {}
        }
        self.until(crew, end).await
    }

    /// Waits until `whole` names a moment at which all are, and notes how long it took since `since`. Where that
    /// moment lies before, what was missing came in since, and it is now.
    async fn whole_again(
        &mut self,
        crew: &mut Crew,
        since: u64,
        whole: impl Fn(&Standing, u64) -> Option<u64>,
    ) -> anyhow::Result<()> {
        let deadline = since + micros(self.settings.whole_within.max(WHOLE_AT_LAST));
        while self.clock.now() < deadline {
            let standing = self.standing(crew).await?;
            if let Some(at) = whole(&standing, since) {
                let at = if at < since { self.clock.now() } else { at };
                let took = Duration::from_micros(at - since);
                self.moments.whole_after = Some(took);
                self.view.say(&format!("all whole again after {took:.2?}"));
                return Ok(());
            }
        }
        Ok(())
    }

    async fn reloaded(&mut self, crew: &mut Crew, command: &str) -> anyhow::Result<()> {
        let mut child = self.reload(command)?;
        let status = loop {
            if let Some(status) = child.try_wait().context("wait for the reload command")? {
                break status;
            }
            self.hear(crew).await?;
        };
        if !status.success() {
            self.reasons
                .push(format!("the reload command failed ({status}): {command}"));
        }
        Ok(())
    }
}
