//! Builds the report of a run from the outcomes of its workers.

mod inputs;
mod levels;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use roomcast_protocol::Timestamp;

use crate::clock::micros;
use crate::coordinator::{Run, RunEvents};
use crate::ipc::Outcome;
use crate::plan::as_f64;
use crate::progress::Progress;
use crate::report::model::REPORT_VERSION;
use crate::report::{Generator, Latency, Profile, RunReport, Second, Status};
use crate::settings::Settings;
use crate::stats::{Counts, EncodedHistogram, FanoutProgress, LatencyHistogram, times};

/// Share of a core above which a worker counts as the limit of the run.
const BUSY_MAX: f64 = 0.9;
/// Share of the service level above which the p99 of send lag counts as the limit of the run.
const LAG_SHARE_MAX: f64 = 0.1;
/// Send lag that is always acceptable, in microseconds.
const LAG_ALLOWED_US: u64 = 10_000;

/// The sum of the outcomes of all workers.
pub(crate) struct Sum {
    pub(crate) counts: Counts,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) prompt: LatencyHistogram,
    pub(crate) late: LatencyHistogram,
    pub(crate) acks: LatencyHistogram,
    pub(crate) lag: LatencyHistogram,
    pub(crate) connects: LatencyHistogram,
    pub(crate) away: LatencyHistogram,
    pub(crate) reach: HashMap<(u8, u32), FanoutProgress>,
    pub(crate) cpu_us: u64,
    pub(crate) peak_bytes: u64,
}

impl Sum {
    fn of(outcomes: &[Outcome]) -> anyhow::Result<Self> {
        let mut sum = Self {
            counts: Counts::default(),
            errors: BTreeMap::new(),
            prompt: times(),
            late: times(),
            acks: times(),
            lag: times(),
            connects: times(),
            away: times(),
            reach: HashMap::new(),
            cpu_us: 0,
            peak_bytes: 0,
        };
        for outcome in outcomes {
            sum.counts.add(&outcome.counts);
            for (name, count) in &outcome.errors {
                *sum.errors.entry(name.clone()).or_default() += count;
            }
            let packed: [(&EncodedHistogram, &mut LatencyHistogram); 6] = [
                (&outcome.prompt, &mut sum.prompt),
                (&outcome.late, &mut sum.late),
                (&outcome.acks, &mut sum.acks),
                (&outcome.lag, &mut sum.lag),
                (&outcome.connects, &mut sum.connects),
                (&outcome.away, &mut sum.away),
            ];
            for (part, whole) in packed {
                part.add_to(whole)?;
            }
            for (worker, number, reach) in &outcome.reach {
                sum.reach.entry((*worker, *number)).or_default().add(*reach);
            }
            sum.cpu_us += outcome.cpu_us;
            sum.peak_bytes += outcome.peak_bytes;
        }
        Ok(sum)
    }

    /// All deliveries.
    pub(crate) fn all(&self) -> LatencyHistogram {
        let mut all = self.prompt.clone();
        // Both have the same bounds.
        let _ = all.add(&self.late);
        all
    }

    /// Latency until the last member, of messages that reached all `members`.
    pub(crate) fn last_member(&self, members: u64) -> LatencyHistogram {
        let mut last = times();
        for reach in self.reach.values().filter(|reach| reach.members >= members) {
            crate::stats::record(&mut last, reach.last_us);
        }
        last
    }
}

/// The report of a completed run.
pub fn report(run: &Run) -> anyhow::Result<RunReport> {
    let sum = Sum::of(&run.outcomes)?;
    let generator = generator(&run.settings, &sum, &run.events);
    let levels = levels::of(&run.settings, &run.plan, &sum, &run.events);
    let status = if run.reasons.is_empty() || !run.verdict.kept() {
        Status::of(&levels, &run.verdict, generator.limited.is_some())
    } else {
        Status::NoVerdict
    };
    let broken = status == Status::Broken;
    let mut reasons = run.reasons.clone();
    reasons.extend(generator.limited.clone());
    Ok(RunReport {
        // A run that broke a promise has no latency: what is fast and wrong is not fast.
        levels: if broken { Vec::new() } else { levels },
        latencies: if broken {
            Vec::new()
        } else {
            latencies(&run.settings, &sum)
        },
        seconds: seconds(&run.watch, run.settings.duration, broken),
        generator,
        reasons,
        status,
        promises: run.verdict.clone(),
        errors: sum.errors,
        ..empty(&run.settings, run.clock.began_ms())
    })
}

/// The report of a run that failed for `reasons`.
pub fn no_run(settings: &Settings, reasons: Vec<String>) -> RunReport {
    RunReport {
        reasons,
        ..empty(settings, Timestamp::now().as_millis())
    }
}

fn empty(settings: &Settings, began_ms: u64) -> RunReport {
    RunReport {
        report: REPORT_VERSION,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        began: Timestamp::from_millis(began_ms).to_string(),
        status: Status::NoVerdict,
        reasons: Vec::new(),
        profile: Profile {
            name: settings.profile.as_str().to_owned(),
            says: settings.profile.description().to_owned(),
        },
        settings: inputs::settings(settings),
        machine: inputs::machine(),
        levels: Vec::new(),
        promises: roomcast_checker::Verdict::default(),
        latencies: Vec::new(),
        seconds: Vec::new(),
        errors: BTreeMap::new(),
        generator: Generator::default(),
    }
}

fn generator(settings: &Settings, sum: &Sum, events: &RunEvents) -> Generator {
    let at = |quantile: f64| in_ms(sum.lag.value_at_quantile(quantile));
    let lag = sum.lag.value_at_quantile(0.99);
    let allowed = micros(settings.slo.mul_f64(LAG_SHARE_MAX)).max(LAG_ALLOWED_US);
    let limited = if !sum.lag.is_empty() && lag > allowed {
        Some(format!(
            "the load generator itself was late: one send in a hundred left {:.1} ms or more after it was due, \
             and {:.1} ms is what the service level leaves for that",
            in_ms(lag),
            in_ms(allowed)
        ))
    } else if events.busiest_worker > BUSY_MAX {
        Some(format!(
            "the load generator had no processor time left: a worker used {:.0} % of its core",
            events.busiest_worker * 100.0
        ))
    } else {
        None
    };
    Generator {
        workers: u32::try_from(settings.workers).unwrap_or(u32::MAX),
        cpu_seconds: in_ms(events.load_cpu_us) / 1_000.0,
        load_seconds: settings.duration.as_secs_f64(),
        memory_bytes: sum.peak_bytes,
        lag_p50_ms: at(0.5),
        lag_p99_ms: at(0.99),
        lag_max_ms: in_ms(sum.lag.max()),
        limited,
    }
}

fn latencies(settings: &Settings, sum: &Sum) -> Vec<Latency> {
    let mut list = Vec::new();
    let mut add = |name: &str, says: &str, times: &LatencyHistogram| {
        if !times.is_empty() {
            list.push(Latency::of(name, says, times));
        }
    };
    if settings.profile.disturbs() {
        add(
            "delivery",
            "from due to delivered, live and of a sender who was connected when it was due",
            &sum.prompt,
        );
        add(
            "late delivery",
            "the rest: replayed, read from history, or of a sender who was away or slow, or due before all were back from a cut",
            &sum.late,
        );
    } else {
        add(
            "delivery",
            "from due to delivered, whatever was in between",
            &sum.all(),
        );
    }
    add(
        "last member",
        "from due to delivered to the last member",
        &sum.last_member(settings.connections as u64),
    );
    add("acknowledgement", "from due to acknowledged", &sum.acks);
    add(
        "connecting",
        "from the first packet to the greeting",
        &sum.connects,
    );
    add(
        "away",
        "from losing the connection to lacking nothing",
        &sum.away,
    );
    list
}

/// The seconds in which messages were due.
fn seconds(watch: &Progress, duration: Duration, broken: bool) -> Vec<Second> {
    let times = |times: &LatencyHistogram, quantile: f64| {
        (!times.is_empty() && !broken).then(|| in_ms(times.value_at_quantile(quantile)))
    };
    let second = |(at, second): (&u64, &crate::progress::Second)| Second {
        at: u32::try_from(*at).unwrap_or(u32::MAX),
        sent: second.counts.due,
        acked: second.counts.acked,
        delivered: second.counts.delivered + second.counts.caught_up,
        p50_ms: times(&second.times, 0.5),
        p99_ms: times(&second.times, 0.99),
        max_ms: times(&second.times, 1.0),
        connections: second.connections.iter().sum(),
        errors: second.errors.clone(),
        lag_max_ms: in_ms(second.lag_us),
    };
    let until = micros(duration).div_ceil(1_000_000);
    watch.seconds().range(..until).map(second).collect()
}

/// Microseconds as milliseconds.
pub(crate) fn in_ms(us: u64) -> f64 {
    as_f64(usize::try_from(us).unwrap_or(usize::MAX)) / 1_000.0
}
