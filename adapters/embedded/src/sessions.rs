//! Sessions, in the log's database file: an ended session stays ended after a power loss.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::accounts::{Replaced, Session, SessionStore};
use roomcast_protocol::{SessionId, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::log::EmbeddedLog;
use crate::rows;

macro_rules! select_sessions {
    ($rest:literal) => {
        concat!(
            "SELECT session_id, user_id, created_at, user_agent, token_salt, generation, replaced,
                 used_at, expires_at, ended
             FROM sessions ",
            $rest
        )
    };
}

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
            file.prepare_cached(select_sessions!("WHERE session_id = ?1"))?
                .query_row([session_id.as_str()], session)
                .optional()
        };
        Ok(self.log.query(select).await?)
    }

    async fn of_user(&self, user_id: &UserId) -> Result<Vec<Session>, StoreError> {
        let user_id = user_id.clone();
        let select = move |file: &Connection| {
            file.prepare_cached(select_sessions!(
                "WHERE user_id = ?1 AND ended = 0 ORDER BY created_at DESC, session_id DESC"
            ))?
            .query_map([user_id.as_str()], session)?
            .collect()
        };
        Ok(self.log.query(select).await?)
    }

    async fn rotate(&self, expected: u64, next: &Session) -> Result<bool, StoreError> {
        let next = next.clone();
        Ok(self
            .log
            .write(move |file| rotate(file, expected, &next))
            .await?)
    }

    async fn end(&self, user_id: &UserId, session_id: &SessionId) -> Result<bool, StoreError> {
        let (user_id, session_id) = (user_id.clone(), session_id.clone());
        let end = move |file: &Connection| {
            let ended = file
                .prepare_cached(
                    "UPDATE sessions SET ended = 1
                     WHERE session_id = ?1 AND user_id = ?2 AND ended = 0",
                )?
                .execute([session_id.as_str(), user_id.as_str()])?;
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

    async fn end_oldest(
        &self,
        user_id: &UserId,
        kept: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        let user_id = user_id.clone();
        let end = move |file: &Connection| {
            file.prepare_cached(
                "UPDATE sessions SET ended = 1
                 WHERE session_id IN (
                     SELECT session_id FROM sessions WHERE user_id = ?1 AND ended = 0
                     ORDER BY created_at DESC, session_id DESC LIMIT -1 OFFSET ?2)
                 RETURNING session_id",
            )?
            .query_map(params![user_id.as_str(), kept], |row| rows::id(row, 0))?
            .collect()
        };
        Ok(self.log.write(end).await?)
    }

    async fn delete_expired(&self, older_than: Duration) -> Result<u64, StoreError> {
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
        "INSERT INTO sessions (session_id, user_id, created_at, user_agent, token_salt, generation,
             replaced, used_at, expires_at, ended)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        session.session_id.as_str(),
        session.user_id.as_str(),
        session.created_at.as_millis(),
        session.user_agent,
        session.token_salt,
        session.generation,
        replaced_bytes(&session.replaced),
        session.used_at.as_millis(),
        session.expires_at.as_millis(),
        session.ended
    ])?;
    Ok(())
}

fn rotate(file: &Connection, expected: u64, next: &Session) -> rusqlite::Result<bool> {
    let rotated = file
        .prepare_cached(
            "UPDATE sessions SET generation = ?3, replaced = ?4, used_at = ?5, expires_at = ?6
             WHERE session_id = ?1 AND generation = ?2 AND ended = 0",
        )?
        .execute(params![
            next.session_id.as_str(),
            expected,
            next.generation,
            replaced_bytes(&next.replaced),
            next.used_at.as_millis(),
            next.expires_at.as_millis()
        ])?;
    Ok(rotated == 1)
}

fn replaced_bytes(replaced: &[Replaced]) -> Vec<u8> {
    let numbers = replaced
        .iter()
        .flat_map(|entry| [entry.first, entry.at.as_millis()]);
    numbers.flat_map(u64::to_be_bytes).collect()
}

fn replaced(bytes: &[u8]) -> Vec<Replaced> {
    let (numbers, _) = bytes.as_chunks::<8>();
    let (pairs, _) = numbers.as_chunks::<2>();
    let entry = |[first, at]: &[[u8; 8]; 2]| Replaced {
        first: u64::from_be_bytes(*first),
        at: Timestamp::from_millis(u64::from_be_bytes(*at)),
    };
    pairs.iter().map(entry).collect()
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        session_id: rows::id(row, 0)?,
        user_id: rows::id(row, 1)?,
        created_at: rows::time(row, 2)?,
        user_agent: row.get(3)?,
        token_salt: row.get(4)?,
        generation: row.get(5)?,
        replaced: replaced(row.get_ref(6)?.as_blob()?),
        used_at: rows::time(row, 7)?,
        expires_at: rows::time(row, 8)?,
        ended: row.get(9)?,
    })
}
