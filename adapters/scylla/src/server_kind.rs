//! ScyllaDB or Cassandra, and what differs between them.

use scylla::client::session::Session;

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// Apache Cassandra.
    Cassandra,
    /// ScyllaDB.
    Scylla,
}

impl ServerKind {
    /// Asks the nodes: only one of the two has shards that a driver can see.
    pub(crate) fn of(session: &Session) -> Self {
        let state = session.get_cluster_state();
        if state
            .get_nodes_info()
            .iter()
            .any(|node| node.sharder().is_some())
        {
            Self::Scylla
        } else {
            Self::Cassandra
        }
    }

    /// The server's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cassandra => "Apache Cassandra",
            Self::Scylla => "ScyllaDB",
        }
    }
}
