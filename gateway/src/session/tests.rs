//! The rules of a session, called as the socket's task calls them.

use std::time::Duration;

use roomcast_protocol::{Timestamp, UserId};

use super::*;

fn caller(name: &str, lifetime: Duration) -> Caller {
    Caller {
        user_id: UserId::new(name).unwrap(),
        name: None,
        session_id: None,
        admin: false,
        expires_at: Timestamp::now().plus(lifetime),
    }
}

fn open(lifetime: Duration) -> Session {
    let clock = Clock::start();
    let mut session = Session::anonymous(0);
    let greeted = session.authenticated(caller("ada", lifetime), &clock, 300);
    assert_eq!(greeted, Authenticated::Welcome);
    session
}

#[expect(clippy::unnecessary_wraps, reason = "as the decoder gives it")]
fn ping() -> Result<ClientFrame<'static>, Refusal> {
    Ok(ClientFrame::Ping {})
}

#[test]
fn without_a_token_the_first_frame_must_bring_one() {
    let mut session = Session::anonymous(0);
    assert!(matches!(
        session.admit(ping(), 0),
        Verdict::Close(Close::Unauthorized)
    ));
    let auth = Ok(ClientFrame::Auth { token: "t".into() });
    assert!(matches!(session.admit(auth, 0), Verdict::Authenticate(_)));
}

#[test]
fn who_brings_no_token_in_time_is_closed() {
    let mut session = Session::anonymous(10);
    assert_eq!(session.due(14, 10, 10), None);
    assert_eq!(
        session.due(15, 10, 10),
        Some(Due::Close(Close::Unauthorized))
    );
}

#[test]
fn a_later_token_of_another_user_is_refused_and_of_the_same_renews() {
    let mut session = open(Duration::from_secs(600));
    let clock = Clock::start();
    let renewed = session.authenticated(caller("ada", Duration::from_secs(900)), &clock, 300);
    assert_eq!(renewed, Authenticated::Renewed);
    let other = session.authenticated(caller("bob", Duration::from_secs(900)), &clock, 300);
    assert_eq!(other, Authenticated::AnotherUser);
}

#[test]
fn the_tenth_bad_frame_in_a_minute_is_answered_and_closes() {
    let mut session = open(Duration::from_secs(600));
    for _ in 1..10 {
        let verdict = session.admit(Err(Refusal::bad_frame("x")), 0);
        assert!(matches!(verdict, Verdict::Refuse(_, None)));
    }
    let verdict = session.admit(Err(Refusal::bad_frame("x")), 59);
    assert!(matches!(
        verdict,
        Verdict::Refuse(_, Some(Close::BadFrames))
    ));
}

#[test]
fn two_hundred_refusals_for_rate_in_ten_seconds_close() {
    let mut session = open(Duration::from_secs(600));
    for _ in 1..200 {
        assert_eq!(session.refused(&Refusal::rate_limited(1), 0), None);
    }
    assert_eq!(
        session.refused(&Refusal::rate_limited(1), 9),
        Some(Close::FarOverRate)
    );
}

#[test]
fn a_tokens_end_is_announced_a_minute_before_and_closes_after_its_leeway() {
    let mut session = open(Duration::from_secs(100));
    assert_eq!(session.due(38, 38, 38), None);
    assert_eq!(session.due(41, 41, 41), Some(Due::TokenExpiring));
    assert_eq!(session.due(41, 41, 41), None);
    assert_eq!(
        session.due(106, 106, 106),
        Some(Due::Close(Close::Unauthorized))
    );
}

#[test]
fn a_token_with_less_than_a_minute_left_is_announced_at_once() {
    let mut session = open(Duration::from_secs(30));
    assert_eq!(session.due(0, 0, 0), Some(Due::TokenExpiring));
}

#[test]
fn silence_on_our_side_is_broken_before_a_heartbeat_is_missed() {
    let mut session = open(Duration::from_secs(6_000));
    assert_eq!(session.due(13, 13, 0), None);
    assert_eq!(session.due(14, 14, 0), Some(Due::Heartbeat));
    assert_eq!(session.next_due(14, 14), 28);
}

#[test]
fn silence_on_the_other_side_closes_after_three_heartbeats() {
    let mut session = open(Duration::from_secs(6_000));
    assert_eq!(session.due(44, 0, 44), None);
    assert_eq!(session.due(45, 0, 45), Some(Due::Close(Close::Silent)));
}

#[test]
fn a_sign_in_is_looked_at_again_once_in_its_time() {
    let mut session = open(Duration::from_secs(6_000));
    assert_eq!(session.due(300, 300, 300), Some(Due::Recheck));
    assert_eq!(session.due(301, 301, 301), None);
    session.rechecked(301, 300);
    assert_eq!(session.due(601, 601, 601), Some(Due::Recheck));
}
