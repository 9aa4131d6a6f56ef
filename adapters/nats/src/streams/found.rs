//! Stream information from the servers.

use serde::Deserialize;
use serde_json::Value;

/// A stream as it is.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: Value,
    pub(crate) state: StreamState,
    #[serde(default)]
    pub(crate) cluster: Option<Cluster>,
}

/// What it holds.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamState {
    #[serde(rename = "messages")]
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) first_seq: u64,
    pub(crate) first_ts: String,
    pub(crate) last_seq: u64,
    pub(crate) last_ts: String,
}

/// Where its copies are.
#[derive(Debug, Deserialize)]
pub(crate) struct Cluster {
    #[serde(default)]
    pub(crate) leader: Option<String>,
    #[serde(default)]
    pub(crate) replicas: Vec<Replica>,
}

/// A copy that does not lead.
#[derive(Debug, Deserialize)]
pub(crate) struct Replica {
    #[serde(default)]
    pub(crate) current: bool,
}

impl StreamInfo {
    /// How many copies it is configured to have.
    pub(crate) fn replicas(&self) -> usize {
        let replicas = self.config["num_replicas"].as_u64().unwrap_or(1);
        usize::try_from(replicas).unwrap_or(1)
    }

    /// How many bytes it may have; `None` is any number.
    pub(crate) fn bytes_max(&self) -> Option<u64> {
        // The servers write -1 for "no limit".
        self.config["max_bytes"].as_u64()
    }

    /// The share of its bytes that is free, from 0 to 1.
    pub(crate) fn headroom(&self) -> f64 {
        let Some(bytes_max) = self.bytes_max() else {
            return 1.0;
        };
        #[expect(clippy::cast_precision_loss, reason = "a share on a dashboard")]
        let used = self.state.bytes as f64 / bytes_max.max(1) as f64;
        (1.0 - used).max(0.0)
    }
}

/// A moment as the servers write it, with all digits, so that later ones sort behind it.
pub(crate) fn sortable(moment: &str) -> String {
    let moment = moment.trim_end_matches('Z');
    let (seconds, fraction) = moment.split_once('.').unwrap_or((moment, ""));
    format!("{seconds}.{fraction:0<9}")
}

#[cfg(test)]
mod tests {
    use super::sortable;

    #[test]
    fn moments_sort_by_time_however_many_digits_they_have() {
        let sorted = [
            "2026-11-21T18:25:25Z",
            "2026-11-21T18:25:25.05Z",
            "2026-11-21T18:25:25.5Z",
            "2026-11-21T18:25:25.500001Z",
            "2026-11-21T18:25:26.001Z",
        ];
        assert!(sorted.is_sorted_by_key(|moment| sortable(moment)));
    }
}
