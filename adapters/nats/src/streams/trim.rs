//! Log trimming: deletes events that the store has durably, once a day old or when space is short.

use metrics::counter;
use roomcast_protocol::Timestamp;
use serde_json::{Value, json};
use tracing::debug;

use super::found::{StreamInfo, StreamState, sortable};
use super::{CREATE_TIMEOUT, Streams, spec};
use crate::error::NatsError;
use crate::subjects;

/// Space is short when a stream uses more than this share of its bytes.
const SHORT: Share = Share(3, 4);
/// Then it is trimmed to this share.
const ENOUGH: Share = Share(5, 8);

/// A share, as a fraction.
struct Share(u64, u64);

impl Share {
    const fn of(&self, bytes: u64) -> u64 {
        bytes / self.1 * self.0
    }
}

impl Streams {
    /// Deletes what is no longer needed, at most up to `settled`; `expired` finds the last seq that is older than
    /// the retention, and is asked only when there is one.
    pub(crate) async fn trim(
        &self,
        partition: u16,
        settled: u64,
        expired: impl AsyncFnOnce() -> Result<u64, NatsError>,
    ) -> Result<(), NatsError> {
        let known = self.known.last(partition);
        let info = self.info(partition).await?;
        self.measure(partition, &info);
        // One that was restored from an older copy is left to those who notice that.
        if info.state.events == 0 || info.state.last_seq < known {
            return Ok(());
        }
        let mut last = surplus(&info);
        if is_expired(&info.state) {
            last = last.max(expired().await?);
        }
        let last = last.min(settled);
        if last < info.state.first_seq {
            return Ok(());
        }
        let subject = format!("$JS.API.STREAM.PURGE.{}", subjects::stream(partition));
        let question = json!({ "seq": last + 1 });
        let _: Value = self
            .exchanges
            .call(subject, &question, CREATE_TIMEOUT)
            .await?;
        let events = last + 1 - info.state.first_seq;
        debug!(partition, events, last, "trimmed a stream of the log");
        counter!("chat_log_trimmed_total").increment(events);
        Ok(())
    }
}

/// The last seq that has to go for there to be enough space, by the events' mean size; 0 while there is.
fn surplus(info: &StreamInfo) -> u64 {
    let StreamState {
        events,
        bytes,
        first_seq,
        ..
    } = info.state;
    let Some(bytes_max) = info.bytes_max() else {
        return 0;
    };
    if bytes <= SHORT.of(bytes_max) {
        return 0;
    }
    let surplus = u128::from(bytes - ENOUGH.of(bytes_max).min(bytes));
    let count = surplus * u128::from(events) / u128::from(bytes.max(1)) + 1;
    first_seq - 1 + u64::try_from(count).unwrap_or(events).min(events)
}

fn is_expired(state: &StreamState) -> bool {
    let age = u64::try_from(spec::RETENTION.as_millis()).unwrap_or(u64::MAX);
    let oldest = Timestamp::from_millis(Timestamp::now().as_millis().saturating_sub(age));
    sortable(&state.first_ts) < sortable(&oldest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(events: u64, bytes: u64, bytes_max: i64) -> StreamInfo {
        serde_json::from_value(json!({
            "config": { "num_replicas": 1, "max_bytes": bytes_max },
            "state": {
                "messages": events, "bytes": bytes, "first_seq": 1_001, "last_seq": 1_000 + events,
                "first_ts": "2026-11-28T00:00:00Z", "last_ts": "2026-11-28T00:00:00Z",
            },
        }))
        .expect("the answer has this shape")
    }

    #[test]
    fn the_oldest_events_go_when_three_quarters_are_used_until_five_eighths_are() {
        assert_eq!(surplus(&info(75, 7_500, 10_000)), 0);
        assert_eq!(surplus(&info(76, 7_600, 10_000)), 1_000 + 14);
        assert_eq!(surplus(&info(100, 10_000, 10_000)), 1_000 + 38);
        assert_eq!(surplus(&info(1, 10_000, 10_000)), 1_001, "at most all");
        assert_eq!(surplus(&info(100, 10_000, -1)), 0, "without a limit");
    }
}
