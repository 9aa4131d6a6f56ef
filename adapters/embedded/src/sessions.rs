//! Sign-ins, beside the events in the log's file: one that was ended stays ended after a power loss.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::accounts::{Session, SessionStore};
use roomcast_protocol::{SessionId, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::log::EmbeddedLog;
use crate::rows;

/// Sign-ins in the log's file.
#[derive(Debug)]
pub(crate) struct EmbeddedSessions {
    log: Arc<EmbeddedLog>,
}

impl EmbeddedSessions {
    pub(crate) const fn new(log: Arc<EmbeddedLog>) -> Self {
        Self { log }
    }
}

#[async_trait]
impl SessionStore for EmbeddedSessions {
    async fn create(&self, session: &Session) -> Result<(), StoreError> {
        let session = session.clone();
        Ok(self.log.write(move |file| insert(file, &session)).await?)
    }

    async fn session(&self, session_id: &SessionId) -> Result<Option<Session>, StoreError> {
        let session_id = session_id.clone();
        let select = move |file: &Connection| {
            file.prepare_cached(
                "SELECT session_id, user_id, token_hash, previous_hash, successor_salt,
                     rotated_at, expires_at, ended
                 FROM sessions WHERE session_id = ?1",
            )?
            .query_row([session_id.as_str()], session)
            .optional()
        };
        Ok(self.log.query(select).await?)
    }

    async fn rotate(&self, expected: &[u8; 32], next: &Session) -> Result<bool, StoreError> {
        let (expected, next) = (*expected, next.clone());
        Ok(self
            .log
            .write(move |file| rotate(file, &expected, &next))
            .await?)
    }

    async fn end(&self, session_id: &SessionId) -> Result<bool, StoreError> {
        let session_id = session_id.clone();
        let end = move |file: &Connection| {
            let ended = file
                .prepare_cached(
                    "UPDATE sessions SET ended = 1 WHERE session_id = ?1 AND ended = 0",
                )?
                .execute([session_id.as_str()])?;
            Ok(ended == 1)
        };
        Ok(self.log.write(end).await?)
    }

    async fn end_all_but(
        &self,
        user_id: &UserId,
        kept: Option<&SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let (user_id, kept) = (user_id.clone(), kept.cloned());
        let end = move |file: &Connection| {
            let kept = kept.as_ref().map(SessionId::as_str);
            file.prepare_cached(
                "UPDATE sessions SET ended = 1
                 WHERE user_id = ?1 AND ended = 0 AND session_id IS NOT ?2
                 RETURNING session_id",
            )?
            .query_map(params![user_id.as_str(), kept], |row| rows::id(row, 0))?
            .collect()
        };
        Ok(self.log.write(end).await?)
    }

    async fn forget_expired(&self, older_than: Duration) -> Result<u64, StoreError> {
        let older_than = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp::now().as_millis().saturating_sub(older_than);
        let forget = move |file: &Connection| {
            let forgotten = file
                .prepare_cached("DELETE FROM sessions WHERE expires_at < ?1")?
                .execute([before])?;
            Ok(forgotten as u64)
        };
        Ok(self.log.write(forget).await?)
    }
}

fn insert(file: &Connection, session: &Session) -> rusqlite::Result<()> {
    file.prepare_cached(
        "INSERT INTO sessions (session_id, user_id, token_hash, previous_hash, successor_salt,
             rotated_at, expires_at, ended)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        session.session_id.as_str(),
        session.user_id.as_str(),
        session.token_hash,
        session.previous_hash,
        session.successor_salt,
        session.rotated_at.as_millis(),
        session.expires_at.as_millis(),
        session.ended
    ])?;
    Ok(())
}

fn rotate(file: &Connection, expected: &[u8; 32], next: &Session) -> rusqlite::Result<bool> {
    let rotated = file
        .prepare_cached(
            "UPDATE sessions SET token_hash = ?3, previous_hash = ?4, successor_salt = ?5,
                 rotated_at = ?6, expires_at = ?7
             WHERE session_id = ?1 AND token_hash = ?2 AND ended = 0",
        )?
        .execute(params![
            next.session_id.as_str(),
            expected,
            next.token_hash,
            next.previous_hash,
            next.successor_salt,
            next.rotated_at.as_millis(),
            next.expires_at.as_millis()
        ])?;
    Ok(rotated == 1)
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        session_id: rows::id(row, 0)?,
        user_id: rows::id(row, 1)?,
        token_hash: row.get(2)?,
        previous_hash: row.get(3)?,
        successor_salt: row.get(4)?,
        rotated_at: rows::time(row, 5)?,
        expires_at: rows::time(row, 6)?,
        ended: row.get(7)?,
    })
}
