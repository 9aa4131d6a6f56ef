//! Entries of the log that could not be derived, kept until an operator redrives them: a single one that
//! cannot be read must not stop everything behind it.

use async_trait::async_trait;

use crate::StoreError;

/// An entry of the log that ingest could not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its partition.
    pub partition: u16,
    /// The feed's position of it.
    pub position: u64,
    /// What the log holds there, byte for byte.
    pub body: Vec<u8>,
    /// Why it could not be written, for people.
    pub reason: String,
}

/// What was set aside.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Keeps it; the same partition and position again replaces it.
    async fn put(&self, letter: &DeadLetter) -> Result<(), StoreError>;

    /// Those of a partition after `position`, in order, at most `limit`.
    async fn list(
        &self,
        partition: u16,
        position: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;

    /// Forgets it, once it has been dealt with; nothing happens when there is none.
    async fn delete(&self, partition: u16, position: u64) -> Result<(), StoreError>;
}
