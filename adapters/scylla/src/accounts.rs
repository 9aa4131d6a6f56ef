//! Accounts. A name is claimed by a lightweight transaction; everything else is plain writes.
//!
//! An account is written before its name is claimed and listed after, so that a reader that finds it by its
//! name finds it complete. A process that dies in between leaves an unreachable row, or an account
//! that is not listed under its name's beginning until it is next changed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use roomcast_ports::StoreError;
use roomcast_ports::accounts::{
    Account, AccountStore, AccountUpdate, Ending, EndingStep, Registration,
};
use roomcast_ports::back_off::BackOff;
use roomcast_protocol::{RoomId, UserId};
use tokio::time::sleep;

use crate::client::{Client, LwtResult, statements};
use crate::config::ConnectError;
use crate::rows::{id, millis, shard, time};

/// What names are made of, without case, in the order in which they are listed.
const ALPHABET: &str = "-.0123456789:_abcdefghijklmnopqrstuvwxyz";
/// Partitions of the pending account deletions.
const ENDING_SHARDS: u32 = 16;
/// How often a claim that got no answer is made again.
const CLAIMS_MAX: u32 = 5;
/// Delays before it.
const CLAIM_RETRY_AFTER: Duration = Duration::from_millis(20);
const CLAIM_RETRY_MAX: Duration = Duration::from_millis(200);

statements! {
    /// What is asked about accounts.
    Statements {
        insert: Write = "INSERT INTO {ks}.users (user_id, name, display_name, password_hash,
            created_at) VALUES (?, ?, ?, ?, ?)",
        set_display_name: Write = "UPDATE {ks}.users SET display_name = ? WHERE user_id = ?",
        set_password_hash: Write = "UPDATE {ks}.users SET password_hash = ? WHERE user_id = ?",
        delete: Write = "DELETE FROM {ks}.users WHERE user_id = ?",
        by_id: Read = "SELECT user_id, name, display_name, password_hash, created_at
            FROM {ks}.users WHERE user_id = ?",
        claim: Decide = "INSERT INTO {lwt}.users_by_name (name_key, user_id) VALUES (?, ?)
            IF NOT EXISTS",
        free: Decide = "DELETE FROM {lwt}.users_by_name WHERE name_key = ? IF user_id = ?",
        by_name: Read = "SELECT user_id FROM {lwt}.users_by_name WHERE name_key = ?",
        owner: Settle = "SELECT user_id FROM {lwt}.users_by_name WHERE name_key = ?",
        list: Write = "INSERT INTO {ks}.users_by_prefix (first, name_key, user_id)
            VALUES (?, ?, ?)",
        unlist: Write = "DELETE FROM {ks}.users_by_prefix
            WHERE first = ? AND name_key = ? AND user_id = ?",
        note_ending: Write = "INSERT INTO {ks}.endings (step, shard, user_id, room_id)
            VALUES (?, ?, ?, ?)",
        forget_ending: Write = "DELETE FROM {ks}.endings
            WHERE step = ? AND shard = ? AND user_id = ? AND room_id = ?",
        has_ending: Read = "SELECT user_id, room_id FROM {ks}.endings
            WHERE step = ? AND shard = ? AND user_id = ? AND room_id = ?",
        endings: Read = "SELECT user_id, room_id FROM {ks}.endings
            WHERE step = ? AND shard = ? LIMIT ?",
        listed: Read = "SELECT name_key, user_id FROM {ks}.users_by_prefix
            WHERE first = ? AND name_key >= ? AND name_key < ? LIMIT ?",
    }
}

/// Accounts, by id and by name.
#[derive(Debug)]
pub(crate) struct ScyllaAccounts {
    client: Arc<Client>,
    statements: Statements,
}

#[derive(Debug, scylla::DeserializeRow)]
struct Row {
    user_id: String,
    name: Option<String>,
    display_name: Option<String>,
    password_hash: Option<String>,
    created_at: Option<i64>,
}

impl ScyllaAccounts {
    pub(crate) async fn prepare(client: &Arc<Client>) -> Result<Self, ConnectError> {
        let statements = Statements::prepare(client).await?;
        Ok(Self {
            client: Arc::clone(client),
            statements,
        })
    }

    /// Takes the name for this user, unless it is another's.
    async fn claim(&self, name_key: &str, user_id: &UserId) -> Result<bool, StoreError> {
        let mut back_off = BackOff::new(CLAIM_RETRY_AFTER, CLAIM_RETRY_MAX);
        let mut tries = 0;
        loop {
            let values = (name_key, user_id.as_str());
            let failure = match self
                .client
                .execute_lwt(&self.statements.claim, values)
                .await?
            {
                LwtResult::Applied => return Ok(true),
                LwtResult::Refused => None,
                LwtResult::Unknown(failure) => Some(failure),
            };
            // A claim that got no answer may have been taken, and be what refused the next.
            let owner = self
                .client
                .first::<(Option<String>,)>(&self.statements.owner, (name_key,));
            match (owner.await?.and_then(|(owner,)| owner), failure) {
                (Some(owner), _) => return Ok(owner == user_id.as_str()),
                (None, Some(failure)) if tries == CLAIMS_MAX => return Err(failure),
                (None, _) => {}
            }
            tries += 1;
            sleep(back_off.next_delay()).await;
        }
    }

    async fn list(&self, name_key: &str, user_id: &str) -> Result<(), StoreError> {
        let values = (first_of(name_key), name_key, user_id);
        self.client.write(&self.statements.list, values).await
    }

    /// The accounts among these, with the names under which they were found, in order.
    async fn found(
        &self,
        rows: Vec<(String, String)>,
    ) -> Result<Vec<(String, Account)>, StoreError> {
        let ids = rows
            .iter()
            .map(|(_, user_id)| id(user_id))
            .collect::<Result<Vec<UserId>, _>>()?;
        let accounts = try_join_all(ids.iter().map(|user_id| self.by_id(user_id))).await?;
        let found = rows.into_iter().zip(accounts);
        Ok(found
            .filter_map(|((name_key, _), account)| Some((name_key, account?)))
            .collect())
    }
}

#[async_trait]
impl AccountStore for ScyllaAccounts {
    async fn create(&self, account: &Account) -> Result<Registration, StoreError> {
        let values = (
            account.user_id.as_str(),
            account.name.as_str(),
            account.display_name.as_str(),
            account.password_hash.as_str(),
            millis(account.created_at),
        );
        self.client.write(&self.statements.insert, values).await?;
        let name_key = key(&account.name);
        if self.claim(&name_key, &account.user_id).await? {
            self.list(&name_key, account.user_id.as_str()).await?;
            return Ok(Registration::Made);
        }
        self.client
            .write(&self.statements.delete, (account.user_id.as_str(),))
            .await?;
        Ok(Registration::NameTaken)
    }

    async fn by_id(&self, user_id: &UserId) -> Result<Option<Account>, StoreError> {
        let row = self
            .client
            .first::<Row>(&self.statements.by_id, (user_id.as_str(),))
            .await?;
        row.map_or(Ok(None), account)
    }

    async fn by_name(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let select = &self.statements.by_name;
        let row = self
            .client
            .first::<(Option<String>,)>(select, (key(name),))
            .await?;
        match row.and_then(|(user_id,)| user_id) {
            Some(user_id) => self.by_id(&id(&user_id)?).await,
            None => Ok(None),
        }
    }

    /// One partition per first character: fit for some ten million accounts.
    async fn by_prefix(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let prefix = key(prefix);
        let after = after.map(key).unwrap_or_default();
        // The last code point, which no name contains: everything that begins with the prefix is below.
        let to = format!("{prefix}\u{10FFFF}");
        let mut accounts = Vec::new();
        let firsts = ALPHABET
            .char_indices()
            .map(|(at, it)| &ALPHABET[at..at + it.len_utf8()]);
        let within = |first: &&str| match first_of(&prefix) {
            "" => *first >= first_of(&after),
            of_prefix => *first == of_prefix,
        };
        for first in firsts.filter(within) {
            // Rows of accounts that are gone may be among them: read on until the page is full.
            let mut from = prefix.clone().max(format!("{after}\u{0}"));
            while accounts.len() < limit {
                let wanted = limit - accounts.len();
                let values = (
                    first,
                    from.as_str(),
                    to.as_str(),
                    i32::try_from(wanted).unwrap_or(i32::MAX),
                );
                let rows: Vec<(String, String)> =
                    self.client.rows(&self.statements.listed, values).await?;
                let ended = rows.len() < wanted;
                if let Some((last, _)) = rows.last() {
                    from = format!("{last}\u{0}");
                }
                accounts.extend(
                    self.found(rows)
                        .await?
                        .into_iter()
                        .map(|(_, account)| account),
                );
                if ended {
                    break;
                }
            }
        }
        Ok(accounts)
    }

    async fn update(
        &self,
        user_id: &UserId,
        update: &AccountUpdate,
    ) -> Result<Option<Account>, StoreError> {
        let Some(kept) = self.by_id(user_id).await? else {
            return Ok(None);
        };
        let named = [
            (&self.statements.set_display_name, &update.display_name),
            (&self.statements.set_password_hash, &update.password_hash),
        ];
        for (set, value) in named {
            if let Some(value) = value {
                let values = (value.as_str(), user_id.as_str());
                self.client.write(set, values).await?;
            }
        }
        self.list(&key(&kept.name), user_id.as_str()).await?;
        self.by_id(user_id).await
    }

    async fn delete(&self, user_id: &UserId) -> Result<bool, StoreError> {
        let Some(kept) = self.by_id(user_id).await? else {
            return Ok(false);
        };
        let name_key = key(&kept.name);
        let values = (name_key.as_str(), user_id.as_str());
        if let LwtResult::Unknown(failure) = self
            .client
            .execute_lwt(&self.statements.free, values)
            .await?
        {
            return Err(failure);
        }
        let values = (first_of(&name_key), name_key.as_str(), user_id.as_str());
        self.client.write(&self.statements.unlist, values).await?;
        self.client
            .write(&self.statements.delete, (user_id.as_str(),))
            .await?;
        Ok(true)
    }

    async fn put_ending(&self, ending: &Ending) -> Result<(), StoreError> {
        let note = &self.statements.note_ending;
        self.client.write(note, ending_key(ending)).await
    }

    async fn endings(&self, step: EndingStep, limit: usize) -> Result<Vec<Ending>, StoreError> {
        let mut endings = Vec::new();
        for shard in 0..ENDING_SHARDS.cast_signed() {
            let wanted = i32::try_from(limit - endings.len()).unwrap_or(i32::MAX);
            if wanted == 0 {
                break;
            }
            let select = &self.statements.endings;
            let key = (step.as_str(), shard, wanted);
            let rows: Vec<(String, String)> = self.client.rows(select, key).await?;
            for row in &rows {
                endings.push(ending(step, row)?);
            }
        }
        Ok(endings)
    }

    async fn has_ending(&self, ending: &Ending) -> Result<bool, StoreError> {
        let select = &self.statements.has_ending;
        let rows: Vec<(String, String)> = self.client.rows(select, ending_key(ending)).await?;
        Ok(!rows.is_empty())
    }

    async fn delete_ending(&self, ending: &Ending) -> Result<(), StoreError> {
        let forget = &self.statements.forget_ending;
        self.client.write(forget, ending_key(ending)).await
    }
}

/// An ending as its row's key.
fn ending_key(ending: &Ending) -> (&str, i32, &str, &str) {
    let user_id = ending.user_id.as_str();
    let room_id = ending.room_id.as_ref().map_or("", RoomId::as_str);
    let shard = shard(user_id, ENDING_SHARDS);
    (ending.step.as_str(), shard, user_id, room_id)
}

fn ending(step: EndingStep, (user_id, room_id): &(String, String)) -> Result<Ending, StoreError> {
    let of_user = room_id.is_empty();
    Ok(Ending {
        step,
        user_id: id(user_id)?,
        room_id: (!of_user).then(|| id(room_id)).transpose()?,
    })
}

/// By what names are compared.
fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// The partition of a name.
fn first_of(name_key: &str) -> &str {
    name_key
        .char_indices()
        .nth(1)
        .map_or(name_key, |(at, _)| &name_key[..at])
}

/// `None` when the row is the remnant of an update that raced a deletion.
fn account(row: Row) -> Result<Option<Account>, StoreError> {
    let (Some(name), Some(created_at)) = (row.name, row.created_at) else {
        return Ok(None);
    };
    Ok(Some(Account {
        user_id: id(&row.user_id)?,
        name,
        display_name: row.display_name.unwrap_or_default(),
        password_hash: row.password_hash.unwrap_or_default(),
        created_at: time(created_at),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_every_character_of_an_id_without_case_in_order() {
        let mut expected: Vec<char> = (0..=127u8)
            .map(char::from)
            .filter(|it| UserId::new(&format!("a{it}")).is_ok())
            .map(|it| it.to_ascii_lowercase())
            .collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(ALPHABET.chars().collect::<Vec<_>>(), expected);
        assert_eq!(
            (first_of("ab"), first_of("a"), first_of("")),
            ("a", "a", "")
        );
    }
}
