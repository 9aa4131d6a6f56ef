//! The rules of a session, called as the socket's task calls them.

use std::time::Duration;

use roomcast_protocol::id::IdRef;
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

/// A second, in ticks.
const SECOND: Ticks = 20;

fn active(heard_at: Ticks, spoke_at: Ticks) -> Activity {
    Activity {
        heard_at,
        spoke_at,
        moved_at: None,
    }
}

/// The timer that is due in that second when both sides were just active.
fn at(session: &mut ConnectionState, second: Ticks) -> Option<Due> {
    let now = second * SECOND;
    session.due(now, active(now, now))
}

fn open(lifetime: Duration) -> ConnectionState {
    let clock = Clock::start();
    let mut session = ConnectionState::anonymous(0);
    let greeted = session.authenticated(caller("ada", lifetime), &clock, 300 * SECOND);
    assert_eq!(greeted, AuthResult::First);
    session
}

#[expect(clippy::unnecessary_wraps, reason = "as the decoder gives it")]
fn ping() -> Result<ClientFrame<'static>, Refusal> {
    Ok(ClientFrame::Ping {})
}

#[test]
fn without_a_token_the_first_frame_must_bring_one() {
    let mut session = ConnectionState::anonymous(0);
    assert!(matches!(
        session.on_frame(ping(), 0),
        FrameAction::Close(CloseCode::Unauthorized)
    ));
    let auth = Ok(ClientFrame::Auth { token: "t".into() });
    assert!(matches!(
        session.on_frame(auth, 0),
        FrameAction::Authenticate(_)
    ));
}

#[test]
fn a_connection_without_a_token_is_closed_after_five_seconds_and_not_before() {
    let mut session = ConnectionState::anonymous(10);
    // It may have come at the very end of tick 10.
    assert_eq!(session.due(10 + 5 * SECOND, active(10, 10)), None);
    assert_eq!(session.next_due(active(10, 10)), 11 + 5 * SECOND);
    assert_eq!(
        session.due(11 + 5 * SECOND, active(10, 10)),
        Some(Due::Close(CloseCode::Unauthorized))
    );
}

#[test]
fn a_later_token_of_another_user_is_refused_and_of_the_same_renews() {
    let mut session = open(Duration::from_secs(600));
    let clock = Clock::start();
    let renewed = session.authenticated(
        caller("ada", Duration::from_secs(900)),
        &clock,
        300 * SECOND,
    );
    assert_eq!(renewed, AuthResult::Refreshed);
    let other = session.authenticated(
        caller("bob", Duration::from_secs(900)),
        &clock,
        300 * SECOND,
    );
    assert_eq!(other, AuthResult::UserMismatch);
}

#[test]
fn the_tenth_bad_frame_in_a_minute_is_answered_and_closes() {
    let mut session = open(Duration::from_secs(600));
    for n in 0..9 {
        let verdict = session.on_frame(Err(Refusal::bad_frame("x")), n);
        assert!(matches!(verdict, FrameAction::Refuse(_, None)));
    }
    let verdict = session.on_frame(Err(Refusal::bad_frame("x")), 60 * SECOND);
    assert!(matches!(
        verdict,
        FrameAction::Refuse(_, Some(CloseCode::BadFrames))
    ));
}

#[test]
fn bad_frames_count_in_every_minute_and_not_only_in_those_that_one_began() {
    let mut session = open(Duration::from_secs(600));
    let mut bad_at = |second| match session.on_frame(Err(Refusal::bad_frame("x")), second * SECOND)
    {
        FrameAction::Refuse(_, close) => close,
        other => panic!("{other:?}"),
    };
    assert_eq!(bad_at(0), None);
    for _ in 0..8 {
        assert_eq!(bad_at(59), None);
    }
    assert_eq!(bad_at(61), None, "the ninth within a minute");
    assert_eq!(bad_at(62), Some(CloseCode::BadFrames));
}

#[test]
fn two_hundred_refusals_for_rate_in_ten_seconds_close() {
    let mut session = open(Duration::from_secs(600));
    for _ in 1..200 {
        assert_eq!(session.refused(&Refusal::rate_limited(1), 0), None);
    }
    assert_eq!(
        session.refused(&Refusal::rate_limited(1), 10 * SECOND),
        Some(CloseCode::FarOverRate)
    );
}

#[test]
fn what_was_refused_is_forgotten_with_its_window() {
    let mut session = open(Duration::from_secs(600));
    session.refused(&Refusal::bad_frame("x"), 0);
    session.forget(59 * SECOND);
    assert!(session.conduct.is_some());
    session.forget(61 * SECOND);
    assert!(session.conduct.is_none());
}

#[test]
fn a_tokens_end_is_announced_a_minute_before_and_closes_after_its_leeway() {
    let mut session = open(Duration::from_secs(100));
    assert_eq!(at(&mut session, 39), None);
    assert_eq!(at(&mut session, 41), Some(Due::TokenExpiring));
    assert_eq!(at(&mut session, 41), None);
    assert_eq!(at(&mut session, 104), None);
    assert_eq!(
        at(&mut session, 106),
        Some(Due::Close(CloseCode::Unauthorized))
    );
}

#[test]
fn a_token_with_less_than_a_minute_left_is_announced_at_once() {
    let mut session = open(Duration::from_secs(30));
    assert_eq!(at(&mut session, 0), Some(Due::TokenExpiring));
}

#[test]
fn silence_on_our_side_is_broken_before_a_heartbeat_is_missed() {
    let mut session = open(Duration::from_secs(6_000));
    assert_eq!(session.due(14 * SECOND, active(14 * SECOND, 0)), None);
    let due = session.next_due(active(14 * SECOND, 0));
    assert!(due > 14 * SECOND && due < 15 * SECOND, "{due}");
    assert_eq!(
        session.due(due, active(14 * SECOND, 0)),
        Some(Due::Heartbeat)
    );
}

#[test]
fn silence_on_the_other_side_is_asked_once_and_closes_after_three_heartbeats() {
    let mut session = open(Duration::from_secs(6_000));
    let mut at = |tick| session.due(tick, active(0, tick));
    assert_eq!(at(30 * SECOND), None);
    assert_eq!(at(30 * SECOND + 1), Some(Due::Ping));
    assert_eq!(at(30 * SECOND + 1), None);
    assert_eq!(at(45 * SECOND), None);
    assert_eq!(at(45 * SECOND + 1), Some(Due::Close(CloseCode::Silent)));
}

#[test]
fn a_client_that_answered_a_ping_is_asked_again_after_the_next_silence() {
    let mut session = open(Duration::from_secs(6_000));
    let mut at = |tick, heard_at| session.due(tick, active(heard_at, tick));
    assert_eq!(at(31 * SECOND, 0), Some(Due::Ping));
    assert_eq!(at(60 * SECOND, 31 * SECOND), None);
    assert_eq!(at(62 * SECOND, 31 * SECOND), Some(Due::Ping));
}

#[test]
fn a_silent_client_that_goes_on_taking_what_waits_is_not_closed() {
    let mut session = open(Duration::from_secs(6_000));
    let mut at = |tick, moved_at| {
        let signs = Activity {
            heard_at: 0,
            spoke_at: tick,
            moved_at,
        };
        session.due(tick, signs)
    };
    assert_eq!(at(44 * SECOND, Some(44 * SECOND)), Some(Due::Ping));
    assert_eq!(at(60 * SECOND, Some(44 * SECOND)), None);
    assert_eq!(
        at(90 * SECOND, Some(44 * SECOND)),
        Some(Due::Close(CloseCode::Silent))
    );
    assert_eq!(at(60 * SECOND, None), Some(Due::Close(CloseCode::Silent)));
}

#[test]
fn a_sign_in_is_looked_at_again_once_in_its_time() {
    let mut session = open(Duration::from_secs(6_000));
    assert_eq!(at(&mut session, 299), None);
    assert_eq!(at(&mut session, 300), Some(Due::Revalidate));
    assert_eq!(at(&mut session, 301), None);
    session.revalidated(301 * SECOND, 300 * SECOND);
    assert_eq!(at(&mut session, 601), Some(Due::Revalidate));
}

#[expect(clippy::unnecessary_wraps, reason = "as the decoder gives it")]
fn subscribe() -> Result<ClientFrame<'static>, Refusal> {
    Ok(ClientFrame::Subscribe {
        room_id: Some(IdRef::new("r").unwrap()),
        after: None,
        presence: false,
        rooms: Vec::new(),
    })
}

/// How many of these frames pass at once before one is refused, and what it has to wait for then.
fn pass(
    session: &mut ConnectionState,
    now: Ticks,
    frame: impl Fn() -> Result<ClientFrame<'static>, Refusal>,
) -> (u32, u64) {
    for count in 0..5_000 {
        if let FrameAction::Refuse(refusal, _) = session.on_frame(frame(), now)
            && refusal.code == ErrorCode::RateLimited
        {
            return (count, refusal.retry_after_ms.unwrap());
        }
    }
    panic!("none is refused");
}

#[test]
fn rooms_are_subscribed_to_in_a_burst_of_1000_and_then_50_a_second() {
    let mut session = open(Duration::from_secs(600));
    assert_eq!(pass(&mut session, 0, subscribe), (1_000, 50));
    assert_eq!(pass(&mut session, SECOND, subscribe).0, 50);
    let unknown = || Err(Refusal::new(ErrorCode::UnknownType, "x"));
    assert_eq!(pass(&mut session, SECOND, unknown), (200, 50));
    assert_eq!(pass(&mut session, 3 * SECOND, unknown).0, 100);
    assert!(matches!(
        session.on_frame(ping(), 3 * SECOND),
        FrameAction::Act(ClientFrame::Ping {})
    ));
    session.forget(20 * SECOND);
    assert!(
        session.conduct.is_some(),
        "the rooms' bucket is not full yet"
    );
    session.forget(30 * SECOND);
    assert!(session.conduct.is_none());
}
