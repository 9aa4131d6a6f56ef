//! Runs `loadtest` to its end and reads what it wrote.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What `--json` wrote.
    pub(crate) report: Value,
}

/// Runs it against `address` with these options. The service levels are wide, so that a slow machine
/// does not fail the test.
pub(crate) fn loadtest(address: &str, scratch: &Path, options: &str) -> Ended {
    let json = scratch.join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args([
            "--url",
            &format!("ws://{address}"),
            "--slo-ms",
            "8000",
            "--whole-within",
            "20s",
            "--json",
        ])
        .arg(&json)
        .args(options.split_whitespace())
        .output()
        .expect("run loadtest");
    let report = std::fs::read(&json).unwrap_or_default();
    Ended {
        status: output.status.code().expect("no signal ended it"),
        stdout: String::from_utf8(output.stdout).expect("output is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("output is UTF-8"),
        report: serde_json::from_slice(&report).unwrap_or_default(),
    }
}

impl Ended {
    /// Fails with the whole output unless it ended with this status.
    pub(crate) fn expect(&self, status: i32) -> &Self {
        assert_eq!(self.status, status, "{}\n{}", self.stderr, self.stdout);
        self
    }

    /// A counter of the checker.
    pub(crate) fn checked(&self, name: &str) -> u64 {
        self.report["promises"]["checked"][name]
            .as_u64()
            .expect("a number")
    }

    /// The measured value of a service level.
    pub(crate) fn seen(&self, level: &str) -> f64 {
        let levels = self.report["levels"].as_array().expect("levels");
        let found = levels.iter().find(|one| one["name"] == level);
        let seen = found.and_then(|one| one["seen"].as_f64());
        seen.unwrap_or_else(|| panic!("nothing was seen of {level}: {}", self.stdout))
    }

    /// The violations, by kind.
    pub(crate) fn violations(&self) -> Vec<&str> {
        let violations = self.report["promises"]["violations"]
            .as_array()
            .expect("violations");
        violations
            .iter()
            .filter_map(|one| one["kind"].as_str())
            .collect()
    }

    /// How often an error was counted.
    pub(crate) fn errors(&self, name: &str) -> u64 {
        self.report["errors"][name].as_u64().unwrap_or_default()
    }
}
