//! Answers a resend with the first event, also after the log's dedupe window.
//!
//! Inside this dedupe window the log recognises a resend by the event id. Past the window the gateway has to
//! look the event up in the store before it appends, which costs a read and needs the store. The lookup
//! is left out only where the send cannot be a resend of an event older than the window: its id is a
//! `UUIDv7` made lately. That time is the client's claim. A clock ahead by more than half the window
//! makes an old id look new for a minute, long after the log has forgotten it. So a connection's first
//! send is looked up whatever its id claims, and so is every send of a connection whose clock was seen
//! to be ahead.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use roomcast_ports::event_log::{Appended, EventLog};
use roomcast_protocol::limits::CLOCK_LEEWAY;
use roomcast_protocol::{ClientMessageId, ErrorCode, Refusal, StoredEvent, Timestamp};
use tracing::warn;

use super::PublishRequest;
use crate::connection::sender_clock::{ClockState, SenderClock};
use crate::hub::Hub;
use crate::port_errors::read_error_to_refusal;

/// Timeout of a lookup that is made although the id looks new.
const OPTIONAL_LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval between such lookups while the store does not answer them.
const OPTIONAL_LOOKUP_RETRY: Duration = Duration::from_secs(5);

/// Whether the store is asked for a send's first event before it is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lookup {
    /// The log recognises a resend.
    NotNeeded,
    /// The id claims to be new, from a clock that is not known to be right: ask if the store answers.
    IfAnswered,
    /// The id is old, shows no time, or comes from a wrong clock: ask, or refuse.
    Required,
}

/// When optional lookups last failed, in this gateway.
#[derive(Debug, Default)]
pub(crate) struct OptionalLookups(Mutex<Option<Instant>>);

impl OptionalLookups {
    fn are_paused(&self) -> bool {
        let failed_at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.is_some_and(|at| at.elapsed() < OPTIONAL_LOOKUP_RETRY)
    }

    fn failed(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// The time an id claims, against the log's deduplication window.
#[derive(Debug, Clone, Copy)]
struct Claim {
    made: Timestamp,
    window: Duration,
}

impl Claim {
    /// Difference between clocks that are held for right. An eighth of the window at most.
    fn leeway(self) -> Duration {
        CLOCK_LEEWAY.min(self.window / 8)
    }

    /// The id was made within half the window before `now`, if its clock is right.
    fn is_recent(self, now: Timestamp) -> bool {
        let (made, now) = (millis(self.made), millis(now));
        made <= now + self.leeway() && now < made + self.window / 2
    }

    /// At `then` the id was so far in the future that it looks recent after the window, too.
    fn was_ahead(self, then: Timestamp) -> bool {
        millis(self.made) > millis(then) + self.window / 2 - self.leeway()
    }
}

fn millis(time: Timestamp) -> Duration {
    Duration::from_millis(time.as_millis())
}

/// Whether the send may be appended without a lookup.
pub(crate) fn is_new(log: &dyn EventLog, lookups: &OptionalLookups, said: &PublishRequest) -> bool {
    lookup(log, lookups, said) == Lookup::NotNeeded
}

fn lookup(log: &dyn EventLog, lookups: &OptionalLookups, said: &PublishRequest) -> Lookup {
    let (Some(window), Some(client)) = (log.dedupe_window(), said.client_message_id.as_ref())
    else {
        return Lookup::NotNeeded;
    };
    let Some(claim) = claim(client, window) else {
        return Lookup::Required;
    };
    let (now, clock) = (Timestamp::now(), said.clock());
    if let Some(clock) = clock
        && claim.was_ahead(now)
    {
        clock.mark_ahead();
    }
    if !claim.is_recent(now) {
        return Lookup::Required;
    }
    // A call over HTTP comes from no known clock.
    match clock.map_or(ClockState::Unknown, SenderClock::state) {
        ClockState::Plausible => Lookup::NotNeeded,
        ClockState::Ahead => Lookup::Required,
        ClockState::Unknown if lookups.are_paused() => Lookup::NotNeeded,
        ClockState::Unknown => Lookup::IfAnswered,
    }
}

fn claim(client: &ClientMessageId, window: Duration) -> Option<Claim> {
    let made = client.uuid_timestamp()?;
    Some(Claim { made, window })
}

/// The first event of a send that the log may no longer recognise.
pub(super) async fn first(
    hub: &Hub,
    lookups: &OptionalLookups,
    said: &PublishRequest,
) -> Result<Option<Appended>, Refusal> {
    match lookup(&*hub.log, lookups, said) {
        Lookup::NotNeeded => Ok(None),
        Lookup::Required => find_duplicate(hub, said).await,
        Lookup::IfAnswered => {
            let lookup = find_duplicate(hub, said);
            match tokio::time::timeout(OPTIONAL_LOOKUP_TIMEOUT, lookup).await {
                Ok(Ok(first)) => {
                    if let (None, Some(clock)) = (&first, said.clock()) {
                        clock.mark_plausible();
                    }
                    Ok(first)
                }
                Ok(Err(_)) | Err(_) => {
                    warn!("skipped duplicate look-ups: the store does not answer");
                    lookups.failed();
                    Ok(None)
                }
            }
        }
    }
}

/// What a refused send is answered with: its first event, if it was stored before.
pub(super) async fn first_or_refusal(
    hub: &Hub,
    said: &PublishRequest,
    refusal: Refusal,
) -> Result<Appended, Refusal> {
    match find_duplicate(hub, said).await {
        Ok(Some(first)) => Ok(first),
        // "Perhaps stored" stays true when the store cannot be asked; "not stored" would not be.
        Err(unreadable) if refusal.code != ErrorCode::Unconfirmed => Err(unreadable),
        _ => Err(refusal),
    }
}

/// The first event of the send's id.
pub(super) async fn find_duplicate(
    hub: &Hub,
    said: &PublishRequest,
) -> Result<Option<Appended>, Refusal> {
    let Some(client) = &said.client_message_id else {
        return Ok(None);
    };
    let timeline = &hub.timeline;
    let first = timeline.event(&said.room_id, &said.event_id()).await;
    let Some(first) = first.map_err(|error| read_error_to_refusal(&error))? else {
        return Ok(None);
    };
    if let (Some(window), Some(clock)) = (hub.log.dedupe_window(), said.clock())
        && claim(client, window).is_some_and(|claim| claim.was_ahead(first.event.sent_at))
    {
        clock.mark_ahead();
    }
    Ok(Some(duplicate_ack(&first)))
}

fn duplicate_ack(stored: &StoredEvent) -> Appended {
    Appended {
        seq: stored.seq,
        prev: stored.prev,
        sent_at: stored.event.sent_at,
        message_id: stored.event.message_id(),
        duplicate: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim_made(made_ms: u64) -> Claim {
        Claim {
            made: Timestamp::from_millis(made_ms),
            window: Duration::from_secs(120),
        }
    }

    #[test]
    fn an_id_is_recent_for_half_the_window_and_a_little_before_its_time() {
        let is_recent = |now_ms: u64| claim_made(100_000).is_recent(Timestamp::from_millis(now_ms));
        for (now_ms, expected) in [
            (94_999, false),
            (95_000, true),
            (100_000, true),
            (159_999, true),
            (160_000, false),
        ] {
            assert_eq!(is_recent(now_ms), expected, "at {now_ms} ms");
        }
    }

    #[test]
    fn an_id_that_was_not_ahead_is_never_recent_after_the_window() {
        for made_ms in (1_000_000..1_200_000).step_by(500) {
            let claim = claim_made(made_ms);
            let first = Timestamp::from_millis(1_000_000);
            let after = Timestamp::from_millis(1_000_000 + 115_000);
            assert!(
                claim.was_ahead(first) || !claim.is_recent(after),
                "made at {made_ms} ms"
            );
        }
    }
}
