//! How the keyspaces are spread over the nodes.

use std::time::Duration;

use scylla::client::session::Session;
use tokio::time::sleep;

use crate::config::ScyllaConfig;
use crate::flavour::Flavour;

/// Nodes that hold a row by default, as far as there are so many.
const REPLICAS: usize = 3;
/// How often, and how many times in a row, the driver has to see the same nodes.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOKS: usize = 4;

/// The statements that make the two keyspaces, each in the ways in which servers may understand it.
pub(super) async fn keyspaces(session: &Session, config: &ScyllaConfig) -> [Vec<String>; 2] {
    let nodes = nodes_seen(session).await;
    let replicas = config.replication_factor.unwrap_or(nodes.min(REPLICAS));
    let datacenter = config.datacenter.clone().or_else(|| datacenter_of(session));
    let replication = match datacenter {
        Some(name) => format!("{{'class': 'NetworkTopologyStrategy', '{name}': {replicas}}}"),
        None => format!("{{'class': 'SimpleStrategy', 'replication_factor': {replicas}}}"),
    };
    let create = |keyspace: &str| {
        format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}")
    };
    let (derived, decided) = (create("{ks}"), create("{lwt}"));
    match Flavour::of(session) {
        Flavour::Cassandra => [vec![derived], vec![decided]],
        // Lightweight transactions came to tablets late; versions before tablets know no such option.
        Flavour::Scylla => [
            vec![
                format!("{derived} AND tablets = {{'enabled': true}}"),
                derived,
            ],
            vec![
                format!("{decided} AND tablets = {{'enabled': false}}"),
                decided,
            ],
        ],
    }
}

/// How many nodes there are: in its first second the driver may see only some.
async fn nodes_seen(session: &Session) -> usize {
    let count = || session.get_cluster_state().get_nodes_info().len();
    let (mut seen, mut looks) = (count(), 0);
    while looks < LOOKS && seen < REPLICAS {
        sleep(LOOK_EVERY).await;
        let now = count();
        looks = if now == seen { looks + 1 } else { 0 };
        seen = now;
    }
    seen.max(1)
}

/// The datacentre of the node that stands first.
pub(crate) fn datacenter_of(session: &Session) -> Option<String> {
    let state = session.get_cluster_state();
    let nodes = state.get_nodes_info().iter();
    let first = nodes
        .filter(|node| node.datacenter.is_some())
        .min_by_key(|node| node.address.ip());
    first.and_then(|node| node.datacenter.clone())
}
