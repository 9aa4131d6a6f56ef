//! The users of a run and their tokens, signed locally or issued to accounts.

use std::path::Path;

use anyhow::Context as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use roomcast_protocol::{RoomId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::settings::{Credentials, Settings};

/// Ids of users and rooms, unique per run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestUsers {
    /// The prefix of every id of the run.
    pub prefix: String,
    /// Ids and tokens issued by the fleet.
    pub given: Option<Given>,
}

/// Ids and tokens issued by the fleet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Given {
    /// The accounts, in the order of connections.
    pub accounts: Vec<Account>,
    /// The rooms, in the order of the plan.
    pub rooms: Vec<RoomId>,
}

/// A registered account, signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// The user id.
    pub user_id: UserId,
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
}

impl TestUsers {
    /// The user of a connection.
    pub fn user(&self, connection: u32) -> UserId {
        match &self.given {
            Some(given) => given.accounts[connection as usize].user_id.clone(),
            None => id(UserId::new(&format!("{}-u{connection}", self.prefix))),
        }
    }

    /// A room of the plan.
    pub fn room(&self, room: usize) -> RoomId {
        match &self.given {
            Some(given) => given.rooms[room].clone(),
            None => id(RoomId::new(&format!("{}-r{room}", self.prefix))),
        }
    }
}

/// Signs tokens with the fleet's secret.
pub struct Signer {
    key: EncodingKey,
    lifetime_s: u64,
}

impl Signer {
    /// Reads the secret, if the settings name one. Tokens outlive the run.
    pub fn of(settings: &Settings) -> anyhow::Result<Option<Self>> {
        match &settings.credentials {
            Credentials::Accounts => Ok(None),
            Credentials::Key(path) => Ok(Some(Self {
                key: read(path)?,
                lifetime_s: settings.duration.as_secs() + 3_600,
            })),
        }
    }

    /// A token of this user.
    pub fn user(&self, user: &UserId) -> anyhow::Result<String> {
        self.sign(&json!({ "sub": user, "exp": self.expires() }))
    }

    /// A token of the host product's server.
    pub fn host(&self) -> anyhow::Result<String> {
        self.sign(&json!({ "sub": "loadtest", "scope": "admin", "exp": self.expires() }))
    }

    fn expires(&self) -> u64 {
        Timestamp::now().as_millis() / 1_000 + self.lifetime_s
    }

    fn sign(&self, claims: &serde_json::Value) -> anyhow::Result<String> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.key)
            .context("sign a token")
    }
}

fn read(path: &Path) -> anyhow::Result<EncodingKey> {
    let secret = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(EncodingKey::from_secret(secret.trim_ascii()))
}

fn id<T, E: std::fmt::Debug>(made: Result<T, E>) -> T {
    made.expect("a prefix of letters and digits and a number make an id")
}
