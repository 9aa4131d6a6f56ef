//! Session revocations: closes the connections of sessions that ended.
//!
//! Revocations have a channel and a task of their own, so that no flood of other signals delays them. A
//! connection may be between the judgement of its token and its place in the hub when one comes: the
//! last ones are remembered for it. Where some may have been lost, all sign-ins in use here are looked
//! up again, at most once a second.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use roomcast_ports::pubsub::{Revocation, RevocationSubscription};
use roomcast_protocol::{CloseCode, SessionId, UserId};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::clock::Ticks;
use crate::connection::Connection;
use crate::hub::Hub;
use crate::lock::lock;

/// How long a revocation is remembered: longer than a token's judgement takes.
const CACHE_TTL: Duration = Duration::from_secs(30);
/// Revocations remembered; past it a new connection has its sign-in looked up again.
const CACHE_CAPACITY: usize = 16_384;
/// The least time between two rechecks of all connections.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The revocations of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct RecentRevocations {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ended: VecDeque<(Instant, SessionId)>,
    /// When some were lost, or forgotten early.
    missed_at: Option<Instant>,
}

/// The effect of recent revocations on a session.
#[derive(Debug, PartialEq, Eq)]
enum Recent {
    Ended,
    Unknown,
    Holds,
}

impl RecentRevocations {
    fn remember(&self, session_id: &SessionId) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        while let Some((at, _)) = state.ended.front() {
            if now.duration_since(*at) > CACHE_TTL {
                state.ended.pop_front();
            } else if state.ended.len() >= CACHE_CAPACITY {
                state.ended.pop_front();
                state.missed_at = Some(now);
            } else {
                break;
            }
        }
        state.ended.push_back((now, session_id.clone()));
    }

    fn missed(&self) {
        lock(&self.state).missed_at = Some(Instant::now());
    }

    fn of(&self, session_id: &SessionId) -> Recent {
        let state = lock(&self.state);
        if state.ended.iter().any(|(_, ended)| ended == session_id) {
            return Recent::Ended;
        }
        match state.missed_at {
            Some(at) if at.elapsed() <= CACHE_TTL => Recent::Unknown,
            _ => Recent::Holds,
        }
    }
}

impl RecentRevocations {
    /// Checks a connection that has just got its session against recent revocations.
    pub(crate) fn check(
        &self,
        connection: &Connection,
        session_id: Option<&SessionId>,
        now: Ticks,
    ) {
        let Some(session_id) = session_id else { return };
        match self.of(session_id) {
            Recent::Ended => connection.close(CloseCode::Unauthorized, now),
            Recent::Unknown => connection.recheck_session(),
            Recent::Holds => {}
        }
    }

    fn end_session(&self, hub: &Hub, session_id: &SessionId, user_id: &UserId) {
        self.remember(session_id);
        let Some(user) = hub.user(user_id) else {
            return;
        };
        for connection in user.connections() {
            if connection.is_of_session(session_id) {
                connection.close(CloseCode::Unauthorized, hub.clock.now());
            }
        }
    }

    /// Ends connections with their sign-ins, until `stop`.
    pub(crate) async fn run(
        &self,
        hub: &Hub,
        mut revocations: RevocationSubscription,
        stop: &CancellationToken,
    ) {
        let mut recheck_at: Option<Instant> = None;
        let mut rechecked_at: Option<Instant> = None;
        loop {
            let due = recheck_at.unwrap_or_else(Instant::now);
            let revocation = tokio::select! {
                revocation = revocations.recv() => revocation,
                () = sleep_until(due), if recheck_at.is_some() => {
                    recheck_all_sessions(hub);
                    (recheck_at, rechecked_at) = (None, Some(Instant::now()));
                    continue;
                }
                () = stop.cancelled() => return,
            };
            match revocation {
                Some(Revocation::SessionEnded {
                    session_id,
                    user_id,
                }) => self.end_session(hub, &session_id, &user_id),
                Some(Revocation::Missed) => {
                    self.missed();
                    let soonest = rechecked_at.map(|at| at + RECHECK_INTERVAL);
                    let now = Instant::now();
                    recheck_at.get_or_insert(soonest.map_or(now, |soonest| soonest.max(now)));
                }
                None => return,
            }
        }
    }
}

fn recheck_all_sessions(hub: &Hub) {
    info!("revalidated all sessions: revocations may have been lost");
    for user in hub.all_users() {
        for connection in user.connections() {
            connection.recheck_session();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn revocations_are_remembered_for_connections_that_are_being_made() {
        let recent = RecentRevocations::default();
        let (ended, other) = (SessionId::generate(), SessionId::generate());
        recent.remember(&ended);
        assert_eq!(recent.of(&ended), Recent::Ended);
        assert_eq!(recent.of(&other), Recent::Holds);
        recent.missed();
        assert_eq!(recent.of(&other), Recent::Unknown);
        tokio::time::advance(CACHE_TTL + Duration::from_millis(1)).await;
        assert_eq!(recent.of(&other), Recent::Holds);
        for _ in 0..=CACHE_CAPACITY {
            recent.remember(&SessionId::generate());
        }
        assert_eq!(lock(&recent.state).ended.len(), CACHE_CAPACITY);
        assert_eq!(
            recent.of(&other),
            Recent::Unknown,
            "one was forgotten early"
        );
    }
}
