//! A node for all tests of this program, connections to it, and what one asks it past the store.

use std::sync::{Arc, Mutex, PoisonError};

use roomcast_scylla::{ScyllaConfig, ScyllaStore};
use roomcast_test_cluster::{Cassandra, CassandraSpec};
use scylla::client::caching_session::CachingSession;
use scylla::client::session_builder::SessionBuilder;
use scylla::serialize::row::SerializeRow;
use scylla::value::Row;

static NODE: Mutex<Option<Cassandra>> = Mutex::new(None);

/// Where the program's node is; the first who asks starts it. It ends with the program.
pub(crate) async fn hosts() -> Vec<String> {
    let start = || {
        let mut node = NODE.lock().unwrap_or_else(PoisonError::into_inner);
        let spec = CassandraSpec {
            nodes: 1,
            // Every test has two keyspaces of its own there, some fifty times twenty tables by the end.
            heap_megabytes: Some(1_536),
            ..CassandraSpec::default()
        };
        let node = node.get_or_insert_with(|| Cassandra::start(&spec).expect("start a CQL server"));
        split(&node.hosts())
    };
    let hosts = tokio::task::spawn_blocking(start).await;
    hosts.expect("start a CQL server")
}

/// Hosts as the store takes them.
pub(crate) fn split(hosts: &str) -> Vec<String> {
    hosts.split(',').map(ToOwned::to_owned).collect()
}

/// Connects to a keyspace of the program's node.
pub(crate) async fn connect(
    keyspace: &str,
    configure: impl FnOnce(&mut ScyllaConfig) + Send,
) -> Arc<ScyllaStore> {
    let mut config = ScyllaConfig::new(hosts().await, keyspace);
    configure(&mut config);
    let connected = ScyllaStore::connect(config).await;
    connected.expect("connect to the CQL server")
}

/// The program's node, past the store.
pub(crate) struct Cql(CachingSession);

impl Cql {
    pub(crate) async fn connect() -> Self {
        let session = SessionBuilder::new()
            .known_nodes(hosts().await)
            .build()
            .await;
        let session = session.expect("connect to the CQL server");
        Self(CachingSession::from(session, 200))
    }

    pub(crate) async fn ask(&self, cql: &str, values: impl SerializeRow) -> Vec<Row> {
        let answer = self.0.execute_unpaged(cql, values).await;
        let answer = answer.unwrap_or_else(|error| panic!("{cql}: {error}"));
        if !answer.is_rows() {
            return Vec::new();
        }
        let rows = answer.into_rows_result().expect("rows");
        let rows = rows.rows::<Row>().expect("rows");
        rows.collect::<Result<_, _>>().expect("rows")
    }
}
