//! Dead letters, by their position in the log.

use std::sync::Arc;

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::dead_letters::{DeadLetter, DeadLetters};

use crate::client::{Client, statements};
use crate::config::ConnectError;

statements! {
    /// What is asked about entries that were set aside.
    Statements {
        keep: Write = "INSERT INTO {ks}.dead_letters (partition, position, body, reason)
            VALUES (?, ?, ?, ?)",
        list: Read = "SELECT position, body, reason FROM {ks}.dead_letters
            WHERE partition = ? AND position > ? LIMIT ?",
        forget: Write = "DELETE FROM {ks}.dead_letters WHERE partition = ? AND position = ?",
    }
}

/// Entries that were set aside.
#[derive(Debug)]
pub(crate) struct ScyllaDeadLetters {
    client: Arc<Client>,
    statements: Statements,
}

impl ScyllaDeadLetters {
    pub(crate) async fn prepare(client: &Arc<Client>) -> Result<Self, ConnectError> {
        let statements = Statements::prepare(client).await?;
        Ok(Self {
            client: Arc::clone(client),
            statements,
        })
    }
}

#[async_trait]
impl DeadLetters for ScyllaDeadLetters {
    async fn put(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        let values = (
            i32::from(letter.partition),
            letter.position.cast_signed(),
            letter.body.as_slice(),
            letter.reason.as_str(),
        );
        self.client.write(&self.statements.keep, values).await
    }

    async fn list(
        &self,
        partition: u16,
        position: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let values = (i32::from(partition), position.cast_signed(), limit);
        let rows: Vec<(i64, Option<Vec<u8>>, Option<String>)> =
            self.client.rows(&self.statements.list, values).await?;
        let letters = rows.into_iter().map(|(position, body, reason)| DeadLetter {
            partition,
            position: position.cast_unsigned(),
            body: body.unwrap_or_default(),
            reason: reason.unwrap_or_default(),
        });
        Ok(letters.collect())
    }

    async fn delete(&self, partition: u16, position: u64) -> Result<(), StoreError> {
        let values = (i32::from(partition), position.cast_signed());
        self.client.write(&self.statements.forget, values).await
    }
}
