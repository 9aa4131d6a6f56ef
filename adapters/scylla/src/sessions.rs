//! Sign-ins: each is one row that only lightweight transactions change, so that of two refreshes at
//! once one succeeds and what was ended stays ended.
//!
//! The two indexes, by user and by the day of expiry, are written before the row is: a name in them
//! whose row is not there, or expires later, is passed over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use roomcast_ports::StoreError;
use roomcast_ports::accounts::{Session, SessionStore};
use roomcast_protocol::{SessionId, Timestamp, UserId};

use crate::client::{Client, Decision, damaged, statements};
use crate::config::ConnectError;
use crate::rows::{id, millis, time};

/// A day in milliseconds.
const DAY_MS: u64 = 86_400_000;
/// Sessions forgotten side by side.
const FORGOTTEN_AT_ONCE: usize = 32;

statements! {
    /// What is asked about sign-ins.
    Statements {
        create: Decide = "INSERT INTO {lwt}.sessions (session_id, user_id, token_hash, previous_hash,
            successor_salt, rotated_at, expires_at, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            IF NOT EXISTS",
        rotate: Decide = "UPDATE {lwt}.sessions SET token_hash = ?, previous_hash = ?,
            successor_salt = ?, rotated_at = ?, expires_at = ? WHERE session_id = ?
            IF token_hash = ? AND ended = false",
        end: Decide = "UPDATE {lwt}.sessions SET ended = true WHERE session_id = ?
            IF ended = false",
        forget: Decide = "DELETE FROM {lwt}.sessions WHERE session_id = ? IF expires_at < ?",
        session: Settle = "SELECT session_id, user_id, token_hash, previous_hash, successor_salt,
            rotated_at, expires_at, ended FROM {lwt}.sessions WHERE session_id = ?",
        insert_of_user: Write = "INSERT INTO {lwt}.sessions_by_user (user_id, session_id)
            VALUES (?, ?)",
        delete_of_user: Write = "DELETE FROM {lwt}.sessions_by_user
            WHERE user_id = ? AND session_id = ?",
        of_user: Read = "SELECT session_id FROM {lwt}.sessions_by_user WHERE user_id = ?",
        insert_of_day: Write = "INSERT INTO {lwt}.sessions_by_day (day, session_id, user_id)
            VALUES (?, ?, ?)",
        delete_of_day: Write = "DELETE FROM {lwt}.sessions_by_day WHERE day = ? AND session_id = ?",
        of_day: Read = "SELECT session_id, user_id FROM {lwt}.sessions_by_day
            WHERE day = ? AND session_id > ? LIMIT ?",
        insert_day: Write = "INSERT INTO {lwt}.session_days (kind, day) VALUES ('day', ?)",
        delete_day: Write = "DELETE FROM {lwt}.session_days WHERE kind = 'day' AND day = ?",
        days: Read = "SELECT day FROM {lwt}.session_days WHERE kind = 'day' AND day <= ?",
    }
}

/// Sign-ins.
#[derive(Debug)]
pub(crate) struct ScyllaSessions {
    client: Arc<Client>,
    statements: Statements,
}

#[derive(Debug, scylla::DeserializeRow)]
struct Row {
    session_id: String,
    user_id: Option<String>,
    token_hash: Option<Vec<u8>>,
    previous_hash: Option<Vec<u8>>,
    successor_salt: Option<Vec<u8>>,
    rotated_at: Option<i64>,
    expires_at: Option<i64>,
    ended: Option<bool>,
}

impl ScyllaSessions {
    pub(crate) async fn prepare(client: &Arc<Client>) -> Result<Self, ConnectError> {
        let statements = Statements::prepare(client).await?;
        Ok(Self {
            client: Arc::clone(client),
            statements,
        })
    }

    /// Where it will be found when it has expired.
    async fn index_end(&self, session: &Session) -> Result<(), StoreError> {
        let day = day_of(session.expires_at.as_millis());
        self.client
            .write(&self.statements.insert_day, (day,))
            .await?;
        let values = (day, session.session_id.as_str(), session.user_id.as_str());
        self.client
            .write(&self.statements.insert_of_day, values)
            .await
    }

    /// Forgets what of a day expired before `before`; how many, and whether nothing is left of it.
    async fn forget_day(&self, day: i32, before: u64) -> Result<(u64, bool), StoreError> {
        let (mut forgotten, mut empty, mut after) = (0, true, String::new());
        loop {
            let limit = i32::try_from(FORGOTTEN_AT_ONCE).unwrap_or(i32::MAX);
            let values = (day, after.as_str(), limit);
            let page: Vec<(String, String)> =
                self.client.rows(&self.statements.of_day, values).await?;
            let Some((last, _)) = page.last() else {
                return Ok((forgotten, empty));
            };
            after.clone_from(last);
            let ends = page.iter().map(|(session_id, user_id)| async move {
                self.forget(day, session_id, user_id, before).await
            });
            for end in try_join_all(ends).await? {
                forgotten += u64::from(end == End::Forgotten);
                empty &= end != End::Kept;
            }
        }
    }

    async fn forget(
        &self,
        day: i32,
        session_id: &str,
        user_id: &str,
        before: u64,
    ) -> Result<End, StoreError> {
        let before = before.cast_signed();
        let end = match self
            .client
            .decide(&self.statements.forget, (session_id, before))
            .await?
        {
            Decision::Applied => End::Forgotten,
            Decision::Unknown(failure) => return Err(failure),
            Decision::Refused => match self.session(&id(session_id)?).await? {
                Some(kept) if day_of(kept.expires_at.as_millis()) == day => return Ok(End::Kept),
                Some(_) => End::Elsewhere,
                None => End::Gone,
            },
        };
        if end != End::Elsewhere {
            self.client
                .write(&self.statements.delete_of_user, (user_id, session_id))
                .await?;
        }
        self.client
            .write(&self.statements.delete_of_day, (day, session_id))
            .await?;
        Ok(end)
    }
}

/// What became of a session whose day has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It had expired.
    Forgotten,
    /// It had been forgotten before.
    Gone,
    /// It was refreshed and is on another day.
    Elsewhere,
    /// Its time has not come.
    Kept,
}

#[async_trait]
impl SessionStore for ScyllaSessions {
    async fn create(&self, session: &Session) -> Result<(), StoreError> {
        self.index_end(session).await?;
        let values = (session.user_id.as_str(), session.session_id.as_str());
        self.client
            .write(&self.statements.insert_of_user, values)
            .await?;
        let values = (
            session.session_id.as_str(),
            session.user_id.as_str(),
            session.token_hash,
            session.previous_hash,
            session.successor_salt,
            millis(session.rotated_at),
            millis(session.expires_at),
            session.ended,
        );
        match self.client.decide(&self.statements.create, values).await? {
            Decision::Applied => Ok(()),
            Decision::Unknown(failure) => match self.session(&session.session_id).await? {
                Some(_) => Ok(()),
                None => Err(failure),
            },
            Decision::Refused => Err(damaged("another session has this id")),
        }
    }

    async fn session(&self, session_id: &SessionId) -> Result<Option<Session>, StoreError> {
        let select = &self.statements.session;
        let row = self
            .client
            .first::<Row>(select, (session_id.as_str(),))
            .await?;
        row.map(session).transpose()
    }

    async fn rotate(&self, expected: &[u8; 32], next: &Session) -> Result<bool, StoreError> {
        self.index_end(next).await?;
        let values = (
            next.token_hash,
            next.previous_hash,
            next.successor_salt,
            millis(next.rotated_at),
            millis(next.expires_at),
            next.session_id.as_str(),
            *expected,
        );
        match self.client.decide(&self.statements.rotate, values).await? {
            Decision::Applied => Ok(true),
            Decision::Refused => Ok(false),
            Decision::Unknown(failure) => match self.session(&next.session_id).await? {
                Some(kept) if kept.token_hash == next.token_hash => Ok(true),
                Some(kept) if kept.token_hash == *expected && !kept.ended => Err(failure),
                _ => Ok(false),
            },
        }
    }

    async fn end(&self, session_id: &SessionId) -> Result<bool, StoreError> {
        match self
            .client
            .decide(&self.statements.end, (session_id.as_str(),))
            .await?
        {
            Decision::Applied => Ok(true),
            Decision::Refused => Ok(false),
            // Ended by this very call, as far as anybody can tell.
            Decision::Unknown(failure) => match self.session(session_id).await? {
                Some(kept) if kept.ended => Ok(true),
                Some(_) => Err(failure),
                None => Ok(false),
            },
        }
    }

    async fn end_all_but(
        &self,
        user_id: &UserId,
        kept: Option<&SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let rows = self
            .client
            .rows::<(String,)>(&self.statements.of_user, (user_id.as_str(),));
        let mut ids = rows
            .await?
            .iter()
            .map(|(it,)| id(it))
            .collect::<Result<Vec<SessionId>, _>>()?;
        ids.retain(|session_id| Some(session_id) != kept);
        let ended = try_join_all(ids.iter().map(|session_id| self.end(session_id))).await?;
        Ok(ids
            .into_iter()
            .zip(ended)
            .filter_map(|(id, ended)| ended.then_some(id))
            .collect())
    }

    async fn forget_expired(&self, older_than: Duration) -> Result<u64, StoreError> {
        let older_than = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp::now().as_millis().saturating_sub(older_than);
        let days = self
            .client
            .rows::<(i32,)>(&self.statements.days, (day_of(before),))
            .await?;
        let days: BTreeSet<i32> = days.into_iter().map(|(day,)| day).collect();
        let mut forgotten = 0;
        for day in days {
            let (of_day, empty) = self.forget_day(day, before).await?;
            forgotten += of_day;
            // Nobody signs in any more to expire on a day that is over.
            if empty && day < day_of(before) {
                self.client
                    .write(&self.statements.delete_day, (day,))
                    .await?;
            }
        }
        Ok(forgotten)
    }
}

/// The day of a time, counted from 1970.
fn day_of(millis: u64) -> i32 {
    i32::try_from(millis / DAY_MS).unwrap_or(i32::MAX)
}

fn session(row: Row) -> Result<Session, StoreError> {
    let lacking = || damaged("a session lacks a cell");
    Ok(Session {
        session_id: id(&row.session_id)?,
        user_id: id(&row.user_id.ok_or_else(lacking)?)?,
        token_hash: hash(row.token_hash.ok_or_else(lacking)?)?,
        previous_hash: row.previous_hash.map(hash).transpose()?,
        successor_salt: hash(row.successor_salt.ok_or_else(lacking)?)?,
        rotated_at: time(row.rotated_at.ok_or_else(lacking)?),
        expires_at: time(row.expires_at.ok_or_else(lacking)?),
        ended: row.ended.unwrap_or(false),
    })
}

fn hash(cell: Vec<u8>) -> Result<[u8; 32], StoreError> {
    cell.try_into().map_err(|_| damaged("a hash is 32 bytes"))
}
