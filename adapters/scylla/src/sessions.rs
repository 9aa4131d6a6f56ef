//! Sign-ins: each is one row that only lightweight transactions change, so that of two refreshes at
//! once one succeeds and what was ended stays ended.
//!
//! The two indexes, by user and by the day of expiry, are written before the row is: a name in them
//! whose row is not there, or expires later, is passed over. The index by user has those that have not
//! ended, so that its size is bounded by the number of sign-ins a user may have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use roomcast_ports::StoreError;
use roomcast_ports::accounts::{Replaced, Session, SessionStore};
use roomcast_protocol::{SessionId, Timestamp, UserId};

use crate::client::{Client, LwtResult, corrupted, statements};
use crate::config::ConnectError;
use crate::rows::{count, id, millis, time};

/// A day in milliseconds.
const DAY_MS: u64 = 86_400_000;
/// Sessions forgotten side by side.
const DELETE_CONCURRENCY_MAX: usize = 32;

statements! {
    /// What is asked about sign-ins.
    Statements {
        create: Decide = "INSERT INTO {lwt}.sessions (session_id, user_id, created_at, user_agent,
            token_salt, generation, replaced, used_at, expires_at, ended)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS",
        rotate: Decide = "UPDATE {lwt}.sessions SET generation = ?, replaced = ?, used_at = ?,
            expires_at = ? WHERE session_id = ? IF generation = ? AND ended = false",
        end: Decide = "UPDATE {lwt}.sessions SET ended = true WHERE session_id = ?
            IF ended = false AND user_id = ?",
        forget: Decide = "DELETE FROM {lwt}.sessions WHERE session_id = ? IF expires_at < ?",
        session: Settle = "SELECT session_id, user_id, created_at, user_agent, token_salt,
            generation, replaced, used_at, expires_at, ended
            FROM {lwt}.sessions WHERE session_id = ?",
        insert_of_user: Write = "INSERT INTO {lwt}.sessions_by_user (user_id, session_id, created_at)
            VALUES (?, ?, ?)",
        delete_of_user: Write = "DELETE FROM {lwt}.sessions_by_user
            WHERE user_id = ? AND session_id = ?",
        of_user: Read = "SELECT session_id, created_at FROM {lwt}.sessions_by_user
            WHERE user_id = ?",
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
    created_at: Option<i64>,
    user_agent: Option<String>,
    token_salt: Option<Vec<u8>>,
    generation: Option<i64>,
    replaced: Option<BTreeMap<i64, i64>>,
    used_at: Option<i64>,
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

    /// The user's sessions that may not have ended, newest first.
    async fn ids_of(&self, user_id: &UserId) -> Result<Vec<SessionId>, StoreError> {
        let rows = self
            .client
            .rows::<(String, Option<i64>)>(&self.statements.of_user, (user_id.as_str(),));
        let mut rows = rows.await?;
        rows.sort_unstable_by(|(id_1, at_1), (id_2, at_2)| (at_2, id_2).cmp(&(at_1, id_1)));
        rows.iter().map(|(session_id, _)| id(session_id)).collect()
    }

    async fn end_each(
        &self,
        user_id: &UserId,
        ids: Vec<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let ended = ids.iter().map(|session_id| self.end(user_id, session_id));
        let ended = try_join_all(ended).await?;
        let ended = ids.into_iter().zip(ended);
        Ok(ended
            .filter_map(|(id, ended)| ended.then_some(id))
            .collect())
    }

    /// Forgets what of a day expired before `before`; how many, and whether nothing is left of it.
    async fn delete_day(&self, day: i32, before: u64) -> Result<(u64, bool), StoreError> {
        let (mut forgotten, mut empty, mut after) = (0, true, String::new());
        loop {
            let limit = i32::try_from(DELETE_CONCURRENCY_MAX).unwrap_or(i32::MAX);
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
            .execute_lwt(&self.statements.forget, (session_id, before))
            .await?
        {
            LwtResult::Applied => End::Forgotten,
            LwtResult::Unknown(failure) => return Err(failure),
            LwtResult::Refused => match self.session(&id(session_id)?).await? {
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
        let created_at = millis(session.created_at);
        let values = (
            session.user_id.as_str(),
            session.session_id.as_str(),
            created_at,
        );
        self.client
            .write(&self.statements.insert_of_user, values)
            .await?;
        let values = (
            session.session_id.as_str(),
            session.user_id.as_str(),
            created_at,
            session.user_agent.as_deref(),
            session.token_salt,
            number(session.generation),
            replaced_cell(&session.replaced),
            millis(session.used_at),
            millis(session.expires_at),
            session.ended,
        );
        match self
            .client
            .execute_lwt(&self.statements.create, values)
            .await?
        {
            LwtResult::Applied => Ok(()),
            LwtResult::Unknown(failure) => match self.session(&session.session_id).await? {
                Some(_) => Ok(()),
                None => Err(failure),
            },
            LwtResult::Refused => Err(corrupted("another session has this id")),
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

    async fn of_user(&self, user_id: &UserId) -> Result<Vec<Session>, StoreError> {
        let ids = self.ids_of(user_id).await?;
        let sessions = try_join_all(ids.iter().map(|session_id| self.session(session_id))).await?;
        let sessions = sessions.into_iter().flatten();
        Ok(sessions.filter(|session| !session.ended).collect())
    }

    async fn rotate(&self, expected: u64, next: &Session) -> Result<bool, StoreError> {
        self.index_end(next).await?;
        let values = (
            number(next.generation),
            replaced_cell(&next.replaced),
            millis(next.used_at),
            millis(next.expires_at),
            next.session_id.as_str(),
            number(expected),
        );
        match self
            .client
            .execute_lwt(&self.statements.rotate, values)
            .await?
        {
            LwtResult::Applied => Ok(true),
            LwtResult::Refused => Ok(false),
            LwtResult::Unknown(failure) => match self.session(&next.session_id).await? {
                Some(kept) if kept.ended => Ok(false),
                Some(kept) if kept.generation == next.generation => Ok(true),
                Some(kept) if kept.generation == expected => Err(failure),
                _ => Ok(false),
            },
        }
    }

    async fn end(&self, user_id: &UserId, session_id: &SessionId) -> Result<bool, StoreError> {
        let values = (session_id.as_str(), user_id.as_str());
        let ended = match self
            .client
            .execute_lwt(&self.statements.end, values)
            .await?
        {
            LwtResult::Applied => true,
            LwtResult::Refused => false,
            // Ended by this very call, as far as can be known.
            LwtResult::Unknown(failure) => match self.session(session_id).await? {
                Some(kept) if kept.user_id != *user_id => false,
                Some(kept) if kept.ended => true,
                Some(_) => return Err(failure),
                None => false,
            },
        };
        // Of a session that is just being made only the index may be there yet: it stays.
        if ended {
            let values = (user_id.as_str(), session_id.as_str());
            self.client
                .write(&self.statements.delete_of_user, values)
                .await?;
        }
        Ok(ended)
    }

    async fn end_all_but(
        &self,
        user_id: &UserId,
        kept: Option<&SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut ids = self.ids_of(user_id).await?;
        ids.retain(|session_id| Some(session_id) != kept);
        self.end_each(user_id, ids).await
    }

    async fn end_oldest(
        &self,
        user_id: &UserId,
        kept: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut ids = self.ids_of(user_id).await?;
        let oldest = ids.split_off(kept.min(ids.len()));
        self.end_each(user_id, oldest).await
    }

    async fn delete_expired(&self, older_than: Duration) -> Result<u64, StoreError> {
        let older_than = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp::now().as_millis().saturating_sub(older_than);
        let days = self
            .client
            .rows::<(i32,)>(&self.statements.days, (day_of(before),))
            .await?;
        let days: BTreeSet<i32> = days.into_iter().map(|(day,)| day).collect();
        let mut forgotten = 0;
        for day in days {
            let (of_day, empty) = self.delete_day(day, before).await?;
            forgotten += of_day;
            // No new session expires on a day that is over.
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
    let lacking = || corrupted("a session lacks a cell");
    let salt = row.token_salt.ok_or_else(lacking)?;
    let replaced = row.replaced.unwrap_or_default().into_iter();
    Ok(Session {
        session_id: id(&row.session_id)?,
        user_id: id(&row.user_id.ok_or_else(lacking)?)?,
        created_at: time(row.created_at.ok_or_else(lacking)?),
        user_agent: row.user_agent,
        token_salt: salt
            .try_into()
            .map_err(|_| corrupted("a salt is 32 bytes"))?,
        generation: count(row.generation),
        replaced: replaced
            .map(|(first, at)| Replaced {
                first: count(Some(first)),
                at: time(at),
            })
            .collect(),
        used_at: time(row.used_at.ok_or_else(lacking)?),
        expires_at: time(row.expires_at.ok_or_else(lacking)?),
        ended: row.ended.unwrap_or(false),
    })
}

fn replaced_cell(replaced: &[Replaced]) -> BTreeMap<i64, i64> {
    let entries = replaced.iter();
    entries
        .map(|entry| (number(entry.first), millis(entry.at)))
        .collect()
}

/// A count as a cell.
const fn number(count: u64) -> i64 {
    count.cast_signed()
}
