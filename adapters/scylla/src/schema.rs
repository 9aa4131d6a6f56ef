//! The keyspaces and their tables, brought up to date by whoever comes first.
//!
//! Several processes may start at once. The keyspaces and the two tables of the lock itself are made
//! through one node, which does one thing after the other; everything else is done by the holder of
//! a lock row, a lease taken by a lightweight transaction. A holder that dies is succeeded when its
//! lease ends, and since every statement may be run again, the successor repeats its step.

mod lock;
mod replication;

pub(crate) use replication::datacenter_of;

use std::time::{Duration, Instant};

use futures_util::TryFutureExt as _;
use roomcast_ports::BoxError;
use scylla::client::session::Session;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError, SchemaAgreementError};
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::{Consistency, SerialConsistency, Statement};
use tokio::time::sleep;

use crate::client::named;
use crate::config::{ConnectError, ScyllaConfig};
use lock::Lock;

/// The steps, in order; the number of a step is its place among them, from one.
const STEPS: &[&str] = &[include_str!("schema/tables.cql")];
/// A statement that changes the schema is answered within so long.
const STATEMENT_WITHIN: Duration = Duration::from_secs(60);
/// All of it is done within so long, waiting for others included.
const ALL_WITHIN: Duration = Duration::from_secs(180);
/// A cluster whose nodes have just been started agrees within so long.
const SETTLES_WITHIN: Duration = Duration::from_secs(90);
/// How often a process that waits for another looks again.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Brings the keyspaces up to date; gives their version.
pub(crate) async fn migrate(session: &Session, config: &ScyllaConfig) -> Result<u32, ConnectError> {
    let schema = Schema {
        session,
        keyspace: &config.keyspace,
    };
    let (lock, started) = (Lock::new(), Instant::now());
    loop {
        match schema.bring_forward(&lock, config).await {
            Ok(Some(version)) => return Ok(version),
            Ok(None) if started.elapsed() > ALL_WITHIN => {
                return Err(ConnectError::Locked(started.elapsed()));
            }
            Ok(None) => {}
            Err(failure) if started.elapsed() < SETTLES_WITHIN && may_pass(&failure) => {
                tracing::warn!(?failure, "the store's cluster is not ready yet");
            }
            Err(failure) => return Err(failure),
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether it is said by a cluster some of whose nodes have just been started, or ended.
fn may_pass(failure: &ConnectError) -> bool {
    let ConnectError::Schema { source, .. } = failure else {
        return false;
    };
    match source.downcast_ref::<ExecutionError>() {
        Some(ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, _))) => {
            matches!(
                error,
                DbError::Unavailable { .. }
                    | DbError::WriteTimeout { .. }
                    | DbError::ReadTimeout { .. }
                    | DbError::WriteFailure { .. }
                    | DbError::ReadFailure { .. }
                    | DbError::Overloaded
                    | DbError::IsBootstrapping
            )
        }
        Some(
            ExecutionError::LastAttemptError(RequestAttemptError::BrokenConnectionError(_))
            | ExecutionError::ConnectionPoolError(_)
            | ExecutionError::RequestTimeout(_)
            | ExecutionError::SchemaAgreementError(_),
        ) => true,
        _ => source.is::<SchemaAgreementError>(),
    }
}

/// A cluster's schema.
struct Schema<'a> {
    session: &'a Session,
    keyspace: &'a str,
}

impl Schema<'_> {
    /// Does what is to be done unless another process is doing it; the version once nothing is left.
    async fn bring_forward(
        &self,
        lock: &Lock,
        config: &ScyllaConfig,
    ) -> Result<Option<u32>, ConnectError> {
        let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
        match self.version().await? {
            found if found > known => return Err(ConnectError::NewerSchema { found, known }),
            found if found == known => return Ok(Some(found)),
            _ => {}
        }
        self.make_keyspaces(config).await?;
        if lock.take(self).await? {
            let done = self.go_on(lock).await;
            lock.release(self).await;
            done?;
            let found = self.version().await?;
            return Ok((found == known).then_some(found));
        }
        Ok(None)
    }

    /// How many steps have been done; zero before the first.
    async fn version(&self) -> Result<u32, ConnectError> {
        let cql = "SELECT table_name FROM system_schema.tables
                   WHERE keyspace_name = ? AND table_name = 'schema_steps'";
        let lwt = format!("{}_lwt", self.keyspace);
        let tables = self
            .rows::<(String,)>(cql, Consistency::One, (lwt,))
            .await?;
        if tables.is_empty() {
            return Ok(0);
        }
        let cql = "SELECT step FROM {lwt}.schema_steps WHERE kind = 'step'";
        let steps = self
            .rows::<(i32,)>(cql, Consistency::LocalQuorum, ())
            .await?;
        let last = steps.into_iter().map(|(step,)| step).max().unwrap_or(0);
        Ok(u32::try_from(last).unwrap_or(0))
    }

    /// Makes the keyspaces and what the lock needs, all through the same node for everybody.
    async fn make_keyspaces(&self, config: &ScyllaConfig) -> Result<(), ConnectError> {
        for cql in replication::keyspaces(self.session, config).await {
            let mut failure = None;
            // The last way of writing it that the server understands.
            for variant in &cql {
                match self.change(variant, true).await {
                    Ok(()) => {
                        failure = None;
                        break;
                    }
                    Err(error) => failure = Some(error),
                }
            }
            failure.map_or(Ok(()), Err)?;
        }
        self.change(lock::TABLE, true).await?;
        let steps = "CREATE TABLE IF NOT EXISTS {lwt}.schema_steps (
                         kind text, step int, PRIMARY KEY ((kind), step))";
        self.change(steps, true).await
    }

    /// Does the steps that have not been done, under the lock.
    async fn go_on(&self, lock: &Lock) -> Result<(), ConnectError> {
        let done = self.version().await?;
        for (step, number) in STEPS.iter().zip(1i32..).skip(done as usize) {
            for statement in statements(step) {
                if !lock.renew(self).await? {
                    return Ok(());
                }
                self.change(&statement, false).await?;
            }
            let cql = "INSERT INTO {lwt}.schema_steps (kind, step) VALUES ('step', ?)";
            self.query(cql, Consistency::LocalQuorum, (number,)).await?;
            tracing::info!(
                step = number,
                keyspace = self.keyspace,
                "brought the schema up to date"
            );
        }
        Ok(())
    }

    /// Changes the schema and waits until all nodes agree on it.
    async fn change(&self, cql: &str, by_one_node: bool) -> Result<(), ConnectError> {
        let cql = named(cql, self.keyspace);
        let mut statement = Statement::new(cql.as_str());
        statement.set_request_timeout(Some(STATEMENT_WITHIN));
        statement.set_is_idempotent(true);
        if by_one_node {
            let state = self.session.get_cluster_state();
            let connected = state
                .get_nodes_info()
                .iter()
                .filter(|node| node.is_connected());
            if let Some(first) = connected.min_by_key(|node| node.host_id) {
                let node = NodeIdentifier::HostId(first.host_id);
                let policy = SingleTargetLoadBalancingPolicy::new(node, None);
                statement.set_load_balancing_policy(Some(policy));
            }
        }
        let asked = self
            .session
            .query_unpaged(statement, ())
            .map_err(BoxError::from);
        let agreed = asked.and_then(|_| {
            self.session
                .await_schema_agreement()
                .map_err(BoxError::from)
        });
        agreed
            .await
            .map(drop)
            .map_err(|source| failed(&cql, source))
    }

    async fn query(
        &self,
        cql: &str,
        consistency: Consistency,
        values: impl SerializeRow,
    ) -> Result<QueryResult, ConnectError> {
        let cql = named(cql, self.keyspace);
        let mut statement = Statement::new(cql.as_str());
        statement.set_consistency(consistency);
        statement.set_serial_consistency(Some(SerialConsistency::LocalSerial));
        statement.set_request_timeout(Some(STATEMENT_WITHIN));
        let answer = self.session.query_unpaged(statement, values).await;
        answer.map_err(|source| failed(&cql, source.into()))
    }

    async fn rows<T: crate::client::Fetched>(
        &self,
        cql: &str,
        consistency: Consistency,
        values: impl SerializeRow,
    ) -> Result<Vec<T>, ConnectError> {
        let answer = self.query(cql, consistency, values).await?;
        let broken = |source: BoxError| failed(cql, source);
        let rows = answer
            .into_rows_result()
            .map_err(|error| broken(error.into()))?;
        let rows = rows.rows::<T>().map_err(|error| broken(error.into()))?;
        rows.collect::<Result<_, _>>()
            .map_err(|error| broken(error.into()))
    }
}

fn failed(cql: &str, source: BoxError) -> ConnectError {
    let first = cql.split(" (").next().unwrap_or(cql).trim();
    ConnectError::Schema {
        doing: first.to_owned(),
        source,
    }
}

/// The statements of a step, without its comments.
fn statements(step: &str) -> Vec<String> {
    let code: Vec<&str> = step
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect();
    let code = code.join("\n");
    code.split(';')
        .map(|it| it.trim().to_owned())
        .filter(|it| !it.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_of_every_step_may_be_run_again() {
        for statement in STEPS.iter().flat_map(|step| statements(step)) {
            assert!(
                statement.starts_with("CREATE TABLE IF NOT EXISTS {"),
                "{statement}"
            );
            assert!(statement.ends_with(')'), "{statement}");
        }
    }
}
