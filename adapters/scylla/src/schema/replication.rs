//! Replication of the keyspaces.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use scylla::client::session::Session;
use tokio::time::sleep;

use crate::config::ScyllaConfig;
use crate::server_kind::ServerKind;

/// The name under which the server keeps the strategy.
const CLASS: &str = "class";
/// Nodes that hold a row by default, as far as there are so many.
const REPLICAS: usize = 3;
/// How often, and how many times in a row, the driver has to see the same nodes.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
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
    match ServerKind::of(session) {
        ServerKind::Cassandra => [vec![derived], vec![decided]],
        // Lightweight transactions came to tablets late; versions before tablets know no such option.
        ServerKind::Scylla => [
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

/// How a keyspace is spread, as the server keeps it: `class`, and copies by datacenter.
pub(crate) type Replication = HashMap<String, String>;

/// The query for the replication of both keyspaces: rows of a name and a [`Replication`].
pub(crate) fn query(keyspace: &str) -> String {
    format!(
        "SELECT keyspace_name, replication FROM system_schema.keyspaces
         WHERE keyspace_name IN ('{keyspace}', '{keyspace}_lwt')"
    )
}

/// For people: `roomcast datacenter1=3`.
pub(crate) fn described(keyspace: &str, replication: &Replication) -> String {
    let mut copies: Vec<_> = replication
        .iter()
        .filter(|(name, _)| *name != CLASS)
        .map(|(name, copies)| format!("{name}={copies}"))
        .collect();
    copies.sort_unstable();
    format!("{keyspace} {}", copies.join(","))
}

/// What a keyspace keeps in `datacenter`, and the replications that lead from there to `replicas` copies.
/// Each is one more than the one before: ScyllaDB takes no larger step. Nothing leads downwards, and what
/// other datacenters keep is left as it is.
pub(super) fn steps_up(
    found: &Replication,
    datacenter: Option<&str>,
    replicas: usize,
) -> (usize, Vec<String>) {
    let by_datacenter = found
        .get(CLASS)
        .is_some_and(|class| class.ends_with("NetworkTopologyStrategy"));
    let place = match datacenter {
        Some(datacenter) if by_datacenter => datacenter,
        _ => "replication_factor",
    };
    let copies = |text: &String| text.split('/').next().unwrap_or_default().parse().ok();
    let kept = found.get(place).and_then(copies).unwrap_or(0);
    let step = |copies: usize| {
        let mut wanted: BTreeMap<&str, String> = found
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        wanted.insert(place, copies.to_string());
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(name, value)| format!("'{name}': '{value}'"))
            .collect();
        format!("{{{}}}", wanted.join(", "))
    };
    (kept, (kept + 1..=replicas).map(step).collect())
}

/// How many nodes there are: in its first second the driver may see only some.
async fn nodes_seen(session: &Session) -> usize {
    let count = || session.get_cluster_state().get_nodes_info().len();
    let (mut seen, mut looks) = (count(), 0);
    while looks < LOOKS && seen < REPLICAS {
        sleep(CHECK_INTERVAL).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn replication(pairs: &[(&str, &str)]) -> Replication {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn copies_are_raised_one_by_one_and_never_lowered() {
        let class = "org.apache.cassandra.locator.NetworkTopologyStrategy";
        let found = replication(&[("class", class), ("a", "1"), ("b", "2")]);
        let (kept, steps) = steps_up(&found, Some("a"), 3);
        let with = |copies| format!("{{'a': '{copies}', 'b': '2', 'class': '{class}'}}");
        assert_eq!((kept, steps), (1, vec![with(2), with(3)]));
        assert_eq!(steps_up(&found, Some("b"), 1), (2, Vec::new()));
        assert_eq!(steps_up(&found, Some("b"), 2), (2, Vec::new()));
        let (kept, steps) = steps_up(&found, Some("c"), 1);
        let expected = format!("{{'a': '1', 'b': '2', 'c': '1', 'class': '{class}'}}");
        assert_eq!((kept, steps), (0, vec![expected]));
        let simple = replication(&[("class", "x.SimpleStrategy"), ("replication_factor", "1")]);
        let (kept, steps) = steps_up(&simple, Some("a"), 2);
        let expected = "{'class': 'x.SimpleStrategy', 'replication_factor': '2'}".to_owned();
        assert_eq!((kept, steps), (1, vec![expected]));
    }
}
