//! The lease that schema changes need.

use scylla::serialize::row::SerializeRow;
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
    /// A lease that has not been taken.
    pub(super) fn new() -> Self {
        Self {
            holder: EventId::generate().to_string(),
        }
    }

    /// Takes the lease unless another process has it. An attempt that failed may have taken it: the next
    /// attempt shows it.
    pub(super) async fn take(&self, schema: &Schema<'_>) -> Result<bool, ConnectError> {
        let cql = "INSERT INTO {lwt}.schema_lock (kind, holder) VALUES ('schema', ?)
                   IF NOT EXISTS USING TTL 60";
        let answer = answer(schema, cql, (self.holder.as_str(),)).await?;
        // When it is not applied, the answer has the row that is there.
        let is_mine = |cell: &CqlValue| cell.as_text().is_some_and(|it| *it == self.holder);
        Ok(is_applied(&answer) || answer.iter().flatten().any(is_mine))
    }

    /// Whether the lease is still this process's, for another sixty seconds then.
    pub(super) async fn renew(&self, schema: &Schema<'_>) -> Result<bool, ConnectError> {
        let cql = "UPDATE {lwt}.schema_lock USING TTL 60 SET holder = ? WHERE kind = 'schema'
                   IF holder = ?";
        applied(schema, cql, (self.holder.as_str(), self.holder.as_str())).await
    }

    /// Gives it back; if that fails, it ends by itself.
    pub(super) async fn release(&self, schema: &Schema<'_>) {
        let cql = "DELETE FROM {lwt}.schema_lock WHERE kind = 'schema' IF holder = ?";
        if let Err(failure) = applied(schema, cql, (self.holder.as_str(),)).await {
            tracing::warn!(
                ?failure,
                "failed to release the schema lock; it expires by itself"
            );
        }
    }
}

async fn applied(
    schema: &Schema<'_>,
    cql: &str,
    values: impl SerializeRow,
) -> Result<bool, ConnectError> {
    Ok(is_applied(&answer(schema, cql, values).await?))
}

fn is_applied(answer: &[Option<CqlValue>]) -> bool {
    matches!(answer.first(), Some(Some(CqlValue::Boolean(true))))
}

/// The cells of a lightweight transaction's answer.
async fn answer(
    schema: &Schema<'_>,
    cql: &str,
    values: impl SerializeRow,
) -> Result<Vec<Option<CqlValue>>, ConnectError> {
    let rows: Vec<Row> = schema.rows(cql, Consistency::LocalQuorum, values).await?;
    Ok(rows
        .into_iter()
        .next()
        .map_or_else(Vec::new, |row| row.columns))
}
