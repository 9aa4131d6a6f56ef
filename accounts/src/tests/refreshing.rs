//! Refreshing.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roomcast_ports::access::Authenticator as _;
use roomcast_ports::signals::Signal;
use roomcast_protocol::Code;

use super::world::{World, wait};

const GRACE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn is_refused(world: &World, refresh_token: &str) -> bool {
    match world.accounts.refresh(refresh_token).await {
        Ok(_) => false,
        Err(refusal) => {
            assert_eq!(refusal.code, Code::Unauthorized, "{refusal}");
            true
        }
    }
}

#[tokio::test]
async fn each_refresh_gives_new_tokens_of_the_same_session() {
    let world = World::new();
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
    let world = World::new();
    let first = world.enter("ana").await;
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    wait(GRACE / 2);
    let again = world.accounts.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    world.accounts.refresh(&second.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_used_token_that_comes_too_late_ends_the_session_for_both() {
    let world = World::new();
    let first = world.enter("ana").await;
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    let caller = world.caller(&second).await;
    let mut signals = world.embedded.signals().listen();
    wait(GRACE + Duration::from_secs(1));
    assert!(is_refused(&world, &first.refresh_token).await);
    assert!(is_refused(&world, &second.refresh_token).await);
    assert_eq!(
        world.refusal(&second.access_token).await,
        "its session has ended"
    );
    assert_eq!(
        signals.next().await,
        Some(Signal::SessionEnded {
            session_id: caller.session_id.unwrap(),
            user_id: caller.user_id,
        })
    );
}

#[tokio::test]
async fn a_token_from_before_the_last_one_ends_the_session() {
    let world = World::new();
    let first = world.enter("ana").await;
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    let third = world.accounts.refresh(&second.refresh_token).await.unwrap();
    assert!(is_refused(&world, &first.refresh_token).await);
    assert!(is_refused(&world, &third.refresh_token).await);
}

#[tokio::test]
async fn of_many_refreshes_at_once_all_get_the_same_successor() {
    let world = World::new();
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
    let world = World::new();
    let mut tokens = world.enter("ana").await;
    for _ in 0..3 {
        wait(29 * DAY);
        tokens = world.accounts.refresh(&tokens.refresh_token).await.unwrap();
    }
    let caller = world.caller(&tokens).await;
    wait(30 * DAY + Duration::from_secs(1));
    assert!(is_refused(&world, &tokens.refresh_token).await);
    assert!(!world.ring.session_holds(&caller).await.unwrap());
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_refused_like_a_used_one() {
    let world = World::new();
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
async fn the_store_keeps_neither_the_token_nor_its_successor() {
    let world = World::new();
    let first = world.enter("ana").await;
    let second = world.accounts.refresh(&first.refresh_token).await.unwrap();
    let caller = world.caller(&second).await;
    let session = world
        .embedded
        .sessions()
        .session(&caller.session_id.unwrap())
        .await;
    let session = session.unwrap().unwrap();
    let kept = [
        session.token_hash,
        session.previous_hash.unwrap(),
        session.successor_salt,
    ];
    for token in [&first.refresh_token, &second.refresh_token] {
        let (_, secret) = token.rsplit_once('.').unwrap();
        let secret = URL_SAFE_NO_PAD.decode(secret).unwrap();
        assert!(kept.iter().all(|kept| kept[..] != secret[..]));
    }
}
