//! The model of a run's report. Written as JSON it is read again by `loadtest compare`, by later versions too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Latency;
use roomcast_checker::Verdict;

/// The report of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The version of this layout.
    pub report: u32,
    /// The version of the program that ran.
    pub program: String,
    /// When the run began, RFC 3339.
    pub began: String,
    /// The status.
    pub status: Status,
    /// Reasons of a run without a verdict.
    pub reasons: Vec<String>,
    /// The profile.
    pub profile: Profile,
    /// The settings, in display order.
    pub settings: Vec<Setting>,
    /// The machine of the load generator.
    pub machine: Machine,
    /// The service levels.
    pub levels: Vec<Threshold>,
    /// The result of the checker.
    pub promises: Verdict,
    /// Latencies; the first is the one that most readers want, from a send's scheduled time to its delivery.
    pub latencies: Vec<Latency>,
    /// Second by second.
    pub seconds: Vec<Second>,
    /// Refusals and failures by code, over the whole run.
    pub errors: BTreeMap<String, u64>,
    /// Resource use of the load generator.
    pub generator: Generator,
}

/// The status of a run; the number is the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Every service level was met and every guarantee kept.
    Met = 0,
    /// A service level was missed.
    Missed = 1,
    /// A guarantee was violated; latencies are meaningless.
    Broken = 2,
    /// The run could not be made as requested, or the load generator limited it.
    NoVerdict = 3,
}

/// The load profile of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name on the command line.
    pub name: String,
    /// A description, without a full stop.
    pub says: String,
}

/// One setting of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its option, without the dashes.
    pub name: String,
    /// Its value as an operator would write it.
    pub value: String,
}

/// A service level: a limit and the measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// What is measured, in a few words: `99 of 100 deliveries`.
    pub name: String,
    /// The limit.
    pub bound: f64,
    /// The measured value; `None` without a measurement, which misses the level.
    pub seen: Option<f64>,
    /// The unit of both.
    pub unit: Unit,
    /// Whether the limit is a minimum.
    #[serde(default)]
    pub at_least: bool,
}

/// The unit of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// A share of one, displayed as per cent.
    Share,
    /// A count.
    Count,
    /// A rate per second.
    PerSecond,
    /// Bytes.
    Bytes,
}

/// One second of a run. Latencies are of deliveries whose send was due in it, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Second {
    /// Seconds since the run began.
    pub at: u32,
    /// Sends that were due.
    pub sent: u64,
    /// Acknowledgements received.
    pub acked: u64,
    /// Deliveries received.
    pub delivered: u64,
    /// Half of the deliveries took at most this long; nothing without deliveries.
    pub p50_ms: Option<f64>,
    /// 99 of 100 took at most this long.
    pub p99_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
    /// Open connections at its end.
    pub connections: u64,
    /// Refusals and failures by code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// The maximum send lag, in milliseconds.
    pub lag_max_ms: f64,
}

/// The machine of the load generator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Machine {
    /// Operating system and its version.
    pub system: String,
    /// The processor's name.
    pub processor: String,
    /// Its cores, as far as the load may use them.
    pub cores: u32,
    /// Bytes.
    pub memory_bytes: u64,
    /// Open files a process may have.
    pub descriptors_max: u64,
}

/// Resource use of the load generator, and whether it limited the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Generator {
    /// Processes that made the load.
    pub workers: u32,
    /// Processor time they used while the load ran, in seconds.
    pub cpu_seconds: f64,
    /// How long the load ran, in seconds.
    pub load_seconds: f64,
    /// Peak memory, in bytes.
    pub memory_bytes: u64,
    /// The median send lag, in milliseconds.
    pub lag_p50_ms: f64,
    /// The 99th percentile.
    pub lag_p99_ms: f64,
    /// The maximum.
    pub lag_max_ms: f64,
    /// The reason why the load generator limited the run, if it did.
    pub limited: Option<String>,
}

/// The version of the layout that is written.
pub const REPORT_VERSION: u32 = 1;

impl Status {
    /// The program's exit status.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status that follows from levels and guarantees.
    pub fn of(levels: &[Threshold], promises: &Verdict, limited: bool) -> Self {
        if !promises.kept() {
            Self::Broken
        } else if limited {
            Self::NoVerdict
        } else if levels.iter().all(Threshold::met) {
            Self::Met
        } else {
            Self::Missed
        }
    }
}

impl Threshold {
    /// Whether it was met.
    pub fn met(&self) -> bool {
        self.seen.is_some_and(|seen| {
            if self.at_least {
                seen >= self.bound
            } else {
                seen <= self.bound
            }
        })
    }
}

impl RunReport {
    /// The report as JSON, with an end of line.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("plain data always serializes");
        json + "\n"
    }

    /// Reads what [`RunReport::to_json`] wrote, in this version or an earlier one.
    pub fn from_json(json: &str) -> anyhow::Result<Self> {
        let report: Self = serde_json::from_str(json)?;
        anyhow::ensure!(
            report.report <= REPORT_VERSION,
            "the report's layout is of version {}, this program knows up to {REPORT_VERSION}",
            report.report
        );
        Ok(report)
    }
}
