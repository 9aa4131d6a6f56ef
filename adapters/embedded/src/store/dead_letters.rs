//! Dead letters: log entries that ingest could not decode.

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::dead_letters::{DeadLetter, DeadLetters};
use rusqlite::{Connection, params};

use super::EmbeddedStore;

#[async_trait]
impl DeadLetters for EmbeddedStore {
    async fn put(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        let letter = letter.clone();
        self.change(move |store| keep(store, &letter)).await
    }

    async fn list(
        &self,
        partition: u16,
        position: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.query(move |store| list(store, partition, position, limit))
            .await
    }

    async fn delete(&self, partition: u16, position: u64) -> Result<(), StoreError> {
        self.change(move |store| {
            store
                .prepare_cached("DELETE FROM dead_letters WHERE partition = ?1 AND position = ?2")?
                .execute(params![partition, position])
                .map(|_| ())
        })
        .await
    }
}

fn keep(store: &Connection, letter: &DeadLetter) -> rusqlite::Result<()> {
    let DeadLetter {
        partition,
        position,
        body,
        reason,
    } = letter;
    store
        .prepare_cached(
            "INSERT INTO dead_letters (partition, position, body, reason) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (partition, position)
             DO UPDATE SET body = excluded.body, reason = excluded.reason",
        )?
        .execute(params![partition, position, body, reason])
        .map(|_| ())
}

fn list(
    store: &Connection,
    partition: u16,
    position: u64,
    limit: usize,
) -> rusqlite::Result<Vec<DeadLetter>> {
    store
        .prepare_cached(
            "SELECT position, body, reason FROM dead_letters
             WHERE partition = ?1 AND position > ?2 ORDER BY position LIMIT ?3",
        )?
        .query_map(params![partition, position, limit], |row| {
            Ok(DeadLetter {
                partition,
                position: row.get(0)?,
                body: row.get(1)?,
                reason: row.get(2)?,
            })
        })?
        .collect()
}
