//! Coordinates a run: sets up rooms, runs the phases in the workers, collects the result.

mod profile;
mod settle;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::api::Api;
use crate::clock::{RunClock, micros};
use crate::ipc::{Outcome, WorkerCommand, WorkerConfig};
use crate::message_tag::RUN_BITS;
use crate::plan::Plan;
use crate::progress::{Progress, ProgressSnapshot};
use crate::progress_view::View;
use crate::rng::Rng;
use crate::settings::Settings;
use crate::setup::SetupClient;
use crate::users::Signer;
use crate::worker_pool::WorkerPool;
use roomcast_checker::history::{Recorder, Recording};
use roomcast_checker::{Verdict, check};

/// Timeout until all clients are connected and caught up, beyond the ramp.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Stream of the seed for the run id, which does not shape the load.
const NAME: u64 = 3_000;

/// Everything that a run produced.
pub struct Run {
    /// The settings.
    pub settings: Settings,
    /// The plan.
    pub plan: Arc<Plan>,
    /// The clock of the run.
    pub clock: RunClock,
    /// The outcomes of the workers.
    pub outcomes: Vec<Outcome>,
    /// The progress, second by second.
    pub watch: Progress,
    /// The result of the checker.
    pub verdict: Verdict,
    /// Events of the profile.
    pub events: RunEvents,
    /// Reasons why there is no verdict.
    pub reasons: Vec<String>,
}

/// Times and resource use that the summary needs.
#[derive(Debug, Default, Clone)]
pub struct RunEvents {
    /// Time from the disconnection, or the end of slow reading, until all clients had caught up.
    pub recovery_time: Option<Duration>,
    /// All clients were caught up at the end.
    pub caught_up_at_end: bool,
    /// Processor time of the workers while the load ran, in microseconds.
    pub load_cpu_us: u64,
    /// The busiest worker's share of one core while the load ran.
    pub busiest_worker: f64,
    /// Memory of the workers when all were connected, in bytes.
    pub connected_bytes: u64,
    /// Memory of the workers before any client connected.
    pub empty_bytes: u64,
}

/// Runs the load of `settings`, with `program` as the worker.
pub async fn run(settings: Settings, program: &Path, view: &mut View) -> anyhow::Result<Run> {
    let clock = RunClock::start();
    let plan = Arc::new(Plan::new(&settings));
    let signer = Signer::of(&settings)?;
    let run = u32::try_from(clock.began_ms() & ((1 << RUN_BITS) - 1)).expect("22 bits");
    let salt = Rng::new(clock.began_ms(), NAME ^ u64::from(std::process::id())).next_u64();
    let prefix = format!("lt{run:x}{:04x}", salt & 0xffff);
    let api = Api::new(&settings.endpoints);
    let Settings {
        rooms,
        connections,
        seed,
        ..
    } = &settings;
    view.print(&format!(
        "making {rooms} rooms, {prefix}-r0 and on, for {connections} connections; seed {seed}"
    ));
    let host = SetupClient::set_up(api, Arc::clone(&plan), signer.as_ref(), prefix)
        .await
        .context("set up")?;
    let mut conductor = Coordinator {
        watch: Progress::new(settings.workers),
        settings,
        plan,
        clock,
        run,
        host,
        events: RunEvents::default(),
        reasons: Vec::new(),
        view,
    };
    let played = tokio::select! {
        played = conductor.run_phases(program) => played,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    if !conductor.settings.keep {
        conductor.view.print("taking rooms and accounts away");
        // The observations still count, and the rooms' names were printed.
        if let Err(error) = conductor.host.teardown().await {
            conductor
                .view
                .print(&format!("not everything could be taken away: {error:#}"));
        }
    }
    let (outcomes, recording) = played?;
    conductor
        .view
        .print("checking what was seen against the promises");
    let verdict = check(&recording);
    let Coordinator {
        settings,
        plan,
        clock,
        watch,
        events,
        reasons,
        ..
    } = conductor;
    Ok(Run {
        settings,
        plan,
        clock,
        outcomes,
        watch,
        verdict,
        events,
        reasons,
    })
}

struct Coordinator<'v> {
    settings: Settings,
    plan: Arc<Plan>,
    clock: RunClock,
    run: u32,
    host: SetupClient,
    watch: Progress,
    events: RunEvents,
    reasons: Vec<String>,
    view: &'v mut View,
}

impl Coordinator<'_> {
    async fn run_phases(&mut self, program: &Path) -> anyhow::Result<(Vec<Outcome>, Recording)> {
        let mut workers = WorkerPool::start(program, self.settings.workers, |worker, recording| {
            WorkerConfig {
                settings: self.settings.clone(),
                clock: self.clock,
                run: self.run,
                worker,
                names: self.host.names().clone(),
                recording,
            }
        })
        .await?;
        self.connect_all(&mut workers).await?;
        let before = self.sample_resources(&mut workers).await?;
        let from = (self.clock.now() + 200_000).next_multiple_of(1_000_000);
        self.watch.load_begins(from);
        workers.send_command(&WorkerCommand::Load { from }).await?;
        self.run_profile(&mut workers, from).await?;
        let after = self.sample_resources(&mut workers).await?;
        self.account(&before, &after);
        self.settle(&mut workers).await?;
        let outcomes = workers.finish().await?;
        self.print_resources(&outcomes);
        let readers = Recorder::in_memory();
        self.read_history(&readers).await.context("read history")?;
        let mut recording = readers.recording()?;
        for worker in 0..self.settings.workers {
            let path = workers.recording(worker);
            let file =
                std::fs::File::open(&path).with_context(|| format!("open {}", path.display()))?;
            recording
                .absorb(file)
                .with_context(|| format!("read {}", path.display()))?;
        }
        Ok((outcomes, recording))
    }

    /// Connects all clients.
    async fn connect_all(&mut self, workers: &mut WorkerPool) -> anyhow::Result<()> {
        self.events.empty_bytes = self.progress(workers).await?.resident_bytes;
        let from = self.clock.now();
        workers
            .send_command(&WorkerCommand::Connect { from })
            .await?;
        let ramp = Duration::from_secs_f64(
            crate::plan::as_f64(self.settings.connections) / self.settings.ramp,
        );
        let deadline = from + micros(ramp + CONNECT_TIMEOUT);
        loop {
            let snapshot = self.progress(workers).await?;
            if snapshot.all_caught_up_since.is_some() {
                self.events.connected_bytes = snapshot.resident_bytes;
                return Ok(());
            }
            if self.clock.now() > deadline {
                let ProgressSnapshot {
                    connections,
                    caught_up,
                    errors,
                    ..
                } = snapshot;
                bail!(
                    "{connections} of {} connections came up and {caught_up} caught up within {:?}; {}",
                    self.settings.connections,
                    ramp + CONNECT_TIMEOUT,
                    named(&errors)
                );
            }
        }
    }

    /// Receives ticks until every worker has sent another one; returns the progress.
    async fn progress(&mut self, workers: &mut WorkerPool) -> anyhow::Result<ProgressSnapshot> {
        let now = self.clock.now();
        while !self.watch.is_later_than(now) {
            self.receive(workers).await?;
        }
        self.watch
            .snapshot()
            .context("no worker has said how it stands")
    }

    async fn receive(&mut self, workers: &mut WorkerPool) -> anyhow::Result<()> {
        let worker = workers.recv().await?;
        if let Some(tick) = workers.tick(worker) {
            self.watch.take(worker, tick)?;
            self.view.show(&self.watch, self.clock.now());
        }
        Ok(())
    }

    /// Receives ticks until `at`, in microseconds of the run.
    async fn until(&mut self, workers: &mut WorkerPool, at: u64) -> anyhow::Result<()> {
        while self.clock.now() < at {
            let rest = self.clock.until(at);
            if let Ok(heard) = tokio::time::timeout(rest, self.receive(workers)).await {
                heard?;
            }
        }
        Ok(())
    }

    /// CPU time of each worker, and when it was reported.
    async fn sample_resources(
        &mut self,
        workers: &mut WorkerPool,
    ) -> anyhow::Result<Vec<(u64, u64)>> {
        self.progress(workers).await?;
        let ticks = workers
            .ticks()
            .context("no worker has said how it stands")?;
        Ok(ticks.iter().map(|tick| (tick.at, tick.cpu_us)).collect())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of a run are far below 2^52"
    )]
    fn account(&mut self, before: &[(u64, u64)], after: &[(u64, u64)]) {
        for ((began, cpu_before), (ended, cpu_after)) in before.iter().zip(after) {
            let used = cpu_after - cpu_before;
            self.events.load_cpu_us += used;
            let share = used as f64 / (ended - began).max(1) as f64;
            self.events.busiest_worker = self.events.busiest_worker.max(share);
        }
    }

    /// Resources of the load generator itself, so that its limits are not taken for the fleet's.
    fn print_resources(&mut self, outcomes: &[Outcome]) {
        let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
        let messages = sum(|outcome| outcome.counts.due);
        let deliveries = sum(|outcome| outcome.counts.delivered + outcome.counts.caught_up);
        let held = self
            .events
            .connected_bytes
            .saturating_sub(self.events.empty_bytes);
        let each = held / self.settings.connections as u64;
        let future = outcomes.first().map_or(0, |outcome| outcome.future_bytes);
        self.view.print(&format!(
            "the generator itself: {:.2} s of processor time for {messages} sends and {deliveries} deliveries; \
             {} MB with all connected, {each} bytes a connection ({future} of them its task's future)",
            Duration::from_micros(self.events.load_cpu_us).as_secs_f64(),
            self.events.connected_bytes >> 20,
        ));
    }

    /// Runs the operator's reload command.
    fn reload(&mut self, command: &str) -> anyhow::Result<tokio::process::Child> {
        self.view.print(&format!("running: {command}"));
        tokio::process::Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("run the reload command")
    }
}

/// Formats errors with their counts.
fn named(errors: &std::collections::BTreeMap<String, u64>) -> String {
    if errors.is_empty() {
        return "no error was seen".to_owned();
    }
    let each = errors
        .iter()
        .map(|(name, count)| format!("{count} × {name}"));
    each.collect::<Vec<_>>().join(", ")
}
