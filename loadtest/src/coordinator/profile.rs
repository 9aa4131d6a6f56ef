//! Runs the profile: disconnections, slow readers and reloads during the load.

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
    /// Runs the load from the first message due to the last.
    pub(super) async fn run_profile(
        &mut self,
        workers: &mut WorkerPool,
        from: u64,
    ) -> anyhow::Result<()> {
        let part = |share: f64| from + micros(self.settings.duration.mul_f64(share));
        let (quarter, half, two_thirds, end) = (part(0.25), part(0.5), part(0.66), part(1.0));
        match self.settings.profile {
            Profile::Stampede => {
                self.until(workers, half).await?;
                let cut = self.clock.now();
                workers.send_command(&WorkerCommand::Cut).await?;
                // Ticks from before the command still report all clients as caught up.
                self.wait_for_recovery(workers, cut, |snapshot, cut| {
                    snapshot.all_caught_up_since.filter(|at| *at >= cut)
                })
                .await?;
            }
            Profile::SlowReaders => {
                self.until(workers, quarter).await?;
                workers.send_command(&WorkerCommand::Stall).await?;
                self.until(workers, two_thirds).await?;
                let again = self.clock.now();
                workers.send_command(&WorkerCommand::Unstall).await?;
                let heads = self.heads().await.context("ask for the rooms' heads")?;
                workers
                    .send_command(&WorkerCommand::Await { heads })
                    .await?;
                self.wait_for_recovery(workers, again, |snapshot, _| {
                    snapshot
                        .all_caught_up_since
                        .filter(|_| snapshot.behind == Some(0))
                })
                .await?;
            }
            Profile::Reload => {
                self.until(workers, quarter).await?;
                if let Some(command) = self.settings.reload_command.clone() {
                    self.reloaded(workers, &command).await?;
                }
            }
            Profile::Steady
            | Profile::Spike
            | Profile::Churn
            | Profile::Broadcast
            | Profile::Idle
            | Profile::Soak => {}
        }
        self.until(workers, end).await
    }

    /// Waits until `whole` returns the time at which all clients had caught up, and records the time since `since`. If that
    /// time is earlier, the missing events arrived in the meantime, and the current time counts.
    async fn wait_for_recovery(
        &mut self,
        workers: &mut WorkerPool,
        since: u64,
        caught_up: impl Fn(&ProgressSnapshot, u64) -> Option<u64>,
    ) -> anyhow::Result<()> {
        let deadline = since + micros(self.settings.recovery_slo.max(FINAL_RECOVERY_TIMEOUT));
        while self.clock.now() < deadline {
            let snapshot = self.progress(workers).await?;
            if let Some(at) = caught_up(&snapshot, since) {
                let at = if at < since { self.clock.now() } else { at };
                let took = Duration::from_micros(at - since);
                self.events.recovery_time = Some(took);
                self.view
                    .print(&format!("all clients caught up after {took:.2?}"));
                return Ok(());
            }
        }
        Ok(())
    }

    async fn reloaded(&mut self, workers: &mut WorkerPool, command: &str) -> anyhow::Result<()> {
        let mut child = self.reload(command)?;
        let status = loop {
            if let Some(status) = child.try_wait().context("wait for the reload command")? {
                break status;
            }
            self.receive(workers).await?;
        };
        if !status.success() {
            self.reasons
                .push(format!("the reload command failed ({status}): {command}"));
        }
        Ok(())
    }
}
