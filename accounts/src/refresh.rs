//! Refreshing: a refresh token for its successor and a new access token.
//!
//! A token works once. Since an answer may be lost on its way, the token just used gives the very same
//! successor again for [`SUCCESSOR_FOR`]. Any other secret under a session's name means that a token
//! has been in two hands, and nobody can say whose are the thief's: the session ends for both. (So
//! whoever knows a session's id could end it; it stands in its access tokens only, and those can do
//! that anyway.)

use std::time::Duration;

use roomcast_ports::accounts::Session;
use roomcast_protocol::Refusal;
use roomcast_protocol::api::TokensView;
use tracing::{error, info, warn};

use crate::refresh_token::{RefreshToken, random, same};
use crate::service::{Accounts, SESSION_LIFETIME, failed_to, unauthorized};

/// How long the token just used gives its successor again.
const SUCCESSOR_FOR: Duration = Duration::from_secs(30);
/// How often we look again when somebody else has just rotated the same session. The second look finds
/// their successor; a third is for two that raced twice.
const LOOKS_MAX: usize = 3;

impl Accounts {
    /// Gives a session's next tokens.
    pub async fn refresh(&self, refresh_token: &str) -> Result<TokensView, Refusal> {
        let presented = RefreshToken::from_wire(refresh_token).ok_or_else(refused)?;
        for _ in 0..LOOKS_MAX {
            let session = self.sessions.session(presented.session_id()).await;
            let session = session.map_err(failed_to("look for a session"))?;
            let session = session
                .filter(|session| self.holds(session))
                .ok_or_else(refused)?;
            let Some(successor) = self.successor(&presented, &session).await? else {
                continue;
            };
            return self.tokens_of(&session, &successor).await;
        }
        warn!("failed to rotate a session: others were faster each time");
        Err(Refusal::internal())
    }

    fn holds(&self, session: &Session) -> bool {
        !session.ended && self.now() < session.expires_at
    }

    /// The token that follows `presented`; `None` when the session has changed meanwhile.
    async fn successor(
        &self,
        presented: &RefreshToken,
        session: &Session,
    ) -> Result<Option<RefreshToken>, Refusal> {
        let hash = presented.hash();
        if same(&hash, &session.token_hash) {
            return self.rotate(presented, session).await;
        }
        let just_used = session
            .previous_hash
            .is_some_and(|previous| same(&hash, &previous));
        if just_used && self.now() <= session.rotated_at.plus(SUCCESSOR_FOR) {
            return Ok(Some(presented.successor(&session.successor_salt)));
        }
        info!(session_id = %session.session_id, user_id = %session.user_id,
            "a used refresh token came again: the session ends");
        self.end_session(&session.session_id, &session.user_id)
            .await?;
        Err(refused())
    }

    async fn rotate(
        &self,
        presented: &RefreshToken,
        session: &Session,
    ) -> Result<Option<RefreshToken>, Refusal> {
        let Some(salt) = random() else {
            error!("there is no randomness for a session");
            return Err(Refusal::internal());
        };
        let now = self.now();
        let successor = presented.successor(&salt);
        let next = Session {
            token_hash: successor.hash(),
            previous_hash: Some(session.token_hash),
            successor_salt: salt,
            rotated_at: now,
            expires_at: now.plus(SESSION_LIFETIME),
            ..session.clone()
        };
        let rotated = self.sessions.rotate(&session.token_hash, &next).await;
        let rotated = rotated.map_err(failed_to("rotate a session"))?;
        Ok(rotated.then_some(successor))
    }

    async fn tokens_of(
        &self,
        session: &Session,
        successor: &RefreshToken,
    ) -> Result<TokensView, Refusal> {
        let account = self.accounts.by_id(&session.user_id).await;
        let Some(account) = account.map_err(failed_to("look for an account"))? else {
            self.end_session(&session.session_id, &session.user_id)
                .await?;
            return Err(refused());
        };
        Ok(self.tokens(&account, &session.session_id, successor))
    }
}

fn refused() -> Refusal {
    unauthorized("the refresh token is unknown, used or too old: sign in again")
}
