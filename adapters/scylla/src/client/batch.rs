//! Write batches: rows of one partition together, partitions concurrently.
//!
//! A batch inside one partition is one write for the servers. Batches over several would be slower than
//! the writes alone, so there are none.

use std::collections::HashMap;
use std::time::Instant;

use futures_util::future::try_join_all;
use metrics::counter;
use roomcast_ports::StoreError;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;

use super::{Client, Kind, observe, permit, unavailable};

/// Rows of a batch at most.
const BATCH_ROWS_MAX: usize = 64;
/// Bytes of a batch at most, unless one row alone has more: servers refuse batches of 50 KiB by default.
const BATCH_BYTES_MAX: usize = 40 << 10;
/// What a row costs beside its body.
const ROW_BYTES: usize = 160;

/// A partition, by its key. Tables whose keys have the same columns share it: what several of them have
/// under one key lies on the same machines, and is one write for them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Partition {
    key: String,
    number: Option<i32>,
}

impl Partition {
    /// The partition of a key of one column.
    pub(crate) fn of(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            number: None,
        }
    }

    /// The partition of a key and a number.
    pub(crate) fn numbered(key: &str, number: i32) -> Self {
        Self {
            key: key.to_owned(),
            number: Some(number),
        }
    }
}

struct Write<'a> {
    statement: &'a PreparedStatement,
    values: Box<dyn SerializeRow + Send + Sync>,
    bytes: usize,
}

/// Rows to be written.
#[derive(Default)]
pub(crate) struct WriteBatch<'a> {
    partitions: HashMap<Partition, Vec<Write<'a>>>,
}

impl<'a> WriteBatch<'a> {
    /// Adds a row; `bytes` is what of it may be large.
    pub(crate) fn add(
        &mut self,
        partition: Partition,
        statement: &'a PreparedStatement,
        values: impl SerializeRow + Send + Sync + 'static,
        bytes: usize,
    ) {
        let values = Box::new(values);
        let write = Write {
            statement,
            values,
            bytes: bytes + ROW_BYTES,
        };
        self.partitions.entry(partition).or_default().push(write);
    }

    /// Takes the other's rows along.
    pub(crate) fn append(&mut self, other: Self) {
        for (partition, mut writes) in other.partitions {
            self.partitions
                .entry(partition)
                .or_default()
                .append(&mut writes);
        }
    }

    fn into_chunks(self) -> Vec<Vec<Write<'a>>> {
        let mut chunks = Vec::new();
        for writes in self.partitions.into_values() {
            let (mut chunk, mut bytes) = (Vec::new(), 0);
            for write in writes {
                let full = chunk.len() == BATCH_ROWS_MAX || bytes + write.bytes > BATCH_BYTES_MAX;
                if full && !chunk.is_empty() {
                    chunks.push(std::mem::take(&mut chunk));
                    bytes = 0;
                }
                bytes += write.bytes;
                chunk.push(write);
            }
            chunks.push(chunk);
        }
        chunks
    }
}

impl Client {
    /// Writes them all, in no order; after a failure any of them may be written.
    pub(crate) async fn write_all(&self, writes: WriteBatch<'_>) -> Result<(), StoreError> {
        let chunks = writes.into_chunks().into_iter();
        try_join_all(chunks.map(|chunk| self.write_chunk(chunk))).await?;
        Ok(())
    }

    async fn write_chunk(&self, mut chunk: Vec<Write<'_>>) -> Result<(), StoreError> {
        if chunk.len() == 1
            && let Some(write) = chunk.pop()
        {
            return self.write(write.statement, write.values).await;
        }
        let _permit = permit(&self.writes).await?;
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        batch.set_execution_profile_handle(Some(self.profiles.of(Kind::Write)));
        let rows = chunk.len() as u64;
        let mut values = Vec::with_capacity(chunk.len());
        for write in chunk {
            batch.append_statement(write.statement.clone());
            values.push(write.values);
        }
        let started = Instant::now();
        let result = self.session.batch(&batch, values).await;
        observe("batch", started, result.is_ok());
        counter!("chat_store_rows_written_total").increment(rows);
        result.map(drop).map_err(unavailable)
    }
}
