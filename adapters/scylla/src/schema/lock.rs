//! The lease under which the schema is changed.

use scylla::statement::Consistency;
use scylla::value::{CqlValue, Row};

use super::Schema;
use crate::config::ConnectError;
use roomcast_protocol::EventId;

/// The lock's table.
pub(super) const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS {lwt}.schema_lock (kind text PRIMARY KEY, holder text)";

/// A lease of sixty seconds, renewed before every statement.
pub(super) struct Lock {
    holder: String,
}

impl Lock {
    /// Takes the lease unless another process has it.
    pub(super) async fn take(schema: &Schema<'_>) -> Result<Option<Self>, ConnectError> {
        let lock = Self {
            holder: EventId::generate().to_string(),
        };
        let cql = "INSERT INTO {lwt}.schema_lock (kind, holder) VALUES ('schema', ?)
                   IF NOT EXISTS USING TTL 60";
        let taken = applied(schema, cql, (lock.holder.as_str(),)).await?;
        Ok(taken.then_some(lock))
    }

    /// Whether the lease is still this process's, for another sixty seconds then.
    pub(super) async fn renew(&self, schema: &Schema<'_>) -> Result<bool, ConnectError> {
        let cql = "UPDATE {lwt}.schema_lock USING TTL 60 SET holder = ? WHERE kind = 'schema'
                   IF holder = ?";
        applied(schema, cql, (self.holder.as_str(), self.holder.as_str())).await
    }

    /// Gives it back; if that fails, it ends by itself.
    pub(super) async fn release(self, schema: &Schema<'_>) {
        let cql = "DELETE FROM {lwt}.schema_lock WHERE kind = 'schema' IF holder = ?";
        if let Err(failure) = applied(schema, cql, (self.holder.as_str(),)).await {
            tracing::warn!(?failure, "the schema's lock will end by itself");
        }
    }
}

async fn applied(
    schema: &Schema<'_>,
    cql: &str,
    values: impl scylla::serialize::row::SerializeRow,
) -> Result<bool, ConnectError> {
    let rows: Vec<Row> = schema.rows(cql, Consistency::LocalQuorum, values).await?;
    let first = rows.first().and_then(|row| row.columns.first());
    Ok(matches!(first, Some(Some(CqlValue::Boolean(true)))))
}
