//! The specification of streams and consumers, and how existing ones differ.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::found::StreamInfo;
use crate::config::{NatsConfig, PARTITION_BYTES_MAX};
use crate::subjects;

/// Bits of a seq below the incarnation of its stream.
const INCARNATION_SHIFT: u32 = 40;
/// How long a stream knows the ids of its events.
pub(crate) const DUPLICATE_WINDOW_SECONDS: u64 = 120;
/// How long events stay before ingest trims them.
pub(crate) const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of one message at most: an event, and some for its headers.
pub(crate) const MESSAGE_BYTES_MAX: usize = roomcast_protocol::limits::EVENT_BYTES_MAX + 2_048;
/// What workers of one kind are called together.
pub(crate) const WORKERS: &str = "workers";
/// A worker that has not asked for so long has lost its partition.
pub(crate) const SILENT_MAX_MS: u64 = 4_000;
/// Messages given to a worker and not yet acknowledged, at most.
const UNACKNOWLEDGED_MAX: u32 = 8_192;
/// When what a worker did not acknowledge comes again: soon, since what a silent worker was given last
/// may be the only sign for the next worker that it is pinned.
const ACK_TIMEOUT_SECONDS: u64 = 5;

const NANOS: u64 = 1_000_000_000;

/// The incarnation that a seq is in.
pub(crate) const fn incarnation(place: u64) -> u64 {
    place >> INCARNATION_SHIFT
}

/// The first seq of a stream that is created when seqs up to `seen` were seen of the one before.
pub(crate) const fn first_seq_after(seen: u64) -> u64 {
    (((seen >> INCARNATION_SHIFT) + 1) << INCARNATION_SHIFT) | 1
}

/// A partition's stream, but for its size: see [`size`] and `Streams::raise`.
///
/// The servers delete nothing by themselves, neither by age nor for space: what is not in the store yet would go
/// silently. They refuse what does not fit, and ingest trims what it has derived.
pub(crate) fn stream(config: &NatsConfig, partition: u16) -> Value {
    let appended = subjects::appended(&config.region, partition);
    let stored = subjects::all_stored(partition);
    json!({
        "name": subjects::stream(partition),
        "subjects": [appended],
        "subject_transform": { "src": appended, "dest": stored },
        "republish": { "src": stored, "dest": subjects::live(&config.region, partition) },
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_age": 0,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_msg_size": MESSAGE_BYTES_MAX,
        "max_consumers": 10_000,
        "duplicate_window": DUPLICATE_WINDOW_SECONDS * NANOS,
        "allow_direct": true,
        "deny_delete": true,
        "deny_purge": false,
    })
}

/// The size of a new stream.
pub(crate) fn size(config: &NatsConfig, replicas: usize) -> Map<String, Value> {
    let bytes_max = config.partition_bytes_max.unwrap_or(PARTITION_BYTES_MAX);
    Map::from_iter([
        ("num_replicas".to_owned(), json!(replicas)),
        ("max_bytes".to_owned(), json!(bytes_max)),
    ])
}

/// How an existing stream's size differs from the configuration.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Resize {
    /// What is to be raised, with its new value.
    pub(crate) raised: Map<String, Value>,
    /// What stays larger than configured, as text: a start never lowers a limit.
    pub(crate) kept: Vec<String>,
}

/// Compares the stream's size with the configuration; what this leaves open is as it should be.
pub(crate) fn resize(config: &NatsConfig, found: &StreamInfo) -> Resize {
    let replicas = config
        .replicas
        .map(|wanted| (wanted as u64, found.replicas() as u64));
    let bytes_max = config
        .partition_bytes_max
        .map(|wanted| (wanted, found.bytes_max().unwrap_or(u64::MAX)));
    let mut resize = Resize::default();
    for (key, numbers) in [("num_replicas", replicas), ("max_bytes", bytes_max)] {
        match numbers {
            Some((wanted, found)) if wanted > found => {
                resize.raised.insert(key.to_owned(), json!(wanted));
            }
            Some((wanted, found)) if wanted < found => {
                let found = if found == u64::MAX {
                    "unlimited".to_owned()
                } else {
                    found.to_string()
                };
                resize
                    .kept
                    .push(format!("{key} stays {found}, not lowered to {wanted}"));
            }
            _ => {}
        }
    }
    resize
}

/// The consumer that workers share: one of them is given everything, the next one takes over. Where it is
/// lives in the servers' memory only: the position that counts is in the store, and agreeing on this one
/// on three disks would cost as much as the messages.
pub(crate) fn consumer(name: &str) -> Value {
    json!({
        "name": name,
        "durable_name": name,
        "deliver_policy": "all",
        "ack_policy": "all",
        "ack_wait": ACK_TIMEOUT_SECONDS * NANOS,
        "max_deliver": -1,
        "max_ack_pending": UNACKNOWLEDGED_MAX,
        "max_waiting": 512,
        "replay_policy": "instant",
        "mem_storage": true,
        "priority_groups": [WORKERS],
        "priority_policy": "pinned_client",
        "priority_timeout": SILENT_MAX_MS * 1_000_000,
    })
}

/// Each wanted setting that is not so. A server that does not know a setting leaves it out silently,
/// which shows here.
pub(crate) fn differences(wanted: &Value, found: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for (key, wanted) in wanted.as_object().into_iter().flatten() {
        let found = found.get(key).unwrap_or(&Value::Null);
        if wanted.is_object() {
            for difference in self::differences(wanted, found) {
                differences.push(format!("{key}.{difference}"));
            }
        } else if wanted != found {
            differences.push(format!("{key} is {found}, not {wanted}"));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_stream_begins_above_everything_seen() {
        assert_eq!(first_seq_after(0), (1 << 40) + 1);
        let seen = (7 << 40) + 12_345;
        assert_eq!(first_seq_after(seen), (8 << 40) + 1);
        assert!(first_seq_after(first_seq_after(0)) > (1 << 40) + (1 << 39));
    }

    #[test]
    fn every_difference_is_named_with_both_sides() {
        let config = NatsConfig::new(vec![], "local", "test");
        let wanted = stream(&config, 3);
        assert!(differences(&wanted, &wanted).is_empty());
        let mut found = wanted.clone();
        found["max_msg_size"] = json!(5);
        found["republish"]["dest"] = json!("elsewhere.>");
        found.as_object_mut().unwrap().remove("allow_direct");
        found["description"] = json!("an addition");
        let named = differences(&wanted, &found);
        assert_eq!(named.len(), 3, "{named:?}");
        assert!(named.contains(&"allow_direct is null, not true".to_owned()));
        let republish = r#"republish.dest is "elsewhere.>", not "live.local.3.>""#;
        assert!(named.contains(&republish.to_owned()), "{named:?}");
    }

    fn found(replicas: u64, bytes_max: i64) -> StreamInfo {
        serde_json::from_value(json!({
            "config": { "num_replicas": replicas, "max_bytes": bytes_max },
            "state": {
                "messages": 0, "bytes": 0, "first_seq": 1, "last_seq": 0,
                "first_ts": "0001-01-01T00:00:00Z", "last_ts": "0001-01-01T00:00:00Z",
            },
        }))
        .expect("the answer has this shape")
    }

    #[test]
    fn a_stream_is_raised_to_what_is_configured_and_never_lowered() {
        let told = NatsConfig {
            replicas: Some(3),
            partition_bytes_max: Some(1_000),
            ..NatsConfig::new(vec![], "local", "test")
        };
        let resized = |config: &NatsConfig, replicas, bytes_max| {
            let resize = resize(config, &found(replicas, bytes_max));
            (Value::Object(resize.raised), resize.kept.len())
        };
        let raised = json!({ "num_replicas": 3, "max_bytes": 1_000 });
        assert_eq!(resized(&told, 1, 999), (raised, 0));
        assert_eq!(resized(&told, 3, 1_000), (json!({}), 0));
        assert_eq!(resized(&told, 5, 1_001), (json!({}), 2));
        let raised = json!({ "num_replicas": 3 });
        assert_eq!(resized(&told, 1, -1), (raised, 1), "without a limit");
        let untold = NatsConfig::new(vec![], "local", "test");
        assert_eq!(resized(&untold, 1, 5), (json!({}), 0));
        assert_eq!(resized(&untold, 5, -1), (json!({}), 0));
    }
}
