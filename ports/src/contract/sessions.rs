//! The promises of [`SessionStore`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roomcast_protocol::{SessionId, Timestamp, UserId};

use super::sample::user;
use crate::accounts::{Session, SessionStore};

/// A session store to test.
#[async_trait]
pub trait SessionHarness: Send {
    /// The store.
    fn sessions(&self) -> Arc<dyn SessionStore>;

    /// Ends the store as a restart does and starts it on what it has kept.
    async fn restart(&mut self);
}

fn session(user_id: &UserId) -> Session {
    Session {
        session_id: SessionId::generate(),
        user_id: user_id.clone(),
        token_hash: [1; 32],
        previous_hash: None,
        successor_salt: [2; 32],
        rotated_at: Timestamp::now(),
        expires_at: Timestamp::now().plus(Duration::from_secs(3_600)),
        ended: false,
    }
}

fn rotated(session: &Session, token: u8) -> Session {
    Session {
        token_hash: [token; 32],
        previous_hash: Some(session.token_hash),
        successor_salt: [token.wrapping_add(1); 32],
        rotated_at: session.rotated_at.plus(Duration::from_secs(60)),
        expires_at: session.expires_at.plus(Duration::from_secs(60)),
        ..session.clone()
    }
}

async fn create(sessions: &Arc<dyn SessionStore>, session: &Session) {
    sessions.create(session).await.expect("create a session");
}

async fn find(sessions: &Arc<dyn SessionStore>, session: &Session) -> Option<Session> {
    sessions
        .session(&session.session_id)
        .await
        .expect("find a session")
}

/// A session is found as it was made, after a restart too.
pub async fn a_session_is_found_as_it_was_made(harness: &mut impl SessionHarness) {
    let first = session(&user());
    let second = rotated(&session(&user()), 7);
    create(&harness.sessions(), &first).await;
    create(&harness.sessions(), &second).await;
    harness.restart().await;
    let sessions = harness.sessions();
    assert_eq!(find(&sessions, &first).await, Some(first));
    assert_eq!(find(&sessions, &second).await, Some(second));
    assert_eq!(find(&sessions, &session(&user())).await, None);
}

/// The tokens are replaced if the expected one still works.
pub async fn a_rotation_replaces_the_expected_token(harness: &mut impl SessionHarness) {
    let (sessions, first) = (harness.sessions(), session(&user()));
    create(&sessions, &first).await;
    let second = rotated(&first, 3);
    let third = rotated(&second, 5);
    assert!(
        !sessions
            .rotate(&second.token_hash, &third)
            .await
            .expect("rotate")
    );
    assert_eq!(find(&sessions, &first).await.as_ref(), Some(&first));
    assert!(
        sessions
            .rotate(&first.token_hash, &second)
            .await
            .expect("rotate")
    );
    assert_eq!(find(&sessions, &first).await.as_ref(), Some(&second));
    assert!(
        !sessions
            .rotate(&first.token_hash, &third)
            .await
            .expect("rotate")
    );
    let stranger = session(&user());
    assert!(
        !sessions
            .rotate(&stranger.token_hash, &stranger)
            .await
            .expect("rotate")
    );
}

/// Of many who use one token at once, one succeeds.
pub async fn of_many_rotations_at_once_one_succeeds(harness: &mut impl SessionHarness) {
    let (sessions, first) = (harness.sessions(), session(&user()));
    create(&sessions, &first).await;
    let rivals: Vec<Session> = (10..18).map(|token| rotated(&first, token)).collect();
    let answers = rivals
        .iter()
        .map(|rival| sessions.rotate(&first.token_hash, rival));
    let answers = futures_util::future::join_all(answers).await;
    let winners: Vec<&Session> = rivals
        .iter()
        .zip(answers)
        .filter_map(|(rival, answer)| answer.expect("rotate").then_some(rival))
        .collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(find(&sessions, &first).await.as_ref(), Some(winners[0]));
}

/// What is ended stays ended, also after a restart, and is not rotated.
pub async fn an_ended_session_stays_ended(harness: &mut impl SessionHarness) {
    let first = session(&user());
    create(&harness.sessions(), &first).await;
    assert!(
        harness
            .sessions()
            .end(&first.session_id)
            .await
            .expect("end a session")
    );
    harness.restart().await;
    let sessions = harness.sessions();
    assert!(find(&sessions, &first).await.expect("it is kept").ended);
    assert!(
        !sessions
            .end(&first.session_id)
            .await
            .expect("end a session")
    );
    assert!(
        !sessions
            .rotate(&first.token_hash, &rotated(&first, 3))
            .await
            .expect("rotate")
    );
    assert!(find(&sessions, &first).await.expect("it is kept").ended);
    assert!(
        !sessions
            .end(&SessionId::generate())
            .await
            .expect("end a session")
    );
}

async fn end_all_but(
    sessions: &Arc<dyn SessionStore>,
    user_id: &UserId,
    kept: Option<&SessionId>,
) -> Vec<SessionId> {
    let ended = sessions.end_all_but(user_id, kept).await;
    let mut ended = ended.expect("end sessions");
    ended.sort();
    ended
}

/// All of a user's but the kept one are ended, and those that had not ended are named.
pub async fn ending_all_names_those_that_had_not_ended(harness: &mut impl SessionHarness) {
    let (sessions, user_id) = (harness.sessions(), user());
    let own: [Session; 4] = std::array::from_fn(|_| session(&user_id));
    let other = session(&user());
    for session in own.iter().chain([&other]) {
        create(&sessions, session).await;
    }
    sessions
        .end(&own[1].session_id)
        .await
        .expect("end a session");
    let kept = Some(&own[3].session_id);
    let mut expected = [own[0].session_id.clone(), own[2].session_id.clone()];
    expected.sort();
    assert_eq!(end_all_but(&sessions, &user_id, kept).await, expected);
    assert!(end_all_but(&sessions, &user_id, kept).await.is_empty());
    assert!(!find(&sessions, &own[3]).await.expect("it is kept").ended);
    let last = [own[3].session_id.clone()];
    assert_eq!(end_all_but(&sessions, &user_id, None).await, last);
    assert!(!find(&sessions, &other).await.expect("it is kept").ended);
}

/// What expired long enough ago is forgotten, the rest is not.
pub async fn long_expired_sessions_are_forgotten(harness: &mut impl SessionHarness) {
    let (sessions, user_id) = (harness.sessions(), user());
    let hours_ago = |hours: u64| {
        let now = Timestamp::now().as_millis();
        Session {
            expires_at: Timestamp::from_millis(now - hours * 3_600_000),
            ..session(&user_id)
        }
    };
    let (old, recent, valid) = (hours_ago(3), hours_ago(1), session(&user_id));
    for session in [&old, &recent, &valid] {
        create(&sessions, session).await;
    }
    let two_hours = Duration::from_secs(7_200);
    assert!(
        sessions
            .forget_expired(two_hours)
            .await
            .expect("forget sessions")
            >= 1
    );
    assert_eq!(find(&sessions, &old).await, None);
    assert!(find(&sessions, &recent).await.is_some());
    assert!(find(&sessions, &valid).await.is_some());
}

/// Makes a test of every promise of sessions; `$make` is an async function that gives a harness.
#[macro_export]
macro_rules! session_contract {
    ($make:ident) => {
        $crate::contract_tests!(
            $make,
            sessions,
            [
                a_session_is_found_as_it_was_made,
                a_rotation_replaces_the_expected_token,
                of_many_rotations_at_once_one_succeeds,
                an_ended_session_stays_ended,
                ending_all_names_those_that_had_not_ended,
                long_expired_sessions_are_forgotten,
            ]
        );
    };
}
