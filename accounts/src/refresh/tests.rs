//! Which tokens of a session are still good for their successor.

use std::time::Duration;

use roomcast_protocol::{SessionId, UserId};

use super::*;

const START_MS: u64 = 1_000_000_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(START_MS + millis)
}

fn session() -> Session {
    Session {
        session_id: SessionId::generate(),
        user_id: UserId::generate(),
        created_at: at(0),
        user_agent: None,
        token_salt: [0; 32],
        generation: 0,
        replaced: Vec::new(),
        used_at: at(0),
        expires_at: at(0).plus(SESSION_LIFETIME),
        ended: false,
    }
}

fn use_latest(session: &mut Session, now: Timestamp) {
    session.replaced = replaced(session, session.generation, now);
    session.generation += 1;
}

#[test]
fn history_of_replaced_tokens_is_bounded_at_any_rate_of_refreshes() {
    let mut session = session();
    let mut used = Vec::new();
    for number in 0..5_000_u64 {
        let now = at(number * 37);
        use_latest(&mut session, now);
        used.push(now);
        assert!(session.replaced.len() <= 32, "{}", session.replaced.len());
    }
    let now = used[used.len() - 1];
    for (generation, used) in (0..).zip(&used) {
        let age = Duration::from_millis(now.as_millis() - used.as_millis());
        // Tokens replaced within one second share the time of the last of them.
        match token_status(&session, generation, now) {
            TokenStatus::JustReplaced => assert!(age <= REFRESH_GRACE + Duration::from_secs(1)),
            TokenStatus::Used => assert!(age > REFRESH_GRACE),
            TokenStatus::Latest => panic!("{generation} was replaced"),
        }
    }
    assert_eq!(token_status(&session, 5_000, now), TokenStatus::Latest);
}

#[test]
fn grace_of_a_token_ends_exactly_after_30_seconds() {
    let mut session = session();
    use_latest(&mut session, at(0));
    assert_eq!(
        token_status(&session, 0, at(30_000)),
        TokenStatus::JustReplaced
    );
    assert_eq!(token_status(&session, 0, at(30_001)), TokenStatus::Used);
    use_latest(&mut session, at(40_000));
    assert_eq!(token_status(&session, 0, at(40_001)), TokenStatus::Used);
    assert_eq!(
        token_status(&session, 1, at(40_001)),
        TokenStatus::JustReplaced
    );
}

#[test]
fn clocks_that_disagree_do_not_grow_the_history() {
    let mut session = session();
    for number in 0..2_000 {
        let ahead = if number % 2 == 0 { 3_600_000 } else { 0 };
        use_latest(&mut session, at(number * 10 + ahead));
    }
    assert!(session.replaced.len() <= 32, "{}", session.replaced.len());
}

#[test]
fn token_the_store_has_forgotten_is_the_latest_and_the_ones_before_it_are_replaced() {
    let mut session = session();
    session.generation = 3;
    assert_eq!(token_status(&session, 5, at(0)), TokenStatus::Latest);
    session.replaced = replaced(&session, 5, at(0));
    session.generation = 6;
    for generation in 3..6 {
        assert_eq!(
            token_status(&session, generation, at(1)),
            TokenStatus::JustReplaced
        );
    }
    assert_eq!(token_status(&session, 2, at(1)), TokenStatus::Used);
}
