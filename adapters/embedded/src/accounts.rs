//! Accounts, in the log's database file, which is synced before an answer.

use std::sync::Arc;

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::accounts::{
    Account, AccountStore, AccountUpdate, Ending, EndingStep, Registration,
};
use roomcast_protocol::{RoomId, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::log::EmbeddedLog;
use crate::rows;

macro_rules! select_accounts {
    ($rest:literal) => {
        concat!(
            "SELECT user_id, name, display_name, password_hash, created_at FROM accounts ",
            $rest
        )
    };
}

/// Accounts in the log's file.
#[derive(Debug)]
pub(crate) struct EmbeddedAccounts {
    log: Arc<EmbeddedLog>,
}

impl EmbeddedAccounts {
    pub(crate) const fn new(log: Arc<EmbeddedLog>) -> Self {
        Self { log }
    }
}

#[async_trait]
impl AccountStore for EmbeddedAccounts {
    async fn create(&self, account: &Account) -> Result<Registration, StoreError> {
        let account = account.clone();
        let made = self.log.write(move |file| insert(file, &account)).await?;
        Ok(if made {
            Registration::Made
        } else {
            Registration::NameTaken
        })
    }

    async fn by_id(&self, user_id: &UserId) -> Result<Option<Account>, StoreError> {
        let user_id = user_id.clone();
        let select = move |file: &Connection| {
            file.prepare_cached(select_accounts!("WHERE user_id = ?1"))?
                .query_row([user_id.as_str()], account)
                .optional()
        };
        Ok(self.log.query(select).await?)
    }

    async fn by_name(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let key = key(name);
        let select = move |file: &Connection| {
            file.prepare_cached(select_accounts!("WHERE name_key = ?1"))?
                .query_row([key], account)
                .optional()
        };
        Ok(self.log.query(select).await?)
    }

    async fn by_prefix(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let from = key(prefix);
        // The last code point, which no name contains: everything that begins with the prefix is below.
        let to = format!("{from}\u{10FFFF}");
        let after = after.map(key).unwrap_or_default();
        let select = move |file: &Connection| {
            file.prepare_cached(select_accounts!(
                "WHERE name_key >= ?1 AND name_key < ?2 AND name_key > ?3
                 ORDER BY name_key LIMIT ?4"
            ))?
            .query_map(params![from, to, after, limit], account)?
            .collect()
        };
        Ok(self.log.query(select).await?)
    }

    async fn update(
        &self,
        user_id: &UserId,
        update: &AccountUpdate,
    ) -> Result<Option<Account>, StoreError> {
        let (user_id, update) = (user_id.clone(), update.clone());
        let write = move |file: &Connection| {
            file.prepare_cached(
                "UPDATE accounts SET display_name = coalesce(?2, display_name),
                     password_hash = coalesce(?3, password_hash)
                 WHERE user_id = ?1
                 RETURNING user_id, name, display_name, password_hash, created_at",
            )?
            .query_row(
                params![user_id.as_str(), update.display_name, update.password_hash],
                account,
            )
            .optional()
        };
        Ok(self.log.write(write).await?)
    }

    async fn delete(&self, user_id: &UserId) -> Result<bool, StoreError> {
        let user_id = user_id.clone();
        let delete = move |file: &Connection| {
            let deleted = file
                .prepare_cached("DELETE FROM accounts WHERE user_id = ?1")?
                .execute([user_id.as_str()])?;
            Ok(deleted == 1)
        };
        Ok(self.log.write(delete).await?)
    }

    async fn put_ending(&self, ending: &Ending) -> Result<(), StoreError> {
        let sql = "INSERT INTO endings (step, user_id, room_id) VALUES (?1, ?2, ?3)
            ON CONFLICT DO NOTHING";
        self.change_ending(ending, sql).await
    }

    async fn endings(&self, step: EndingStep, limit: usize) -> Result<Vec<Ending>, StoreError> {
        let select = move |file: &Connection| {
            file.prepare_cached("SELECT user_id, room_id FROM endings WHERE step = ?1 LIMIT ?2")?
                .query_map(params![step.as_str(), limit], |row| {
                    let of_user = row.get_ref(1)?.as_str()?.is_empty();
                    Ok(Ending {
                        step,
                        user_id: rows::id(row, 0)?,
                        room_id: (!of_user).then(|| rows::id(row, 1)).transpose()?,
                    })
                })?
                .collect()
        };
        Ok(self.log.query(select).await?)
    }

    async fn has_ending(&self, ending: &Ending) -> Result<bool, StoreError> {
        let ending = ending.clone();
        let select = move |file: &Connection| {
            file.prepare_cached(
                "SELECT 1 FROM endings WHERE step = ?1 AND user_id = ?2 AND room_id = ?3",
            )?
            .exists(ending_key(&ending))
        };
        Ok(self.log.query(select).await?)
    }

    async fn delete_ending(&self, ending: &Ending) -> Result<(), StoreError> {
        let sql = "DELETE FROM endings WHERE step = ?1 AND user_id = ?2 AND room_id = ?3";
        self.change_ending(ending, sql).await
    }
}

impl EmbeddedAccounts {
    async fn change_ending(&self, ending: &Ending, sql: &'static str) -> Result<(), StoreError> {
        let ending = ending.clone();
        let change = move |file: &Connection| {
            file.prepare_cached(sql)?.execute(ending_key(&ending))?;
            Ok(())
        };
        Ok(self.log.write(change).await?)
    }
}

/// An ending as its row's key.
fn ending_key(ending: &Ending) -> [&str; 3] {
    let room_id = ending.room_id.as_ref().map_or("", RoomId::as_str);
    [ending.step.as_str(), ending.user_id.as_str(), room_id]
}

/// By what names are compared.
fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn insert(file: &Connection, account: &Account) -> rusqlite::Result<bool> {
    let added = file
        .prepare_cached(
            "INSERT INTO accounts
                 (user_id, name_key, name, display_name, password_hash, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name_key) DO NOTHING",
        )?
        .execute(params![
            account.user_id.as_str(),
            key(&account.name),
            account.name,
            account.display_name,
            account.password_hash,
            account.created_at.as_millis()
        ])?;
    Ok(added == 1)
}

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        user_id: rows::id(row, 0)?,
        name: row.get(1)?,
        display_name: row.get(2)?,
        password_hash: row.get(3)?,
        created_at: rows::time(row, 4)?,
    })
}
