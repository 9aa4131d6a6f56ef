//! What a client may say when: the rules of one connection, without any I/O.
//!
//! The socket's task feeds it frames and seconds; it answers what is to be done. It owns no socket, no
//! clock and no port, so every rule can be tested by calling it.

use std::borrow::Cow;

use roomcast_ports::access::Caller;
use roomcast_protocol::limits::{
    AUTH_WITHIN, BAD_FRAMES_MAX, BAD_FRAMES_WINDOW, HEARTBEAT, RATE_REFUSALS_MAX,
    RATE_REFUSALS_WINDOW, SILENCE_MAX, TOKEN_EXPIRING_BEFORE, TOKEN_LEEWAY,
};
use roomcast_protocol::{ClientFrame, Close, Code, Decoded, Refusal};

use crate::clock::{Clock, Seconds, seconds};
use crate::rate::Window;

/// One connection's rules and where it stands in them.
#[derive(Debug)]
pub(crate) struct Session {
    stage: Stage,
    bad_frames: Window,
    rate_refusals: Window,
}

#[derive(Debug)]
enum Stage {
    /// Nobody knows yet who is speaking.
    Anonymous { until: Seconds },
    /// Somebody is.
    Open(Box<Open>),
}

/// A connection with a good token.
#[derive(Debug)]
struct Open {
    caller: Caller,
    /// When the token's end is to be announced; `None` once it was.
    warn_at: Option<Seconds>,
    ends_at: Seconds,
    recheck_at: Seconds,
}

/// What is to be done about a frame.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    /// Judge the token, then [`Session::authenticated`].
    Authenticate(Cow<'a, str>),
    /// Do what it says.
    Act(ClientFrame<'a>),
    /// Answer with a refusal; then close, if so.
    Refuse(Refusal, Option<Close>),
    /// Close.
    Close(Close),
}

/// What time has brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Say something, so that the client knows we are here.
    Heartbeat,
    /// Announce the token's end.
    TokenExpiring,
    /// Look at the token again, then [`Session::rechecked`].
    Recheck,
    /// Close.
    Close(Close),
}

/// What came of a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Authenticated {
    /// The first one: greet.
    Welcome,
    /// A fresh one of the same user.
    Renewed,
    /// One of another user.
    AnotherUser,
}

impl Session {
    pub(crate) fn anonymous(now: Seconds) -> Self {
        let until = now + seconds(AUTH_WITHIN);
        Self {
            stage: Stage::Anonymous { until },
            bad_frames: Window::default(),
            rate_refusals: Window::default(),
        }
    }

    pub(crate) fn caller(&self) -> Option<&Caller> {
        match &self.stage {
            Stage::Open(open) => Some(&open.caller),
            Stage::Anonymous { .. } => None,
        }
    }

    /// Judges a frame by where the connection stands.
    pub(crate) fn admit<'a>(
        &mut self,
        frame: Result<ClientFrame<'a>, Refusal>,
        now: Seconds,
    ) -> Verdict<'a> {
        match (&self.stage, frame) {
            (_, Ok(ClientFrame::Auth { token })) => Verdict::Authenticate(token),
            (Stage::Anonymous { .. }, _) => Verdict::Close(Close::Unauthorized),
            (Stage::Open(_), Ok(frame)) => Verdict::Act(frame),
            (Stage::Open(_), Err(refusal)) => {
                let close = self.refused(&refusal, now);
                Verdict::Refuse(refusal, close)
            }
        }
    }

    /// Counts a refusal; whether it was one too many.
    pub(crate) fn refused(&mut self, refusal: &Refusal, now: Seconds) -> Option<Close> {
        match refusal.code {
            Code::BadFrame => {
                let count = self.bad_frames.count(now, BAD_FRAMES_WINDOW);
                (count >= BAD_FRAMES_MAX).then_some(Close::BadFrames)
            }
            Code::RateLimited => {
                let count = self.rate_refusals.count(now, RATE_REFUSALS_WINDOW);
                (count >= RATE_REFUSALS_MAX).then_some(Close::FarOverRate)
            }
            _ => None,
        }
    }

    /// Takes a good token's caller.
    pub(crate) fn authenticated(
        &mut self,
        caller: Caller,
        clock: &Clock,
        recheck_every: Seconds,
    ) -> Authenticated {
        let before = self.caller().map(|known| known.user_id == caller.user_id);
        if before == Some(false) {
            return Authenticated::AnotherUser;
        }
        let expires_at = clock.at(caller.expires_at);
        self.stage = Stage::Open(Box::new(Open {
            warn_at: Some(expires_at.saturating_sub(seconds(TOKEN_EXPIRING_BEFORE))),
            ends_at: expires_at.saturating_add(seconds(TOKEN_LEEWAY)),
            recheck_at: clock.now().saturating_add(recheck_every),
            caller,
        }));
        if before.is_some() {
            Authenticated::Renewed
        } else {
            Authenticated::Welcome
        }
    }

    /// The token is to be looked at again now.
    pub(crate) fn recheck_now(&mut self) {
        if let Stage::Open(open) = &mut self.stage {
            open.recheck_at = 0;
        }
    }

    /// The token was looked at again and holds.
    pub(crate) fn rechecked(&mut self, now: Seconds, recheck_every: Seconds) {
        if let Stage::Open(open) = &mut self.stage {
            open.recheck_at = now.saturating_add(recheck_every);
        }
    }

    /// What is due at `now`, one thing at a time; `None` when nothing is.
    pub(crate) fn due(
        &mut self,
        now: Seconds,
        heard_at: Seconds,
        spoke_at: Seconds,
    ) -> Option<Due> {
        if now >= heard_at + seconds(SILENCE_MAX) {
            return Some(Due::Close(Close::Silent));
        }
        match &mut self.stage {
            Stage::Anonymous { until } if now >= *until => {
                return Some(Due::Close(Close::Unauthorized));
            }
            Stage::Open(open) => {
                if now >= open.ends_at {
                    return Some(Due::Close(Close::Unauthorized));
                }
                if open.warn_at.is_some_and(|at| now >= at) {
                    open.warn_at = None;
                    return Some(Due::TokenExpiring);
                }
                if now >= open.recheck_at {
                    open.recheck_at = Seconds::MAX;
                    return Some(Due::Recheck);
                }
            }
            Stage::Anonymous { .. } => {}
        }
        (now >= spoke_at + heartbeat_every()).then_some(Due::Heartbeat)
    }

    /// When something will be due next, if nothing is heard or said until then.
    pub(crate) fn next_due(&self, heard_at: Seconds, spoke_at: Seconds) -> Seconds {
        let next = (heard_at + seconds(SILENCE_MAX)).min(spoke_at + heartbeat_every());
        match &self.stage {
            Stage::Anonymous { until } => next.min(*until),
            Stage::Open(open) => next
                .min(open.ends_at)
                .min(open.recheck_at)
                .min(open.warn_at.unwrap_or(Seconds::MAX)),
        }
    }
}

/// Reads a frame's text and judges it. The second part is what an answer repeats.
pub(crate) fn judge<'a>(
    session: &mut Session,
    decoded: Decoded<'a>,
    now: Seconds,
) -> (Verdict<'a>, Echo<'a>) {
    let echo = Echo {
        reference: decoded.reference,
        room_id: decoded.room_id.map(|id| id.to_id()),
        client_message_id: decoded.client_message_id.map(|id| id.to_id()),
    };
    (session.admit(decoded.frame, now), echo)
}

/// What an answer repeats of its frame.
#[derive(Debug, Default)]
pub(crate) struct Echo<'a> {
    pub(crate) reference: Option<Cow<'a, str>>,
    pub(crate) room_id: Option<roomcast_protocol::RoomId>,
    pub(crate) client_message_id: Option<roomcast_protocol::ClientMessageId>,
}

impl Echo<'_> {
    /// The echo, apart from the frame's text.
    pub(crate) fn into_owned(self) -> Echo<'static> {
        Echo {
            reference: self.reference.map(|text| Cow::Owned(text.into_owned())),
            room_id: self.room_id,
            client_message_id: self.client_message_id,
        }
    }
}

/// A second early, since the clock has whole seconds.
fn heartbeat_every() -> Seconds {
    seconds(HEARTBEAT) - 1
}

#[cfg(test)]
mod tests;
