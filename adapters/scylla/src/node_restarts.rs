//! Detects a node's return, which may have lost its last confirmed writes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomcast_ports::message_store::ResyncRequests;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// How often the nodes are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A node that is not connected.
struct Away {
    /// `None` when it was away at the first look.
    since: Option<Instant>,
}

/// Looks at the nodes until `stop`, and counts in `setbacks` those that returned and those that are down.
pub(crate) async fn watch_nodes(
    client: Arc<Client>,
    setbacks: watch::Sender<ResyncRequests>,
    stop: CancellationToken,
) {
    // Since when each node is away; nothing while it is connected.
    let mut nodes: HashMap<u128, Option<Away>> = HashMap::new();
    // It may have left at any time since the last look.
    let mut seen_at = Instant::now();
    loop {
        let state = client.session.get_cluster_state();
        for node in state.get_nodes_info() {
            let is_first_look = !nodes.contains_key(&node.host_id.as_u128());
            let away = nodes.entry(node.host_id.as_u128()).or_default();
            match (node.is_connected(), away.take()) {
                (true, None) => {}
                (true, Some(Away { since })) => {
                    tracing::info!(node = %node.address, "store node is up again");
                    setbacks.send_modify(|setbacks| setbacks.add(since));
                }
                (false, None) => {
                    tracing::warn!(node = %node.address, "store node is down");
                    let since = (!is_first_look).then_some(seen_at);
                    *away = Some(Away { since });
                }
                (false, Some(still)) => *away = Some(still),
            }
        }
        let away = state.get_nodes_info().iter();
        let away = away.filter(|node| !node.is_connected()).count();
        setbacks.send_if_modified(|setbacks| {
            setbacks.set_away(away);
            // Receivers wait for returns.
            false
        });
        seen_at = Instant::now();
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
        }
    }
}
