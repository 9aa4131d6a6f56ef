//! The accounts service: its ports, and how sessions start and end.

use std::sync::Arc;
use std::time::Duration;

use roomcast_ports::StoreError;
use roomcast_ports::access::Caller;
use roomcast_ports::accounts::{Account, AccountStore, Session, SessionStore};
use roomcast_ports::pubsub::PubSub;
use roomcast_protocol::api::{TokensView, UserView};
use roomcast_protocol::limits::SESSIONS_PER_USER_MAX;
use roomcast_protocol::{ErrorCode, Refusal, SessionId, Timestamp, UserId};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::passwords::Passwords;
use crate::refresh_token::RefreshKey;
use crate::throttle::Throttle;
use crate::{Clock, Issuer, TokenRequest};

/// How long an access token holds: so long a signed-out one would be good for a service that asks
/// no store (Roomcast's own services do).
pub(crate) const ACCESS_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// The verbs of accounts and sign-ins; cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    pub(crate) accounts: Arc<dyn AccountStore>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) departure_noted: Arc<Notify>,
    pub(crate) tasks: TaskTracker,
    signals: Arc<dyn PubSub>,
    issuer: Arc<Issuer>,
    clock: Clock,
}

impl Accounts {
    /// The service over its ports. [`Accounts::run`] keeps it tidy. `departure_noted` wakes the departure
    /// worker of the same process, if it has one.
    pub fn new(
        accounts: Arc<dyn AccountStore>,
        sessions: Arc<dyn SessionStore>,
        signals: Arc<dyn PubSub>,
        departure_noted: Arc<Notify>,
        issuer: Arc<Issuer>,
    ) -> Self {
        Self {
            departure_noted,
            tasks: TaskTracker::new(),
            accounts,
            sessions,
            passwords: Arc::new(Passwords::new()),
            throttle: Arc::default(),
            signals,
            issuer,
            clock: Timestamp::now,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn refresh_key(&self) -> &RefreshKey {
        self.issuer.refresh_key()
    }

    /// A new access token, and the session's refresh token of this generation.
    pub(crate) fn tokens(
        &self,
        account: &Account,
        session: &Session,
        generation: u64,
    ) -> TokensView {
        let access_token = self.issuer.mint_at(
            &TokenRequest {
                user_id: account.user_id.clone(),
                name: Some(account.display_name.clone()),
                session_id: Some(session.session_id.clone()),
                admin: false,
                lifetime: ACCESS_LIFETIME,
            },
            self.now(),
        );
        TokensView {
            access_token,
            expires_in: ACCESS_LIFETIME.as_secs(),
            refresh_token: self.refresh_key().issue(session, generation),
        }
    }

    /// Ends one sign-in of the user, here and at every gateway; whether it had not ended before.
    pub(crate) async fn end_session(
        &self,
        user_id: &UserId,
        session_id: &SessionId,
    ) -> Result<bool, Refusal> {
        let ended = self.sessions.end(user_id, session_id).await;
        let ended = ended.map_err(failed_to("end a session"))?;
        if ended {
            self.publish_ended(session_id.clone(), user_id).await;
        }
        Ok(ended)
    }

    /// Ends all sign-ins of a user, here and at every gateway.
    pub(crate) async fn end_all_sessions(&self, user_id: &UserId) -> Result<(), Refusal> {
        self.end_all_but(user_id, None).await
    }

    /// Ends all sign-ins of the caller but the one that the call comes from.
    pub(crate) async fn end_other_sessions(&self, caller: &Caller) -> Result<(), Refusal> {
        self.end_all_but(&caller.user_id, caller.session_id.as_ref())
            .await
    }

    async fn end_all_but(&self, user_id: &UserId, kept: Option<&SessionId>) -> Result<(), Refusal> {
        let ended = self.sessions.end_all_but(user_id, kept).await;
        let ended = ended.map_err(failed_to("end a user's sessions"))?;
        self.publish_all_ended(ended, user_id).await;
        Ok(())
    }

    /// Ends the user's oldest sign-ins past the bound, here and at every gateway.
    pub(crate) async fn end_oldest_sessions(&self, user_id: &UserId) -> Result<(), Refusal> {
        let ended = self
            .sessions
            .end_oldest(user_id, SESSIONS_PER_USER_MAX)
            .await;
        let ended = ended.map_err(failed_to("end a user's oldest sessions"))?;
        self.publish_all_ended(ended, user_id).await;
        Ok(())
    }

    async fn publish_all_ended(&self, session_ids: Vec<SessionId>, user_id: &UserId) {
        for session_id in session_ids {
            self.publish_ended(session_id, user_id).await;
        }
    }

    /// The signal makes it quick; the store makes it certain, so a lost signal refuses nothing.
    async fn publish_ended(&self, session_id: SessionId, user_id: &UserId) {
        if let Err(error) = self.signals.revoke(session_id, user_id.clone()).await {
            warn!(cause = ?error, "failed to publish a revocation");
        }
    }
}

/// Logs the failed operation and its error; the caller gets only `INTERNAL`.
pub(crate) fn failed_to(act: &'static str) -> impl FnOnce(StoreError) -> Refusal {
    move |cause| {
        match cause {
            StoreError::Unavailable(_) => warn!(?cause, "failed to {act}"),
            StoreError::Corrupted(_) => error!(?cause, "failed to {act}"),
        }
        Refusal::internal()
    }
}

/// A caller the host product knows, or whose account has ended: there is nothing of ours to act on.
pub(crate) fn no_account() -> Refusal {
    Refusal::not_found("you have no account here")
}

pub(crate) fn unauthorized(message: &'static str) -> Refusal {
    Refusal::new(ErrorCode::Unauthorized, message)
}

pub(crate) fn view_of(account: Account) -> UserView {
    UserView {
        user_id: account.user_id,
        name: Some(account.name),
        display_name: Some(account.display_name),
    }
}
