//! The model of a run's report. Written as JSON it is read again by `loadtest compare`, by later versions too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Latency;
use roomcast_checker::Verdict;

/// Everything a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The version of this layout.
    pub report: u32,
    /// The version of the program that ran.
    pub program: String,
    /// When the run began, RFC 3339.
    pub began: String,
    /// How it ended.
    pub status: Status,
    /// Why it could not run or be judged, in sentences; empty when it could.
    pub reasons: Vec<String>,
    /// The profile.
    pub profile: Profile,
    /// What was asked, in the order to be shown.
    pub settings: Vec<Setting>,
    /// Where the load came from.
    pub machine: Machine,
    /// The service levels and whether they held.
    pub levels: Vec<Threshold>,
    /// The promises and whether they were kept.
    pub promises: Verdict,
    /// Latencies; the first is the one that most readers want, from a send's scheduled time to its delivery.
    pub latencies: Vec<Latency>,
    /// Second by second.
    pub seconds: Vec<Second>,
    /// Refusals and failures by code, over the whole run.
    pub errors: BTreeMap<String, u64>,
    /// What the load itself cost.
    pub generator: Generator,
}

/// How a run ended; the number is the program's exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Every service level held and every promise was kept.
    Met = 0,
    /// A service level was missed.
    Missed = 1,
    /// A promise was broken; the figures mean nothing.
    Broken = 2,
    /// It could not run as asked, or the load generator was what limited it: no verdict.
    NoVerdict = 3,
}

/// What happened during a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its word on the command line.
    pub name: String,
    /// What it does, in a sentence without an end.
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

/// A service level: a bound, and what was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// What is measured, in a few words: `99 of 100 deliveries`.
    pub name: String,
    /// The bound.
    pub bound: f64,
    /// What was seen; nothing when there was nothing to see, which misses the level.
    pub seen: Option<f64>,
    /// Of both.
    pub unit: Unit,
    /// Whether more is better; otherwise less is.
    #[serde(default)]
    pub at_least: bool,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// Parts of one, shown as per cent.
    Share,
    /// How many.
    Count,
    /// How many a second.
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
    /// Acknowledgements that came.
    pub acked: u64,
    /// Deliveries that came.
    pub delivered: u64,
    /// Half of the deliveries took at most this long; nothing without deliveries.
    pub p50_ms: Option<f64>,
    /// 99 of 100 took at most this long.
    pub p99_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
    /// Connections that stood at its end.
    pub connections: u64,
    /// Refusals and failures by code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// How late the load itself was at worst, in milliseconds.
    pub lag_max_ms: f64,
}

/// Where the load came from.
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

/// What the load itself cost, and whether it was what limited the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Generator {
    /// Processes that made the load.
    pub workers: u32,
    /// Processor time they used while the load ran, in seconds.
    pub cpu_seconds: f64,
    /// How long the load ran, in seconds.
    pub load_seconds: f64,
    /// The most memory they held, in bytes.
    pub memory_bytes: u64,
    /// How late sends left after they were due, in milliseconds: half of them, 99 of 100, the worst.
    pub lag_p50_ms: f64,
    /// 99 of 100.
    pub lag_p99_ms: f64,
    /// The worst.
    pub lag_max_ms: f64,
    /// Why the load itself limited the run; nothing when it did not.
    pub limited: Option<String>,
}

/// The version of the layout that is written.
pub const REPORT_VERSION: u32 = 1;

impl Status {
    /// The program's exit status.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What follows from levels and promises, when the run could be made as asked.
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
    /// Whether it held.
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
