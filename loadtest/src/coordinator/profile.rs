//! What happens while the load runs: each profile's own part.

use std::time::Duration;

use anyhow::Context as _;

use super::Coordinator;
use crate::clock::micros;
use crate::ipc::WorkerCommand;
use crate::progress::ProgressSnapshot;
use crate::settings::Profile;
use crate::worker_pool::WorkerPool;

/// Timeout until all clients have recovered, if the limit is shorter.
const FINAL_RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);

impl Coordinator<'_> {
    /// Everything from the first message due to the last.
    pub(super) async fn run_profile(
        &mut self,
        crew: &mut WorkerPool,
        from: u64,
    ) -> anyhow::Result<()> {
        let part = |share: f64| from + micros(self.settings.duration.mul_f64(share));
        let (quarter, half, two_thirds, end) = (part(0.25), part(0.5), part(0.66), part(1.0));
        match self.settings.profile {
            Profile::Stampede => {
                self.until(crew, half).await?;
                let cut = self.clock.now();
                crew.send_command(&WorkerCommand::Cut).await?;
                // Ticks from before the command still report all clients as caught up.
                self.wait_for_recovery(crew, cut, |standing, cut| {
                    standing.all_whole_since.filter(|at| *at >= cut)
                })
                .await?;
            }
            Profile::SlowReaders => {
                self.until(crew, quarter).await?;
                crew.send_command(&WorkerCommand::Stall).await?;
                self.until(crew, two_thirds).await?;
                let again = self.clock.now();
                crew.send_command(&WorkerCommand::Unstall).await?;
                let heads = self.heads().await.context("ask for the rooms' heads")?;
                crew.send_command(&WorkerCommand::Await { heads }).await?;
                self.wait_for_recovery(crew, again, |standing, _| {
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
    async fn wait_for_recovery(
        &mut self,
        crew: &mut WorkerPool,
        since: u64,
        whole: impl Fn(&ProgressSnapshot, u64) -> Option<u64>,
    ) -> anyhow::Result<()> {
        let deadline = since + micros(self.settings.whole_within.max(FINAL_RECOVERY_TIMEOUT));
        while self.clock.now() < deadline {
            let standing = self.progress(crew).await?;
            if let Some(at) = whole(&standing, since) {
                let at = if at < since { self.clock.now() } else { at };
                let took = Duration::from_micros(at - since);
                self.moments.whole_after = Some(took);
                self.view
                    .print(&format!("all whole again after {took:.2?}"));
                return Ok(());
            }
        }
        Ok(())
    }

    async fn reloaded(&mut self, crew: &mut WorkerPool, command: &str) -> anyhow::Result<()> {
        let mut child = self.reload(command)?;
        let status = loop {
            if let Some(status) = child.try_wait().context("wait for the reload command")? {
                break status;
            }
            self.receive(crew).await?;
        };
        if !status.success() {
            self.reasons
                .push(format!("the reload command failed ({status}): {command}"));
        }
        Ok(())
    }
}
