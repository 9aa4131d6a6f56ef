//! Tokens that are their users' names, checked by an authenticator of the test's choice.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use roomcast_ports::access::{Authenticator, Caller, TokenError};
use roomcast_protocol::{Timestamp, UserId};

/// The token of the host product's server.
pub(crate) const HOST: &str = "host";

#[derive(Default)]
pub(crate) struct FaultyTokens {
    away: AtomicBool,
    barred: Mutex<HashSet<String>>,
    ended: Mutex<HashSet<String>>,
}

fn has(names: &Mutex<HashSet<String>>, name: &str) -> bool {
    let names = names.lock().unwrap_or_else(PoisonError::into_inner);
    names.contains(name)
}

fn add(names: &Mutex<HashSet<String>>, name: &str) {
    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
    names.insert(name.to_owned());
}

impl FaultyTokens {
    pub(crate) fn away(&self, is: bool) {
        self.away.store(is, Ordering::SeqCst);
    }

    /// The account is refused from now on.
    pub(crate) fn bar(&self, user: &str) {
        add(&self.barred, user);
    }

    /// The sign-in has ended.
    pub(crate) fn end(&self, user: &str) {
        add(&self.ended, user);
    }

    fn judge(&self, user: &str) -> Result<(), TokenError> {
        if self.away.load(Ordering::SeqCst) {
            Err(TokenError::Unavailable("the test says so".into()))
        } else if has(&self.barred, user) {
            Err(TokenError::AccountDisabled)
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Authenticator for FaultyTokens {
    async fn authenticate(&self, token: &str) -> Result<Caller, TokenError> {
        self.judge(token)?;
        if has(&self.ended, token) {
            return Err(TokenError::Invalid("the test says so"));
        }
        let user_id = UserId::new(token).map_err(|_| TokenError::Invalid("no name"))?;
        Ok(Caller {
            user_id,
            name: None,
            session_id: None,
            admin: token == HOST,
            expires_at: Timestamp::now().plus(Duration::from_secs(3_600)),
        })
    }

    async fn is_session_active(&self, caller: &Caller) -> Result<bool, TokenError> {
        let user = caller.user_id.as_str();
        self.judge(user).map(|()| !has(&self.ended, user))
    }
}
