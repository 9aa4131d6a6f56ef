//! A connection's state machine: authentication, limits and timers, without any I/O.
//!
//! The socket's task feeds it frames and ticks; it answers what is to be done. It owns no socket, no
//! clock and no port, so every rule can be tested by calling it.

mod frame_limits;

use std::borrow::Cow;
use std::time::Duration;

use roomcast_ports::access::Caller;
use roomcast_protocol::limits::{
    AUTH_TIMEOUT, CLIENT_IDLE_PING_AFTER, CLIENT_IDLE_TIMEOUT, HEARTBEAT_INTERVAL,
    TOKEN_EXPIRING_BEFORE, TOKEN_LEEWAY,
};
use roomcast_protocol::{ClientFrame, CloseCode, ErrorCode, ParsedFrame, Refusal};

use crate::clock::{Clock, Ticks, after, ticks};
pub(crate) use frame_limits::FrameCost;
use frame_limits::FrameLimits;

/// How much earlier than due a heartbeat goes out, so that it is never late.
const HEARTBEAT_MARGIN: Duration = Duration::from_millis(500);

/// One connection's rules and where it stands in them.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    stage: Stage,
    /// Only while something of it counts.
    conduct: Option<Box<FrameLimits>>,
    /// The last sign of life that a ping has followed.
    pinged_after: Option<Ticks>,
}

#[derive(Debug)]
enum Stage {
    /// Not authenticated yet.
    Anonymous { until: Ticks },
    /// Authenticated.
    Authenticated(Box<AuthenticatedState>),
}

/// A connection with a good token.
#[derive(Debug)]
struct AuthenticatedState {
    caller: Caller,
    /// When the token's end is to be announced; `None` once it was.
    warn_at: Option<Ticks>,
    ends_at: Ticks,
    recheck_at: Ticks,
}

/// What is to be done about a frame.
#[derive(Debug)]
pub(crate) enum FrameAction<'a> {
    /// Judge the token, then [`ConnectionState::authenticated`].
    Authenticate(Cow<'a, str>),
    /// Dispatch the frame.
    Act(ClientFrame<'a>),
    /// Answer with a refusal; then close, if so.
    Refuse(Refusal, Option<CloseCode>),
    /// Close.
    Close(CloseCode),
}

/// What time has brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send a heartbeat.
    Heartbeat,
    /// Ask for a sign of life that needs no script.
    Ping,
    /// Announce the token's end.
    TokenExpiring,
    /// Look at the token again, then [`ConnectionState::revalidated`].
    Revalidate,
    /// Close.
    Close(CloseCode),
}

/// What the socket has shown of both sides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activity {
    /// When the client last sent something.
    pub(crate) heard_at: Ticks,
    /// When a frame was last sent that a script can receive.
    pub(crate) spoke_at: Ticks,
    /// When the kernel last took something, while bytes wait.
    pub(crate) moved_at: Option<Ticks>,
}

impl Activity {
    /// When the silence of a client is too long. While bytes wait and it keeps taking them, its answer
    /// to a ping would have to wait behind them.
    fn silent_at(self) -> Ticks {
        let alive_at = self.heard_at.max(self.moved_at.unwrap_or(0));
        after(alive_at, CLIENT_IDLE_TIMEOUT)
    }

    fn heartbeat_at(self) -> Ticks {
        self.spoke_at
            .saturating_add(ticks(HEARTBEAT_INTERVAL.saturating_sub(HEARTBEAT_MARGIN)))
    }
}

/// What came of a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AuthResult {
    /// The first one: greet.
    First,
    /// A fresh one of the same user.
    Refreshed,
    /// One of another user.
    UserMismatch,
}

impl ConnectionState {
    pub(crate) fn anonymous(now: Ticks) -> Self {
        let until = after(now, AUTH_TIMEOUT);
        Self {
            stage: Stage::Anonymous { until },
            conduct: None,
            pinged_after: None,
        }
    }

    pub(crate) fn caller(&self) -> Option<&Caller> {
        match &self.stage {
            Stage::Authenticated(open) => Some(&open.caller),
            Stage::Anonymous { .. } => None,
        }
    }

    /// Judges a frame by where the connection stands, and by how many there were.
    pub(crate) fn on_frame<'a>(
        &mut self,
        frame: Result<ClientFrame<'a>, Refusal>,
        now: Ticks,
    ) -> FrameAction<'a> {
        let toll = FrameCost::of(&frame);
        match (&self.stage, frame) {
            (_, Ok(ClientFrame::Auth { token })) => FrameAction::Authenticate(token),
            (Stage::Anonymous { .. }, _) => FrameAction::Close(CloseCode::Unauthorized),
            (Stage::Authenticated(_), frame) => match self.take(toll, now).and(frame) {
                Ok(frame) => FrameAction::Act(frame),
                Err(refusal) => {
                    let close = self.refused(&refusal, now);
                    FrameAction::Refuse(refusal, close)
                }
            },
        }
    }

    /// Takes what a frame costs, unless it would be too many.
    pub(crate) fn take(&mut self, toll: FrameCost, now: Ticks) -> Result<(), Refusal> {
        match toll {
            FrameCost::Rooms | FrameCost::Other => {
                self.conduct.get_or_insert_default().take(toll, now)
            }
            FrameCost::Paced(_) | FrameCost::Elsewhere => Ok(()),
        }
    }

    /// Takes what is never refused; how long the connection pauses after it.
    pub(crate) fn pace(&mut self, cost: u32, now: Ticks) -> Duration {
        self.conduct.get_or_insert_default().pace(cost, now)
    }

    /// Counts a refusal; whether it was one too many.
    pub(crate) fn refused(&mut self, refusal: &Refusal, now: Ticks) -> Option<CloseCode> {
        match refusal.code {
            ErrorCode::BadFrame | ErrorCode::RateLimited => self
                .conduct
                .get_or_insert_default()
                .refused(refusal.code, now),
            _ => None,
        }
    }

    /// Takes a good token's caller.
    pub(crate) fn authenticated(
        &mut self,
        caller: Caller,
        clock: &Clock,
        recheck_every: Ticks,
    ) -> AuthResult {
        let before = self.caller().map(|known| known.user_id == caller.user_id);
        if before == Some(false) {
            return AuthResult::UserMismatch;
        }
        let expires_at = clock.at(caller.expires_at);
        self.stage = Stage::Authenticated(Box::new(AuthenticatedState {
            warn_at: Some(expires_at.saturating_sub(ticks(TOKEN_EXPIRING_BEFORE))),
            ends_at: expires_at.saturating_add(ticks(TOKEN_LEEWAY)),
            recheck_at: clock.now().saturating_add(recheck_every),
            caller,
        }));
        if before.is_some() {
            AuthResult::Refreshed
        } else {
            AuthResult::First
        }
    }

    /// The token is to be looked at again now.
    pub(crate) fn revalidate_now(&mut self) {
        if let Stage::Authenticated(open) = &mut self.stage {
            open.recheck_at = 0;
        }
    }

    /// The token was looked at again and holds.
    pub(crate) fn revalidated(&mut self, now: Ticks, recheck_every: Ticks) {
        if let Stage::Authenticated(open) = &mut self.stage {
            open.recheck_at = now.saturating_add(recheck_every);
        }
    }

    /// What is due at `now`, one thing at a time; `None` when nothing is.
    pub(crate) fn due(&mut self, now: Ticks, signs: Activity) -> Option<Due> {
        if now >= signs.silent_at() {
            return Some(Due::Close(CloseCode::Silent));
        }
        match &mut self.stage {
            Stage::Anonymous { until } if now >= *until => {
                return Some(Due::Close(CloseCode::Unauthorized));
            }
            Stage::Authenticated(open) => {
                if now >= open.ends_at {
                    return Some(Due::Close(CloseCode::Unauthorized));
                }
                if open.warn_at.is_some_and(|at| now >= at) {
                    open.warn_at = None;
                    return Some(Due::TokenExpiring);
                }
                if now >= open.recheck_at {
                    open.recheck_at = Ticks::MAX;
                    return Some(Due::Revalidate);
                }
            }
            Stage::Anonymous { .. } => {}
        }
        if self.ping_at(signs).is_some_and(|at| now >= at) {
            self.pinged_after = Some(signs.heard_at);
            return Some(Due::Ping);
        }
        (now >= signs.heartbeat_at()).then_some(Due::Heartbeat)
    }

    /// When the next timer is due, if nothing is received or sent until then.
    pub(crate) fn next_due(&self, signs: Activity) -> Ticks {
        let next = signs.silent_at().min(signs.heartbeat_at());
        let next = next.min(self.ping_at(signs).unwrap_or(Ticks::MAX));
        match &self.stage {
            Stage::Anonymous { until } => next.min(*until),
            Stage::Authenticated(open) => next
                .min(open.ends_at)
                .min(open.recheck_at)
                .min(open.warn_at.unwrap_or(Ticks::MAX)),
        }
    }

    /// When a ping is to be sent; never twice into the same silence.
    fn ping_at(&self, signs: Activity) -> Option<Ticks> {
        let is_new = self.pinged_after != Some(signs.heard_at);
        is_new.then(|| after(signs.heard_at, CLIENT_IDLE_PING_AFTER))
    }

    /// Gives back the memory of what no longer counts.
    pub(crate) fn forget(&mut self, now: Ticks) {
        if self
            .conduct
            .as_mut()
            .is_some_and(|conduct| conduct.is_over(now))
        {
            self.conduct = None;
        }
    }
}

/// Reads a frame's text and judges it. The second part is what an answer repeats.
pub(crate) fn check_frame<'a>(
    session: &mut ConnectionState,
    decoded: ParsedFrame<'a>,
    now: Ticks,
) -> (FrameAction<'a>, RequestRef<'a>) {
    let echo = RequestRef {
        reference: decoded.reference,
        room_id: decoded.room_id.map(|id| id.to_id()),
        client_message_id: decoded.client_message_id.map(|id| id.to_id()),
    };
    (session.on_frame(decoded.frame, now), echo)
}

/// What an answer repeats of its frame.
#[derive(Debug, Default)]
pub(crate) struct RequestRef<'a> {
    pub(crate) reference: Option<Cow<'a, str>>,
    pub(crate) room_id: Option<roomcast_protocol::RoomId>,
    pub(crate) client_message_id: Option<roomcast_protocol::ClientMessageId>,
}

impl RequestRef<'_> {
    /// The echo, apart from the frame's text.
    pub(crate) fn into_owned(self) -> RequestRef<'static> {
        RequestRef {
            reference: self.reference.map(|text| Cow::Owned(text.into_owned())),
            room_id: self.room_id,
            client_message_id: self.client_message_id,
        }
    }
}

#[cfg(test)]
mod tests;
