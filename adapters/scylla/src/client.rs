//! Requests to the cluster: prepared, with a deadline and bounded concurrency.

mod batch;
mod profiles;

use std::time::Instant;

use metrics::{counter, histogram};
use roomcast_ports::{BoxError, StoreError};
use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, Row};
use tokio::sync::Semaphore;

use crate::config::ConnectError;

pub(crate) use batch::{Partition, WriteBatch};
pub(crate) use profiles::{Kind, Profiles};

/// Requests of one kind on their way at most; more wait here, where they cost the servers nothing.
const IN_FLIGHT_MAX: usize = 512;

/// A row as a Rust value.
pub(crate) trait Fetched: for<'frame, 'spec> DeserializeRow<'frame, 'spec> {}
impl<T: for<'frame, 'spec> DeserializeRow<'frame, 'spec>> Fetched for T {}

/// What became of a lightweight transaction.
#[derive(Debug)]
pub(crate) enum LwtResult {
    /// Its condition held and it is done.
    Applied,
    /// Its condition did not hold.
    Refused,
    /// Unknown: a serial read decides.
    Unknown(StoreError),
}

/// A connected cluster.
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) keyspace: String,
    profiles: Profiles,
    reads: Semaphore,
    writes: Semaphore,
}

impl Client {
    pub(crate) fn new(session: Session, keyspace: String, profiles: Profiles) -> Self {
        Self {
            session,
            keyspace,
            profiles,
            reads: Semaphore::new(IN_FLIGHT_MAX),
            writes: Semaphore::new(IN_FLIGHT_MAX),
        }
    }

    /// Prepares a statement in which `{ks}` and `{lwt}` are the two keyspaces.
    pub(crate) async fn prepare(
        &self,
        kind: Kind,
        cql: &str,
    ) -> Result<PreparedStatement, ConnectError> {
        let cql = named(cql, &self.keyspace);
        let prepared = self.session.prepare(cql.as_str()).await;
        let mut prepared = prepared.map_err(|error| ConnectError::Schema {
            doing: format!("prepare {cql}"),
            source: error.into(),
        })?;
        prepared.set_execution_profile_handle(Some(self.profiles.of(kind)));
        prepared.set_is_idempotent(kind != Kind::Decide);
        Ok(prepared)
    }

    /// All rows of the answer; the statement bounds them.
    pub(crate) async fn rows<T: Fetched>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<T>, StoreError> {
        let _permit = permit(&self.reads).await?;
        let result = self.execute("read", statement, values).await?;
        let rows = result.into_rows_result().map_err(corrupted)?;
        let rows = rows.rows::<T>().map_err(corrupted)?;
        rows.collect::<Result<_, _>>().map_err(corrupted)
    }

    /// The answer's first row.
    pub(crate) async fn first<T: Fetched>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// Writes one row, or a few by one statement.
    pub(crate) async fn write(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<(), StoreError> {
        let _permit = permit(&self.writes).await?;
        self.execute("write", statement, values).await?;
        counter!("chat_store_rows_written_total").increment(1);
        Ok(())
    }

    /// Runs a lightweight transaction.
    pub(crate) async fn execute_lwt(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<LwtResult, StoreError> {
        let _permit = permit(&self.writes).await?;
        let result = match self.execute("decide", statement, values).await {
            Ok(result) => result,
            Err(failure) => return Ok(LwtResult::Unknown(failure)),
        };
        let rows = result.into_rows_result().map_err(corrupted)?;
        let row: Row = rows.first_row().map_err(corrupted)?;
        match row.columns.first() {
            Some(Some(CqlValue::Boolean(true))) => Ok(LwtResult::Applied),
            _ => Ok(LwtResult::Refused),
        }
    }

    async fn execute(
        &self,
        kind: &'static str,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryResult, StoreError> {
        let started = Instant::now();
        let result = self.session.execute_unpaged(statement, values).await;
        observe(kind, started, result.is_ok());
        result.map_err(unavailable)
    }
}

/// The statement with the keyspaces' names in it.
pub(crate) fn named(cql: &str, keyspace: &str) -> String {
    cql.replace("{ks}", keyspace)
        .replace("{lwt}", &format!("{keyspace}_lwt"))
}

async fn permit(of: &Semaphore) -> Result<tokio::sync::SemaphorePermit<'_>, StoreError> {
    of.acquire()
        .await
        .map_err(|closed| StoreError::Unavailable(closed.into()))
}

fn observe(kind: &'static str, started: Instant, answered: bool) {
    histogram!("chat_store_request_seconds", "kind" => kind)
        .record(started.elapsed().as_secs_f64());
    if !answered {
        counter!("chat_store_request_failures_total", "kind" => kind).increment(1);
    }
}

/// A request without an answer, or a refusal: both mean unavailable.
pub(crate) fn unavailable(error: ExecutionError) -> StoreError {
    StoreError::Unavailable(error.into())
}

/// An answer that cannot be.
pub(crate) fn corrupted(error: impl Into<BoxError>) -> StoreError {
    StoreError::Corrupted(error.into())
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("keyspace", &self.keyspace)
            .finish_non_exhaustive()
    }
}

/// Makes a struct of prepared statements: name, kind, CQL.
macro_rules! statements {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ident = $cql:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name {
            $(pub(crate) $field: scylla::statement::prepared::PreparedStatement,)*
        }

        impl $name {
            pub(crate) async fn prepare(
                client: &$crate::client::Client,
            ) -> Result<Self, $crate::config::ConnectError> {
                Ok(Self { $($field: client.prepare($crate::client::Kind::$kind, $cql).await?,)* })
            }
        }
    };
}
pub(crate) use statements;
