//! The keyspaces and their tables, migrated by the first process that takes the lease.
//!
//! Several processes may start at the same time. The keyspaces and the two tables of the lock itself are made
//! through one node, which does one thing after the other; everything else is done by the holder of
//! a lock row, a lease taken by a lightweight transaction. A holder that dies is succeeded when its
//! lease ends, and since every statement may be run again, the successor repeats its step.

mod lock;
mod replication;

pub(crate) use replication::{Replication, datacenter_of, described, query as replication_query};

use std::time::{Duration, Instant};

use futures_util::TryFutureExt as _;
use roomcast_ports::BoxError;
use roomcast_ports::back_off::BackOff;
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
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// All of it is done within so long, waiting for others included.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(180);
/// A cluster whose nodes have just been started agrees within so long.
const SCHEMA_AGREEMENT_TIMEOUT: Duration = Duration::from_secs(90);
/// Delays of a process that waits for another one or for the cluster.
const RETRY_AFTER: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Brings the keyspaces up to date, with as many copies as are asked for at least; gives their version.
pub(crate) async fn migrate(session: &Session, config: &ScyllaConfig) -> Result<u32, ConnectError> {
    let schema = Schema {
        session,
        keyspace: &config.keyspace,
    };
    if config.only_looks {
        return schema.inspect().await;
    }
    let version = schema.made(config).await?;
    if let Some(replicas) = config.replication_factor {
        schema.raise_replicas(config, replicas).await?;
    }
    Ok(version)
}

impl Schema<'_> {
    /// The version of keyspaces that are there already.
    async fn inspect(&self) -> Result<u32, ConnectError> {
        let known = known_version();
        match self.version().await? {
            0 => Err(ConnectError::NotMade),
            found if found > known => Err(ConnectError::NewerSchema { found, known }),
            found => Ok(found),
        }
    }

    /// Makes what is missing, or waits until another process has; gives the version.
    async fn made(&self, config: &ScyllaConfig) -> Result<u32, ConnectError> {
        let (lock, started) = (Lock::new(), Instant::now());
        let mut back_off = BackOff::new(RETRY_AFTER, RETRY_MAX);
        loop {
            match self.migrate_to_latest(&lock, config).await {
                Ok(Some(version)) => return Ok(version),
                Ok(None) if started.elapsed() > MIGRATION_TIMEOUT => {
                    return Err(ConnectError::Locked(started.elapsed()));
                }
                Ok(None) => {}
                Err(failure)
                    if started.elapsed() < SCHEMA_AGREEMENT_TIMEOUT && is_transient(&failure) =>
                {
                    tracing::warn!(?failure, "store cluster is not ready yet");
                }
                Err(failure) => return Err(failure),
            }
            sleep(back_off.next_delay()).await;
        }
    }

    /// How many nodes the driver knows in a datacenter, or at all.
    fn nodes_in(&self, datacenter: Option<&str>) -> usize {
        let state = self.session.get_cluster_state();
        let nodes = state.get_nodes_info().iter();
        nodes
            .filter(|node| datacenter.is_none() || node.datacenter.as_deref() == datacenter)
            .count()
    }

    /// Gives both keyspaces at least so many copies. What they hold already is copied by a repair only.
    async fn raise_replicas(
        &self,
        config: &ScyllaConfig,
        replicas: usize,
    ) -> Result<(), ConnectError> {
        let datacenter = config.datacenter.clone();
        let datacenter = datacenter.or_else(|| datacenter_of(self.session));
        let query = replication_query(self.keyspace);
        let rows = self.rows::<(String, Replication)>(&query, Consistency::One, ());
        for (keyspace, found) in rows.await? {
            let (kept, steps) = replication::steps_up(&found, datacenter.as_deref(), replicas);
            if kept > replicas {
                tracing::warn!(
                    keyspace,
                    kept,
                    replicas,
                    "keyspace keeps more replicas than configured"
                );
            }
            let nodes = self.nodes_in(datacenter.as_deref());
            if !steps.is_empty() && nodes < replicas {
                // A quorum of copies that no node can hold would refuse every request.
                tracing::warn!(
                    keyspace,
                    nodes,
                    replicas,
                    "too few nodes for the configured replicas; raised none"
                );
                continue;
            }
            let raises = !steps.is_empty();
            for replication in steps {
                let cql = format!("ALTER KEYSPACE {keyspace} WITH replication = {replication}");
                self.change(&cql, true).await?;
            }
            if raises {
                tracing::warn!(
                    keyspace,
                    from = kept,
                    to = replicas,
                    "raised the replicas of a keyspace; run a full repair on every node"
                );
            }
        }
        Ok(())
    }
}

/// The version that this program makes.
fn known_version() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// Whether the error is typical of a cluster whose nodes have just started or stopped.
fn is_transient(failure: &ConnectError) -> bool {
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
    async fn migrate_to_latest(
        &self,
        lock: &Lock,
        config: &ScyllaConfig,
    ) -> Result<Option<u32>, ConnectError> {
        let known = known_version();
        match self.version().await? {
            found if found > known => return Err(ConnectError::NewerSchema { found, known }),
            found if found == known => return Ok(Some(found)),
            _ => {}
        }
        self.create_keyspaces(config).await?;
        if lock.take(self).await? {
            let done = self.apply_pending(lock).await;
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

    /// Creates the keyspaces and the lock's table, through the same node for all processes.
    async fn create_keyspaces(&self, config: &ScyllaConfig) -> Result<(), ConnectError> {
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
    async fn apply_pending(&self, lock: &Lock) -> Result<(), ConnectError> {
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
                "migrated the schema"
            );
        }
        Ok(())
    }

    /// Changes the schema and waits until all nodes agree on it.
    async fn change(&self, cql: &str, by_one_node: bool) -> Result<(), ConnectError> {
        let cql = named(cql, self.keyspace);
        let mut statement = Statement::new(cql.as_str());
        statement.set_request_timeout(Some(STATEMENT_TIMEOUT));
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
        statement.set_request_timeout(Some(STATEMENT_TIMEOUT));
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
            // How soon deleted rows are forgotten is the only property that a table sets.
            let columns = match statement.split_once(" WITH gc_grace_seconds = ") {
                Some((columns, seconds)) if seconds.parse::<u32>().is_ok() => columns,
                _ => &statement,
            };
            assert!(columns.ends_with(')'), "{statement}");
        }
    }
}
