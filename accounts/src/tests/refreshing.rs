//! Refreshing.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roomcast_ports::access::Authenticator as _;
use roomcast_ports::pubsub::Revocation;
use roomcast_protocol::ErrorCode;

use super::fixture::{Fixture, wait};

const GRACE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn is_refused(world: &Fixture, refresh_token: &str) -> bool {
    match world.accounts.refresh(refresh_token).await {
        Ok(_) => false,
        Err(refusal) => {
            assert_eq!(refusal.code, ErrorCode::Unauthorized, "{refusal}");
            true
        }
    }
}

#[tokio::test]
async fn each_refresh_gives_new_tokens_of_the_same_session() {
    let world = Fixture::new();
    let first = world.enter("ana").await;
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    let third = world.accounts.refresh(&second.refresh_token).await.unwrap();
    assert_ne!(second.refresh_token, first.refresh_token);
    assert_ne!(third.refresh_token, second.refresh_token);
    assert_ne!(second.access_token, first.access_token);
    assert_eq!(
        world.caller(&first).await.session_id,
        world.caller(&third).await.session_id
    );
}

#[tokio::test]
async fn the_token_just_used_gives_the_very_same_successor_for_30_seconds() {
    let world = Fixture::new();
    let first = world.enter("ana").await;
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    wait(GRACE / 2);
    let again = world.accounts.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    world.accounts.refresh(&second.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_used_token_that_comes_too_late_ends_the_session_for_both() {
    let world = Fixture::new();
    let first = world.enter("ana").await;
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    let caller = world.caller(&second).await;
    let mut signals = world.embedded.signals().subscribe_revocations();
    wait(GRACE + Duration::from_secs(1));
    assert!(is_refused(&world, &first.refresh_token).await);
    assert!(is_refused(&world, &second.refresh_token).await);
    assert_eq!(
        world.refusal(&second.access_token).await,
        "its session has ended"
    );
    assert_eq!(
        signals.recv().await,
        Some(Revocation::SessionEnded {
            session_id: caller.session_id.unwrap(),
            user_id: caller.user_id,
        })
    );
}

#[tokio::test]
async fn each_former_token_gives_its_own_successor_within_the_grace() {
    let world = Fixture::new();
    let mut tokens = vec![world.enter("ana").await.refresh_token];
    for _ in 0..4 {
        let next = world.accounts.refresh(&tokens[tokens.len() - 1]).await;
        tokens.push(next.unwrap().refresh_token);
    }
    wait(GRACE - Duration::from_secs(2));
    for (former, successor) in tokens.iter().zip(&tokens[1..]) {
        let again = world.accounts.refresh(former).await.unwrap();
        assert_eq!(&again.refresh_token, successor);
        world.caller(&again).await;
    }
    world.accounts.refresh(&tokens[4]).await.unwrap();
}

#[tokio::test]
async fn former_token_of_any_age_ends_the_session_after_the_grace() {
    let world = Fixture::new();
    let first = world.enter("ana").await.refresh_token;
    let mut last = first.clone();
    for round in 0..150 {
        last = world.accounts.refresh(&last).await.unwrap().refresh_token;
        wait(Duration::from_millis(400 * (round % 3)));
    }
    assert!(is_refused(&world, &first).await);
    assert!(is_refused(&world, &last).await);
}

#[tokio::test]
async fn forged_token_of_a_known_session_is_refused_and_the_session_goes_on() {
    let world = Fixture::new();
    let first = world.enter("ana").await;
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    let (session_id, secret) = second.refresh_token.rsplit_once('.').unwrap();
    let secret = URL_SAFE_NO_PAD.decode(secret).unwrap();
    for at in 0..secret.len() {
        let mut forged = secret.clone();
        forged[at] ^= 1;
        let forged = format!("{session_id}.{}", URL_SAFE_NO_PAD.encode(forged));
        assert!(is_refused(&world, &forged).await, "byte {at}");
    }
    world.caller(&second).await;
    world.accounts.refresh(&second.refresh_token).await.unwrap();
}

#[tokio::test]
async fn of_many_refreshes_at_once_all_get_the_same_successor() {
    let world = Fixture::new();
    let first = world.enter("ana").await;
    let refresh = || world.accounts.refresh(&first.refresh_token);
    let (one, two, three, four) = tokio::join!(refresh(), refresh(), refresh(), refresh());
    let one = one.unwrap().refresh_token;
    for other in [two, three, four] {
        assert_eq!(other.unwrap().refresh_token, one);
    }
    world.accounts.refresh(&one).await.unwrap();
}

#[tokio::test]
async fn a_session_holds_30_days_from_its_last_refresh() {
    let world = Fixture::new();
    let mut tokens = world.enter("ana").await;
    for _ in 0..3 {
        wait(29 * DAY);
        tokens = world.accounts.refresh(&tokens.refresh_token).await.unwrap();
    }
    let caller = world.caller(&tokens).await;
    wait(30 * DAY + Duration::from_secs(1));
    assert!(is_refused(&world, &tokens.refresh_token).await);
    assert!(!world.ring.is_session_active(&caller).await.unwrap());
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_refused_like_a_used_one() {
    let world = Fixture::new();
    let tokens = world.enter("ana").await;
    let (_, secret) = tokens.refresh_token.rsplit_once('.').unwrap();
    for bad in [
        "",
        ".",
        "x",
        &tokens.access_token,
        &format!("nobody.{secret}"),
    ] {
        assert!(is_refused(&world, bad).await, "{bad}");
    }
    world.accounts.refresh(&tokens.refresh_token).await.unwrap();
}

#[tokio::test]
async fn store_keeps_no_token_and_no_key_of_one() {
    let world = Fixture::new();
    let first = world.enter("ana").await;
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    let caller = world.caller(&second).await;
    let sessions = world.embedded.sessions();
    let session = sessions.session(&caller.session_id.unwrap()).await;
    let salt = session.unwrap().unwrap().token_salt;
    for token in [&first.refresh_token, &second.refresh_token] {
        let (_, secret) = token.rsplit_once('.').unwrap();
        let secret = URL_SAFE_NO_PAD.decode(secret).unwrap();
        assert!(!secret.windows(8).any(|part| salt.starts_with(part)));
        // The file is what a thief of the disk has.
        for name in ["log.db", "log.db-wal"] {
            let file = std::fs::read(world.dir.path().join(name)).unwrap();
            assert!(!file.windows(secret.len()).any(|part| part == secret));
        }
    }
}
