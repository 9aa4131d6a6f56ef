//! Rate limits of one connection's frames, and the counts that close it.
//!
//! Most connections do little most of the time, so a [`ConnectionState`](super::ConnectionState) has this only while any
//! of it still counts.

use std::collections::VecDeque;
use std::time::Duration;

use roomcast_protocol::limits::{
    AUTH_COST, BAD_FRAMES_MAX, BAD_FRAMES_WINDOW, FRAME_BURST, FRAMES_PER_SECOND, PACED_BURST,
    PACED_PER_SECOND, RATE_REFUSALS_MAX, RATE_REFUSALS_WINDOW, ROOMS_SUBSCRIBED_BURST,
    ROOMS_SUBSCRIBED_PER_SECOND,
};
use roomcast_protocol::{ClientFrame, CloseCode, ErrorCode, Refusal};

use crate::clock::{TICK, Ticks, after};
use crate::rate_limit::{Rate, TokenBucket};

const FRAMES: Rate = Rate {
    per_second: FRAMES_PER_SECOND,
    burst: FRAME_BURST,
};
const ROOMS: Rate = Rate {
    per_second: ROOMS_SUBSCRIBED_PER_SECOND,
    burst: ROOMS_SUBSCRIBED_BURST,
};
const PACED: Rate = Rate {
    per_second: PACED_PER_SECOND,
    burst: PACED_BURST,
};

/// Which bucket a frame takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameCost {
    /// Never refused: past the rate the next frame waits, and with it the client.
    Paced(u32),
    /// Counted elsewhere: sends by user, the rooms of one `SUBSCRIBE` one by one.
    Elsewhere,
    /// Rooms subscribed to, one by one.
    Rooms,
    /// All other frames of the connection, bad and unknown ones too.
    Other,
}

impl FrameCost {
    pub(crate) fn of(frame: &Result<ClientFrame<'_>, Refusal>) -> Self {
        match frame {
            Ok(ClientFrame::Ping {}) => Self::Paced(1),
            Ok(ClientFrame::Auth { .. }) => Self::Paced(AUTH_COST),
            Ok(
                ClientFrame::SendMessage { .. }
                | ClientFrame::EditMessage { .. }
                | ClientFrame::DeleteMessage { .. }
                | ClientFrame::React { .. },
            ) => Self::Elsewhere,
            Ok(ClientFrame::Subscribe { room_id, rooms, .. }) => {
                match (room_id, rooms.as_slice()) {
                    (Some(_), _) => Self::Rooms,
                    (None, []) => Self::Other,
                    (None, _) => Self::Elsewhere,
                }
            }
            Ok(
                ClientFrame::Unsubscribe { .. }
                | ClientFrame::Typing { .. }
                | ClientFrame::Mark { .. }
                | ClientFrame::WatchPresence { .. }
                | ClientFrame::SetStatus { .. },
            )
            | Err(_) => Self::Other,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct FrameLimits {
    frames: TokenBucket,
    rooms: TokenBucket,
    paced: TokenBucket,
    bad_frames: Recent,
    rate_refusals: Recent,
}

impl FrameLimits {
    /// Takes what a frame costs.
    pub(crate) fn take(&mut self, toll: FrameCost, now: Ticks) -> Result<(), Refusal> {
        let now = TICK * now;
        let taken = match toll {
            FrameCost::Rooms => self.rooms.take(now, 1, ROOMS),
            FrameCost::Other => self.frames.take(now, 1, FRAMES),
            FrameCost::Paced(_) | FrameCost::Elsewhere => Ok(()),
        };
        // Rounded up to whole ticks, since time is counted in them.
        let tick_ms = u64::try_from(TICK.as_millis()).unwrap_or(1);
        taken.map_err(|wait_ms| Refusal::rate_limited(wait_ms.next_multiple_of(tick_ms)))
    }

    /// Takes what is never refused; how long the connection pauses after it.
    pub(crate) fn pace(&mut self, cost: u32, now: Ticks) -> Duration {
        self.paced.draw(TICK * now, cost, PACED)
    }

    /// Counts a refusal; the close that it brings, if it is one too many.
    pub(crate) fn refused(&mut self, code: ErrorCode, now: Ticks) -> Option<CloseCode> {
        match code {
            ErrorCode::BadFrame => {
                let count = self.bad_frames.count(now, BAD_FRAMES_WINDOW);
                (count >= BAD_FRAMES_MAX).then_some(CloseCode::BadFrames)
            }
            ErrorCode::RateLimited => {
                let count = self.rate_refusals.count(now, RATE_REFUSALS_WINDOW);
                (count >= RATE_REFUSALS_MAX).then_some(CloseCode::FarOverRate)
            }
            _ => None,
        }
    }

    /// Whether nothing of it counts any more.
    pub(crate) fn is_over(&mut self, now: Ticks) -> bool {
        let buckets = [&self.frames, &self.rooms, &self.paced];
        buckets.iter().all(|bucket| bucket.is_full(TICK * now))
            && self.bad_frames.is_over(now, BAD_FRAMES_WINDOW)
            && self.rate_refusals.is_over(now, RATE_REFUSALS_WINDOW)
    }
}

/// When something happened within the last span of time. Bounded by the count that closes.
#[derive(Debug, Default)]
struct Recent(VecDeque<Ticks>);

impl Recent {
    /// Counts one at `now`; how many there are within `span` with it.
    fn count(&mut self, now: Ticks, span: Duration) -> u32 {
        self.forget(now, span);
        self.0.push_back(now);
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn is_over(&mut self, now: Ticks, span: Duration) -> bool {
        self.forget(now, span);
        self.0.is_empty()
    }

    fn forget(&mut self, now: Ticks, span: Duration) {
        while self.0.front().is_some_and(|&at| now >= after(at, span)) {
            self.0.pop_front();
        }
    }
}
