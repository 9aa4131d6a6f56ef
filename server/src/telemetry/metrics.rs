//! Metrics, for Prometheus.
//!
//! The four that dashboards are built on are there from the first scrape, at zero: an alert on a series
//! that does not exist never fires.

use std::time::Duration;

use anyhow::Context as _;
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

const FANOUT_MS: &str = "chat_messages_fanout_latency_ms";
const FANOUT_BUCKETS_MS: [f64; 13] = [
    1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 250.0, 500.0, 1000.0, 2500.0,
];
/// For everything measured in seconds.
const SECONDS_BUCKETS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// How often the recorder puts its samples together; between scrapes they would pile up.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Starts recording, for the life of the process.
pub fn start() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(FANOUT_MS.to_owned()), &FANOUT_BUCKETS_MS)
        .and_then(|builder| {
            let seconds = Matcher::Suffix("_seconds".to_owned());
            builder.set_buckets_for_metric(seconds, &SECONDS_BUCKETS)
        })
        .context("set the buckets of histograms")?
        .install_recorder()
        .context("start recording metrics")?;
    describe();
    Ok(handle)
}

/// Keeps the recorder's memory bounded until `stop`.
pub async fn upkeep_loop(handle: PrometheusHandle, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    let upkeep = async {
        loop {
            ticks.tick().await;
            handle.run_upkeep();
        }
    };
    stop.run_until_cancelled(upkeep).await;
}

fn describe() {
    describe_gauge!(
        "chat_ws_active_sessions",
        "WebSocket connections with a good token"
    );
    gauge!("chat_ws_active_sessions").set(0.0);
    describe_counter!(
        "chat_messages_ingested_total",
        "Messages written from the log into the store"
    );
    counter!("chat_messages_ingested_total").absolute(0);
    describe_gauge!(
        "chat_outbound_bytes",
        Unit::Bytes,
        "Encoded bytes of this process that clients have not taken yet"
    );
    describe_counter!(
        "chat_outbound_refusals_total",
        "Connections, replays and pages refused because the process has too many bytes to send"
    );
    describe_counter!(
        "chat_http_stalls_total",
        "HTTP responses that were cut because the client took nothing"
    );
    describe_counter!(
        "chat_log_lines_dropped_total",
        "Log lines that standard error did not take: closed, full, or not read"
    );
    describe_histogram!(
        FANOUT_MS,
        Unit::Milliseconds,
        "Milliseconds from a message's acceptance by a gateway to its being written to the sockets of its room"
    );
    let _ = histogram!(FANOUT_MS);
    describe_gauge!(
        "presence_online_users",
        "Users online or away, in the whole fleet: aggregate with max"
    );
    gauge!("presence_online_users").set(0.0);
}
