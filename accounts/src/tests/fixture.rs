//! A small world: the embedded adapter in a directory of its own, and a clock the test turns.

use std::cell::Cell;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use roomcast_embedded::Embedded;
use roomcast_ports::access::{Authenticator as _, Caller, TokenError};
use roomcast_protocol::api::{TokensView, UserView};
use roomcast_protocol::{EventId, Timestamp, UserId};
use tokio::sync::Notify;

use super::stores::Groups;
use crate::{Accounts, Client, DepartureWorker, Issuer, KeyRing, KeySource, TokenRequest};

pub(crate) const PASSWORD: &str = "correct horse";

thread_local! {
    static AHEAD_MS: Cell<u64> = const { Cell::new(0) };
}

/// The wall clock, and what the test has turned it forward: one per test, as each has its own thread.
pub(crate) fn clock() -> Timestamp {
    Timestamp::now().plus(Duration::from_millis(AHEAD_MS.get()))
}

/// Turns the clock forward.
pub(crate) fn wait(duration: Duration) {
    AHEAD_MS.set(AHEAD_MS.get() + u64::try_from(duration.as_millis()).unwrap());
}

/// A directory that goes with the test.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let name = format!("roomcast-accounts-{}", EventId::generate());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and gives its path as an operator would.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Fixture {
    pub(crate) accounts: Accounts,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) ring: KeyRing,
    pub(crate) embedded: Embedded,
    pub(crate) groups: Arc<Groups>,
    pub(crate) departures: DepartureWorker,
    pub(crate) dir: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_sources(TempDir::new(), &[])
    }

    /// With keys of the host product's beside our own.
    pub(crate) fn with_sources(dir: TempDir, sources: &[&str]) -> Self {
        let sources: Vec<_> = sources
            .iter()
            .map(|source| KeySource::parse(source).unwrap())
            .collect();
        let embedded = Embedded::open(dir.path()).unwrap();
        let groups = Groups::with(&[]);
        let issuer = Arc::new(Issuer::open(dir.path()).unwrap());
        let noted = Arc::<Notify>::default();
        let accounts = Accounts::new(
            embedded.accounts(),
            embedded.sessions(),
            embedded.signals(),
            Arc::clone(&noted),
            Arc::clone(&issuer),
        );
        let departures = DepartureWorker::new(embedded.accounts(), groups.clone(), noted);
        let ring = KeyRing::open(&issuer, &sources, embedded.sessions()).unwrap();
        Self {
            accounts: accounts.with_clock(clock),
            ring: ring.with_clock(clock),
            issuer,
            embedded,
            groups,
            departures,
            dir,
        }
    }

    pub(crate) async fn register(&self, name: &str) -> UserView {
        self.accounts
            .register(name, PASSWORD, None, &client())
            .await
            .unwrap()
    }

    pub(crate) async fn sign_in(&self, name: &str) -> TokensView {
        self.accounts
            .sign_in(name, PASSWORD, &client())
            .await
            .unwrap()
    }

    /// Registers and signs in.
    pub(crate) async fn enter(&self, name: &str) -> TokensView {
        self.register(name).await;
        self.sign_in(name).await
    }

    pub(crate) async fn caller(&self, tokens: &TokensView) -> Caller {
        self.ring.authenticate(&tokens.access_token).await.unwrap()
    }

    /// Why a token is refused.
    pub(crate) async fn refusal(&self, token: &str) -> &'static str {
        match self.ring.authenticate(token).await {
            Err(TokenError::Invalid(reason)) => reason,
            other => panic!("not refused: {other:?}"),
        }
    }
}

/// A client on this machine.
pub(crate) fn client() -> Client {
    client_at(1)
}

/// A client at one of a few addresses.
pub(crate) fn client_at(last: u8) -> Client {
    Client {
        address: IpAddr::from([192, 0, 2, last]),
        user_agent: None,
        exempt: false,
    }
}

/// A caller of the host product: no session, no account.
pub(crate) fn host_caller(name: Option<&str>) -> Caller {
    Caller {
        user_id: UserId::new("host:7").unwrap(),
        name: name.map(str::to_owned),
        session_id: None,
        admin: false,
        expires_at: clock().plus(Duration::from_secs(60)),
    }
}

pub(crate) fn request(user_id: &str) -> TokenRequest {
    TokenRequest {
        user_id: UserId::new(user_id).unwrap(),
        name: None,
        session_id: None,
        admin: false,
        lifetime: Duration::from_secs(60),
    }
}
