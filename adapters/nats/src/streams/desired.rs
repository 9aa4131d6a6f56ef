//! What the streams and consumers of the log are to be, and how what is there differs.

use serde_json::{Value, json};

use crate::config::NatsConfig;
use crate::subjects;

/// Bits of a place below the incarnation of its stream.
const INCARNATION_SHIFT: u32 = 40;
/// How long a stream knows the ids of its events.
pub(crate) const REMEMBERS_SECONDS: u64 = 120;
/// How long events stay at most.
const KEEPS_SECONDS: u64 = 24 * 60 * 60;
/// Bytes of one message at most: an event, and some for its headers.
pub(crate) const MESSAGE_BYTES_MAX: usize = roomcast_protocol::limits::EVENT_BYTES_MAX + 2_048;
/// What workers of one kind are called together.
pub(crate) const WORKERS: &str = "workers";
/// A worker that has not asked for so long has lost its partition.
pub(crate) const SILENT_MAX_MS: u64 = 4_000;
/// Messages given to a worker and not yet acknowledged, at most.
const UNACKNOWLEDGED_MAX: u32 = 8_192;
/// When what a worker did not acknowledge comes again: soon, since what a silent worker was given last
/// may be all there is to tell the next one that it is its turn.
const ACKNOWLEDGED_WITHIN_SECONDS: u64 = 5;

const NANOS: u64 = 1_000_000_000;

/// The first place of a stream that is created when places up to `seen` were seen of the one before.
pub(crate) const fn first_place_after(seen: u64) -> u64 {
    (((seen >> INCARNATION_SHIFT) + 1) << INCARNATION_SHIFT) | 1
}

/// A partition's stream.
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
        "num_replicas": config.replicas,
        "discard": "old",
        "max_age": KEEPS_SECONDS * NANOS,
        "max_bytes": config.partition_bytes_max,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_msg_size": MESSAGE_BYTES_MAX,
        "max_consumers": 10_000,
        "duplicate_window": REMEMBERS_SECONDS * NANOS,
        "allow_direct": true,
        "deny_delete": true,
        "deny_purge": true,
    })
}

/// The consumer that workers share: one of them is given everything, the next one takes over. Where it is
/// lives in the servers' memory only: the place that counts is in the store, and agreeing on this one
/// on three disks would cost as much as the messages.
pub(crate) fn consumer(name: &str) -> Value {
    json!({
        "name": name,
        "durable_name": name,
        "deliver_policy": "all",
        "ack_policy": "all",
        "ack_wait": ACKNOWLEDGED_WITHIN_SECONDS * NANOS,
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
        assert_eq!(first_place_after(0), (1 << 40) + 1);
        let seen = (7 << 40) + 12_345;
        assert_eq!(first_place_after(seen), (8 << 40) + 1);
        assert!(first_place_after(first_place_after(0)) > (1 << 40) + (1 << 39));
    }

    #[test]
    fn every_difference_is_named_with_both_sides() {
        let config = NatsConfig::new(vec![], "local", "test");
        let wanted = stream(&config, 3);
        assert!(differences(&wanted, &wanted).is_empty());
        let mut found = wanted.clone();
        found["max_bytes"] = json!(5);
        found["republish"]["dest"] = json!("elsewhere.>");
        found.as_object_mut().unwrap().remove("allow_direct");
        found["description"] = json!("an addition");
        let named = differences(&wanted, &found);
        assert_eq!(named.len(), 3, "{named:?}");
        assert!(named.contains(&"allow_direct is null, not true".to_owned()));
        let republish = r#"republish.dest is "elsewhere.>", not "live.local.3.>""#;
        assert!(named.contains(&republish.to_owned()), "{named:?}");
    }
}
