//! Token refresh: rotates a refresh token and issues a new access token.
//!
//! A token works once. Since an answer may be lost on its way, a used token gives its successor again
//! for [`REFRESH_GRACE`], also when the successor has been used already. After that a used token
//! means that two parties had it, and which one is the thief is unknown: the session ends for
//! both. Only a token that was issued for the session does so; a forged one ends nothing.

use roomcast_ports::accounts::{Replaced, Session};
use roomcast_protocol::api::TokensView;
use roomcast_protocol::limits::{REFRESH_GRACE, SESSION_LIFETIME};
use roomcast_protocol::{Refusal, Timestamp};
use tracing::{info, warn};

use crate::refresh_token::RefreshToken;
use crate::service::{Accounts, failed_to, unauthorized};

/// How often the session is read again after a concurrent refresh replaced its token first.
const READS_MAX: usize = 3;

/// Where a token of a session stands among that session's tokens.
#[derive(Debug, PartialEq, Eq)]
enum TokenStatus {
    /// It is the latest.
    Latest,
    /// It was replaced within the grace.
    JustReplaced,
    /// It was replaced before.
    Used,
}

impl Accounts {
    /// Gives a session's next tokens.
    pub async fn refresh(&self, refresh_token: &str) -> Result<TokensView, Refusal> {
        let presented = RefreshToken::from_wire(refresh_token).ok_or_else(refused)?;
        for _ in 0..READS_MAX {
            let session = self.sessions.session(presented.session_id()).await;
            let session = session.map_err(failed_to("look for a session"))?;
            let session = session
                .filter(|session| !session.ended && self.now() < session.expires_at)
                .filter(|session| self.refresh_key().issued(&presented, session))
                .ok_or_else(refused)?;
            let generation = presented.generation();
            let holds = match token_status(&session, generation, self.now()) {
                TokenStatus::Latest => self.replace(&session, generation).await?,
                TokenStatus::JustReplaced => true,
                TokenStatus::Used => {
                    info!(session_id = %session.session_id, user_id = %session.user_id,
                        "ended a session whose used refresh token was presented again");
                    self.end_session(&session.user_id, &session.session_id)
                        .await?;
                    return Err(refused());
                }
            };
            if holds {
                return self.next_tokens(&session, generation + 1).await;
            }
        }
        warn!("failed to replace a refresh token: lost every race with concurrent refreshes");
        Err(Refusal::internal())
    }

    /// Makes the successor of `generation` the session's latest token; whether it is that now.
    async fn replace(&self, session: &Session, generation: u64) -> Result<bool, Refusal> {
        let now = self.now();
        let next = Session {
            generation: generation + 1,
            replaced: replaced(session, generation, now),
            used_at: now,
            expires_at: now.plus(SESSION_LIFETIME),
            ..session.clone()
        };
        let replaced = self.sessions.rotate(session.generation, &next).await;
        replaced.map_err(failed_to("replace a refresh token"))
    }

    async fn next_tokens(&self, session: &Session, generation: u64) -> Result<TokensView, Refusal> {
        let account = self.accounts.by_id(&session.user_id).await;
        let Some(account) = account.map_err(failed_to("look for an account"))? else {
            self.end_session(&session.user_id, &session.session_id)
                .await?;
            return Err(refused());
        };
        Ok(self.tokens(&account, session, generation))
    }
}

/// Judges a token that was issued for the session. One of a generation that the store does not know
/// yet was issued before the store lost its last writes; it is the latest.
fn token_status(session: &Session, generation: u64, now: Timestamp) -> TokenStatus {
    if generation >= session.generation {
        return TokenStatus::Latest;
    }
    let mut entries = session.replaced.iter().rev();
    match entries.find(|entry| entry.first <= generation) {
        Some(entry) if now <= entry.at.plus(REFRESH_GRACE) => TokenStatus::JustReplaced,
        _ => TokenStatus::Used,
    }
}

/// The entries of the tokens replaced within the grace, `generation` the last of them. Tokens replaced
/// in the same second share an entry, which bounds the list by the seconds of the grace.
fn replaced(session: &Session, generation: u64, now: Timestamp) -> Vec<Replaced> {
    let mut entries = session.replaced.clone();
    // A process whose clock is behind continues at the time of the one before it.
    let at = entries.last().map_or(now, |last| now.max(last.at));
    entries.retain(|entry| at <= entry.at.plus(REFRESH_GRACE));
    let second = |time: Timestamp| time.as_millis() / 1_000;
    match entries.last_mut() {
        Some(last) if second(last.at) == second(at) => last.at = at,
        _ => entries.push(Replaced {
            first: generation.min(session.generation),
            at,
        }),
    }
    entries
}

fn refused() -> Refusal {
    unauthorized("the refresh token is unknown, used or too old: sign in again")
}

#[cfg(test)]
mod tests;
