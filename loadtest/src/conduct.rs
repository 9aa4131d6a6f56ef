//! A run from its first room to its verdict.

mod profile;
mod settle;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::api::Api;
use crate::chance::Chance;
use crate::check::{Verdict, check};
use crate::clock::{RunClock, micros};
use crate::crew::Crew;
use crate::live::View;
use crate::orders::{Assignment, Order, Outcome};
use crate::people::Signer;
use crate::plan::Plan;
use crate::record::{Recorder, Recording};
use crate::settings::Settings;
use crate::setup::Host;
use crate::stamp::RUN_BITS;
use crate::watch::{Standing, Watch};

/// How long everybody may take to be connected and whole, beyond the ramp.
const ARRIVE_WITHIN: Duration = Duration::from_secs(30);
/// The part of the seed that nothing of the load follows from.
const NAME: u64 = 3_000;

/// What a run was.
pub struct Run {
    /// What was asked.
    pub settings: Settings,
    /// The plan it followed.
    pub plan: Arc<Plan>,
    /// The clock it ran on.
    pub clock: RunClock,
    /// What the workers counted.
    pub outcomes: Vec<Outcome>,
    /// How it went, second by second.
    pub watch: Watch,
    /// Whether the promises were kept.
    pub verdict: Verdict,
    /// What only this profile has.
    pub moments: Moments,
    /// Why it is no verdict, in sentences.
    pub reasons: Vec<String>,
}

/// Moments and costs of a run that its judgement needs.
#[derive(Debug, Default, Clone)]
pub struct Moments {
    /// From the cut, or from reading again, until all were whole.
    pub whole_after: Option<Duration>,
    /// Everybody was whole at the end.
    pub whole_at_end: bool,
    /// Processor time of the workers while the load ran, in microseconds.
    pub load_cpu_us: u64,
    /// The busiest worker's share of one core while the load ran.
    pub busiest_worker: f64,
    /// Memory of the workers when all were connected, in bytes.
    pub connected_bytes: u64,
    /// Memory of the workers before anybody was.
    pub empty_bytes: u64,
}

/// Runs what `settings` ask for, with `program` as the worker.
pub async fn run(settings: Settings, program: &Path, view: &mut View) -> anyhow::Result<Run> {
    let clock = RunClock::start();
    let plan = Arc::new(Plan::new(&settings));
    let signer = Signer::of(&settings)?;
    let run = u32::try_from(clock.began_ms() & ((1 << RUN_BITS) - 1)).expect("22 bits");
    let salt = Chance::new(clock.began_ms(), NAME ^ u64::from(std::process::id())).bits();
    let prefix = format!("lt{run:x}{:04x}", salt & 0xffff);
    let api = Api::new(&settings.doors);
    let Settings {
        rooms,
        connections,
        seed,
        ..
    } = &settings;
    view.say(&format!(
        "making {rooms} rooms, {prefix}-r0 and on, for {connections} connections; seed {seed}"
    ));
    let host = Host::set_up(api, Arc::clone(&plan), signer.as_ref(), prefix)
        .await
        .context("set up")?;
    let mut conductor = Conductor {
        watch: Watch::new(settings.workers),
        settings,
        plan,
        clock,
        run,
        host,
        moments: Moments::default(),
        reasons: Vec::new(),
        view,
    };
    let played = tokio::select! {
        played = conductor.play(program) => played,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    if !conductor.settings.keep {
        conductor.view.say("taking rooms and accounts away");
        // What was seen still counts, and the room's names have been said.
        if let Err(error) = conductor.host.take_away().await {
            conductor
                .view
                .say(&format!("not everything could be taken away: {error:#}"));
        }
    }
    let (outcomes, recording) = played?;
    conductor
        .view
        .say("checking what was seen against the promises");
    let verdict = check(&recording);
    let Conductor {
        settings,
        plan,
        clock,
        watch,
        moments,
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
        moments,
        reasons,
    })
}

struct Conductor<'v> {
    settings: Settings,
    plan: Arc<Plan>,
    clock: RunClock,
    run: u32,
    host: Host,
    watch: Watch,
    moments: Moments,
    reasons: Vec<String>,
    view: &'v mut View,
}

impl Conductor<'_> {
    async fn play(&mut self, program: &Path) -> anyhow::Result<(Vec<Outcome>, Recording)> {
        let mut crew = Crew::start(program, self.settings.workers, |worker, recording| {
            Assignment {
                settings: self.settings.clone(),
                clock: self.clock,
                run: self.run,
                worker,
                names: self.host.names().clone(),
                recording,
            }
        })
        .await?;
        self.arrive(&mut crew).await?;
        let before = self.costs(&mut crew).await?;
        let from = (self.clock.now() + 200_000).next_multiple_of(1_000_000);
        self.watch.load_begins(from);
        crew.order(&Order::Load { from }).await?;
        self.act(&mut crew, from).await?;
        let after = self.costs(&mut crew).await?;
        self.account(&before, &after);
        self.settle(&mut crew).await?;
        let outcomes = crew.finish().await?;
        self.say_costs(&outcomes);
        let readers = Recorder::in_memory();
        self.read_history(&readers).await.context("read history")?;
        let mut recording = readers.recording()?;
        for worker in 0..self.settings.workers {
            let path = crew.recording(worker);
            let file =
                std::fs::File::open(&path).with_context(|| format!("open {}", path.display()))?;
            recording
                .absorb(file)
                .with_context(|| format!("read {}", path.display()))?;
        }
        Ok((outcomes, recording))
    }

    /// Brings everybody up.
    async fn arrive(&mut self, crew: &mut Crew) -> anyhow::Result<()> {
        self.moments.empty_bytes = self.standing(crew).await?.resident_bytes;
        let from = self.clock.now();
        crew.order(&Order::Connect { from }).await?;
        let ramp = Duration::from_secs_f64(
            crate::plan::as_f64(self.settings.connections) / self.settings.ramp,
        );
        let deadline = from + micros(ramp + ARRIVE_WITHIN);
        loop {
            let standing = self.standing(crew).await?;
            if standing.all_whole_since.is_some() {
                self.moments.connected_bytes = standing.resident_bytes;
                return Ok(());
            }
            if self.clock.now() > deadline {
                let Standing {
                    connections,
                    whole,
                    errors,
                    ..
                } = standing;
                bail!(
                    "{connections} of {} connections came up and {whole} became whole within {:?}; {}",
                    self.settings.connections,
                    ramp + ARRIVE_WITHIN,
                    named(&errors)
                );
            }
        }
    }

    /// Hears ticks until every worker has spoken again; gives how it stands then.
    async fn standing(&mut self, crew: &mut Crew) -> anyhow::Result<Standing> {
        let now = self.clock.now();
        while !self.watch.is_later_than(now) {
            self.hear(crew).await?;
        }
        self.watch
            .standing()
            .context("no worker has said how it stands")
    }

    async fn hear(&mut self, crew: &mut Crew) -> anyhow::Result<()> {
        let worker = crew.listen().await?;
        if let Some(tick) = crew.tick(worker) {
            self.watch.take(worker, tick)?;
            self.view.show(&self.watch, self.clock.now());
        }
        Ok(())
    }

    /// Hears ticks until `at`, in microseconds of the run.
    async fn until(&mut self, crew: &mut Crew, at: u64) -> anyhow::Result<()> {
        while self.clock.now() < at {
            let rest = self.clock.until(at);
            if let Ok(heard) = tokio::time::timeout(rest, self.hear(crew)).await {
                heard?;
            }
        }
        Ok(())
    }

    /// What each worker has used of its processor, and when it said so.
    async fn costs(&mut self, crew: &mut Crew) -> anyhow::Result<Vec<(u64, u64)>> {
        self.standing(crew).await?;
        let ticks = crew.ticks().context("no worker has said how it stands")?;
        Ok(ticks.iter().map(|tick| (tick.at, tick.cpu_us)).collect())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of a run are far below 2^52"
    )]
    fn account(&mut self, before: &[(u64, u64)], after: &[(u64, u64)]) {
        for ((began, cpu_before), (ended, cpu_after)) in before.iter().zip(after) {
            let used = cpu_after - cpu_before;
            self.moments.load_cpu_us += used;
            let share = used as f64 / (ended - began).max(1) as f64;
            self.moments.busiest_worker = self.moments.busiest_worker.max(share);
        }
    }

    /// What the load itself took, so that nobody takes its limits for the fleet's.
    fn say_costs(&mut self, outcomes: &[Outcome]) {
        let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
        let messages = sum(|outcome| outcome.counts.due);
        let deliveries = sum(|outcome| outcome.counts.delivered + outcome.counts.caught_up);
        let held = self
            .moments
            .connected_bytes
            .saturating_sub(self.moments.empty_bytes);
        let each = held / self.settings.connections as u64;
        let future = outcomes.first().map_or(0, |outcome| outcome.future_bytes);
        self.view.say(&format!(
            "the generator itself: {:.2} s of processor time for {messages} sends and {deliveries} deliveries; \
             {} MB with all connected, {each} bytes a connection ({future} of them its task's future)",
            Duration::from_micros(self.moments.load_cpu_us).as_secs_f64(),
            self.moments.connected_bytes >> 20,
        ));
    }

    /// Runs the operator's command.
    fn reload(&mut self, command: &str) -> anyhow::Result<tokio::process::Child> {
        self.view.say(&format!("running: {command}"));
        tokio::process::Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("run the reload command")
    }
}

/// Errors as a list for people.
fn named(errors: &std::collections::BTreeMap<String, u64>) -> String {
    if errors.is_empty() {
        return "no error was seen".to_owned();
    }
    let each = errors
        .iter()
        .map(|(name, count)| format!("{count} × {name}"));
    each.collect::<Vec<_>>().join(", ")
}
