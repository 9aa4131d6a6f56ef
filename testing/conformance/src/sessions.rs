//! The promises of [`SessionStore`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roomcast_protocol::{SessionId, Timestamp, UserId};

use super::sample::user;
use roomcast_ports::accounts::{Replaced, Session, SessionStore};

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
        created_at: Timestamp::now(),
        user_agent: None,
        token_salt: [2; 32],
        generation: 0,
        replaced: Vec::new(),
        used_at: Timestamp::now(),
        expires_at: Timestamp::now().plus(Duration::from_secs(3_600)),
        ended: false,
    }
}

fn rotated(session: &Session, generation: u64) -> Session {
    let replaced = Replaced {
        first: session.generation,
        at: session.used_at.plus(Duration::from_secs(60)),
    };
    Session {
        generation,
        replaced: [session.replaced.clone(), vec![replaced]].concat(),
        used_at: replaced.at,
        expires_at: session.expires_at.plus(Duration::from_secs(60)),
        ..session.clone()
    }
}

async fn end(sessions: &Arc<dyn SessionStore>, session: &Session) -> bool {
    let ended = sessions.end(&session.user_id, &session.session_id).await;
    ended.expect("end a session")
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
    let second = Session {
        user_agent: Some("A browser/1.0 (\u{e9})".to_owned()),
        ..rotated(&rotated(&session(&user()), 7), u64::MAX >> 1)
    };
    create(&harness.sessions(), &first).await;
    create(&harness.sessions(), &second).await;
    harness.restart().await;
    let sessions = harness.sessions();
    assert_eq!(find(&sessions, &first).await, Some(first));
    assert_eq!(find(&sessions, &second).await, Some(second));
    assert_eq!(find(&sessions, &session(&user())).await, None);
}

/// A rotation happens if the expected generation is still the latest.
pub async fn a_rotation_replaces_the_expected_generation(harness: &mut impl SessionHarness) {
    let (sessions, first) = (harness.sessions(), session(&user()));
    create(&sessions, &first).await;
    let second = rotated(&first, 3);
    let third = rotated(&second, 5);
    assert!(
        !sessions
            .rotate(second.generation, &third)
            .await
            .expect("rotate")
    );
    assert_eq!(find(&sessions, &first).await.as_ref(), Some(&first));
    assert!(
        sessions
            .rotate(first.generation, &second)
            .await
            .expect("rotate")
    );
    assert_eq!(find(&sessions, &first).await.as_ref(), Some(&second));
    assert!(
        !sessions
            .rotate(first.generation, &third)
            .await
            .expect("rotate")
    );
    let stranger = session(&user());
    assert!(
        !sessions
            .rotate(stranger.generation, &stranger)
            .await
            .expect("rotate")
    );
}

/// Of many concurrent rotations of one generation, one succeeds.
pub async fn of_many_rotations_at_once_one_succeeds(harness: &mut impl SessionHarness) {
    let (sessions, first) = (harness.sessions(), session(&user()));
    create(&sessions, &first).await;
    let rivals: Vec<Session> = (10..18).map(|number| rotated(&first, number)).collect();
    let answers = rivals
        .iter()
        .map(|rival| sessions.rotate(first.generation, rival));
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
    assert!(end(&harness.sessions(), &first).await);
    harness.restart().await;
    let sessions = harness.sessions();
    assert!(find(&sessions, &first).await.expect("it is kept").ended);
    assert!(!end(&sessions, &first).await);
    assert!(
        !sessions
            .rotate(first.generation, &rotated(&first, 3))
            .await
            .expect("rotate")
    );
    assert!(find(&sessions, &first).await.expect("it is kept").ended);
    assert!(!end(&sessions, &session(&user())).await);
}

/// A session is ended only for its own user.
pub async fn a_session_is_not_ended_for_another_user(harness: &mut impl SessionHarness) {
    let (sessions, first) = (harness.sessions(), session(&user()));
    create(&sessions, &first).await;
    let of_another = Session {
        user_id: user(),
        ..first.clone()
    };
    assert!(!end(&sessions, &of_another).await);
    assert_eq!(find(&sessions, &first).await.as_ref(), Some(&first));
    assert!(end(&sessions, &first).await);
}

fn begun(user_id: &UserId, minute: u64) -> Session {
    Session {
        created_at: Timestamp::from_millis(1_700_000_000_000 + minute * 60_000),
        ..session(user_id)
    }
}

async fn ids_of(sessions: &Arc<dyn SessionStore>, user_id: &UserId) -> Vec<SessionId> {
    let of_user = sessions.of_user(user_id).await.expect("list sessions");
    of_user.into_iter().map(|it| it.session_id).collect()
}

/// A user's sessions that have not ended are listed completely, newest first.
pub async fn a_users_sessions_are_listed_latest_first(harness: &mut impl SessionHarness) {
    let (sessions, user_id) = (harness.sessions(), user());
    let all: Vec<Session> = [2, 0, 3, 1].map(|minute| begun(&user_id, minute)).into();
    for session in all.iter().chain([&session(&user())]) {
        create(&sessions, session).await;
    }
    let of_user = sessions.of_user(&user_id).await.expect("list sessions");
    assert_eq!(of_user, [2, 0, 3, 1].map(|at| all[at].clone()));
    assert!(end(&sessions, &all[0]).await);
    let left = [2, 3, 1].map(|at| all[at].session_id.clone());
    assert_eq!(ids_of(&sessions, &user_id).await, left);
    assert_eq!(ids_of(&sessions, &user()).await, []);
}

/// Ending the oldest keeps the newest, and returns those that had not ended.
pub async fn ending_the_oldest_keeps_the_newest(harness: &mut impl SessionHarness) {
    let (sessions, user_id) = (harness.sessions(), user());
    let all: Vec<Session> = (0..5).map(|minute| begun(&user_id, minute)).collect();
    for session in all.iter().rev() {
        create(&sessions, session).await;
    }
    assert!(end(&sessions, &all[1]).await);
    let oldest = sessions.end_oldest(&user_id, 3).await;
    assert_eq!(oldest.expect("end sessions"), [all[0].session_id.clone()]);
    let oldest = sessions.end_oldest(&user_id, 3).await;
    assert_eq!(oldest.expect("end sessions"), []);
    let left = [4, 3, 2].map(|at| all[at].session_id.clone());
    assert_eq!(ids_of(&sessions, &user_id).await, left);
    assert!(find(&sessions, &all[0]).await.expect("it is kept").ended);
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
    assert!(end(&sessions, &own[1]).await);
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
            .delete_expired(two_hours)
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
macro_rules! session_conformance {
    ($make:ident) => {
        $crate::conformance_tests!(
            $make,
            sessions,
            [
                a_session_is_found_as_it_was_made,
                a_rotation_replaces_the_expected_generation,
                of_many_rotations_at_once_one_succeeds,
                an_ended_session_stays_ended,
                a_session_is_not_ended_for_another_user,
                a_users_sessions_are_listed_latest_first,
                ending_the_oldest_keeps_the_newest,
                ending_all_names_those_that_had_not_ended,
                long_expired_sessions_are_forgotten,
            ]
        );
    };
}
