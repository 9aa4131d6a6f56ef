//! Validation of access tokens by the own key and the keys an operator configured.
//!
//! A token of ours that comes from a sign-in is good only while that sign-in holds, which the store is
//! asked at every judgement: what was signed out is out for the very next call, on any gateway. Only
//! our own key's word counts for that; in another's token `sid` means nothing.

use std::sync::Arc;

use async_trait::async_trait;
use jsonwebtoken::{Header, decode_header};
use roomcast_ports::StoreError;
use roomcast_ports::access::{Authenticator, Caller, TokenError};
use roomcast_ports::accounts::SessionStore;
use roomcast_protocol::{SessionId, Timestamp, UserId};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::claims::Claims;
use crate::jwks_url::JwksUrl;
use crate::key_source::Keys;
use crate::token_policy::TokenPolicy;
use crate::verifying_key::VerifyingKey;
use crate::{Clock, Issuer, KeyError, KeySource};

/// Every key whose tokens are taken.
pub struct KeyRing {
    own: VerifyingKey,
    sources: Vec<Source>,
    sessions: Arc<dyn SessionStore>,
    clock: Clock,
    /// Ends the tasks that keep key sets fresh, with the ring.
    _fetching: DropGuard,
}

/// A source of keys, and the required claims of its tokens.
struct Source {
    keys: SourceKeys,
    policy: TokenPolicy,
}

enum SourceKeys {
    Here(Arc<[VerifyingKey]>),
    Behind(Arc<JwksUrl>),
}

/// A token's signer and claims.
enum Signer {
    /// Our own key.
    Us(Claims),
    /// A key of a source whose demands the token meets.
    Another { claims: Claims, may_be_admin: bool },
    /// None we know; `named` when we know the key the token names.
    Nobody { named: bool },
}

impl KeyRing {
    /// Opens the ring with our own key and those of `sources`. Key sets behind URLs are fetched in the
    /// background until the ring is dropped, so this must be called inside a Tokio runtime.
    pub fn open(
        issuer: &Issuer,
        sources: &[KeySource],
        sessions: Arc<dyn SessionStore>,
    ) -> Result<Self, KeyError> {
        let open = |source: &KeySource| {
            for warning in &source.warnings {
                warn!(source = source.name, "{warning}");
            }
            Ok(Source {
                keys: match &source.keys {
                    Keys::Here(keys) => SourceKeys::Here(keys.as_slice().into()),
                    Keys::Behind(uri) => SourceKeys::Behind(Arc::new(JwksUrl::new(uri.clone())?)),
                },
                policy: source.policy.clone(),
            })
        };
        let sources = sources.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            own: issuer.verifying_key(),
            _fetching: keep_fresh(sources.iter().filter_map(Source::url)),
            sources,
            sessions,
            clock: Timestamp::now,
        })
    }

    #[cfg(test)]
    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    fn signer(&self, header: &Header, token: &str) -> Result<Signer, TokenError> {
        if let Some(claims) = self.own.read(header, token)? {
            return Ok(Signer::Us(claims));
        }
        let key_id = header.kid.as_deref();
        let mut named = key_id.is_some_and(|key_id| self.own.is_named(key_id));
        let mut refused = None;
        for source in &self.sources {
            for key in &*source.keys() {
                named |= key_id.is_some_and(|key_id| key.is_named(key_id));
                let Some(claims) = key.read(header, token)? else {
                    continue;
                };
                // Another source may have the same keys and other demands.
                match source.policy.check(&claims) {
                    Ok(()) => {
                        let may_be_admin = source.policy.admin;
                        return Ok(Signer::Another {
                            claims,
                            may_be_admin,
                        });
                    }
                    Err(reason) => refused = Some(reason),
                }
            }
        }
        match refused {
            Some(reason) => Err(TokenError::Invalid(reason)),
            None => Ok(Signer::Nobody { named }),
        }
    }

    /// Checks once more, in case a key set has got the key in between.
    async fn resolve_signer(&self, header: &Header, token: &str) -> Result<Signer, TokenError> {
        let signer = self.signer(header, token)?;
        if !matches!(signer, Signer::Nobody { named: false }) {
            return Ok(signer);
        }
        let mut fetched = false;
        for url in self.sources.iter().filter_map(Source::url) {
            fetched |= url.refetch().await;
        }
        if fetched {
            self.signer(header, token)
        } else {
            Ok(signer)
        }
    }

    async fn session_active(
        &self,
        session_id: &SessionId,
        user_id: &UserId,
    ) -> Result<bool, TokenError> {
        let session = self.sessions.session(session_id).await.map_err(|cause| {
            if matches!(cause, StoreError::Corrupted(_)) {
                error!(?cause, "failed to read a session");
            }
            TokenError::Unavailable(cause.into())
        })?;
        let now = (self.clock)();
        Ok(session.is_some_and(|session| {
            !session.ended && now < session.expires_at && session.user_id == *user_id
        }))
    }
}

#[async_trait]
impl Authenticator for KeyRing {
    async fn authenticate(&self, token: &str) -> Result<Caller, TokenError> {
        let header = decode_header(token).map_err(|_| {
            TokenError::Invalid("it is no token, or of an algorithm that is not taken")
        })?;
        if header.crit.is_some() {
            return Err(TokenError::Invalid(
                "it demands what nobody here understands (crit)",
            ));
        }
        let signer = self.resolve_signer(&header, token).await?;
        let now = (self.clock)();
        let caller = match signer {
            Signer::Us(claims) => claims.judge(now, true, true)?,
            Signer::Another {
                claims,
                may_be_admin,
            } => claims.judge(now, false, may_be_admin)?,
            Signer::Nobody { .. } => {
                return Err(TokenError::Invalid(
                    "it is badly signed, or of an unknown key",
                ));
            }
        };
        if !self.is_session_active(&caller).await? {
            return Err(TokenError::Invalid("its session has ended"));
        }
        Ok(caller)
    }

    async fn is_session_active(&self, caller: &Caller) -> Result<bool, TokenError> {
        match &caller.session_id {
            Some(session_id) => self.session_active(session_id, &caller.user_id).await,
            None => Ok(true),
        }
    }
}

impl Source {
    fn keys(&self) -> Arc<[VerifyingKey]> {
        match &self.keys {
            SourceKeys::Here(keys) => Arc::clone(keys),
            SourceKeys::Behind(url) => url.keys(),
        }
    }

    fn url(&self) -> Option<&Arc<JwksUrl>> {
        match &self.keys {
            SourceKeys::Here(_) => None,
            SourceKeys::Behind(url) => Some(url),
        }
    }
}

fn keep_fresh<'a>(urls: impl Iterator<Item = &'a Arc<JwksUrl>>) -> DropGuard {
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    for url in urls {
        let url = Arc::clone(url);
        let stop = stop.clone();
        tasks.spawn(async move { stop.run_until_cancelled(url.refresh_loop()).await });
    }
    stop.drop_guard()
}
