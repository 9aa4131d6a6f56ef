//! Noticing that a node has come back, which may have forgotten what it confirmed last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// How often the nodes are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at the nodes until `stop`, and counts in `setbacks` those that came back.
pub(crate) async fn watch_nodes(
    client: Arc<Client>,
    setbacks: watch::Sender<u64>,
    stop: CancellationToken,
) {
    let mut connected: HashMap<u128, bool> = HashMap::new();
    loop {
        let state = client.session.get_cluster_state();
        for node in state.get_nodes_info() {
            let now = node.is_connected();
            let before = connected.insert(node.host_id.as_u128(), now);
            if before == Some(false) && now {
                tracing::info!(node = %node.address, "a node of the store has come back");
                setbacks.send_modify(|count| *count += 1);
            } else if before == Some(true) && !now {
                tracing::warn!(node = %node.address, "a node of the store is away");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
