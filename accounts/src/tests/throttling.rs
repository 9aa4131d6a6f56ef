//! Failed sign-ins and registrations past their limits.

use std::time::Duration;

use roomcast_protocol::{ErrorCode, Refusal};

use super::fixture::{Fixture, PASSWORD, client, client_at, wait};
use crate::{AccountPatch, Client, PasswordChange};

const WRONG: &str = "incorrect horse";

async fn sign_in(world: &Fixture, name: &str, password: &str, client: &Client) -> ErrorCode {
    match world.accounts.sign_in(name, password, client).await {
        Ok(_) => panic!("{name} is signed in"),
        Err(refusal) => refusal.code,
    }
}

fn exempt() -> Client {
    Client {
        exempt: true,
        ..client()
    }
}

#[tokio::test]
async fn eleventh_sign_in_of_a_name_from_an_address_is_refused_right_or_wrong() {
    let world = Fixture::new();
    world.register("ana").await;
    world.register("bob").await;
    for _ in 0..10 {
        let code = sign_in(&world, "Ana", WRONG, &client()).await;
        assert_eq!(code, ErrorCode::Unauthorized);
    }
    for password in [PASSWORD, WRONG] {
        let refused = world.accounts.sign_in("ana", password, &client()).await;
        let Refusal {
            code,
            retry_after_ms,
            ..
        } = refused.unwrap_err();
        assert_eq!(code, ErrorCode::RateLimited);
        assert!((1..=60_000).contains(&retry_after_ms.unwrap()));
    }
    world.sign_in("bob").await;
    let elsewhere = world.accounts.sign_in("ana", PASSWORD, &client_at(2)).await;
    elsewhere.unwrap();
    let host = world.accounts.sign_in("ana", PASSWORD, &exempt()).await;
    host.unwrap();
    wait(Duration::from_secs(60));
    world.sign_in("ana").await;
}

#[tokio::test]
async fn guesses_of_unknown_names_count_for_their_address() {
    let world = Fixture::new();
    world.register("ana").await;
    for number in 0..60 {
        let name = format!("nobody {number}");
        let code = sign_in(&world, &name, WRONG, &client()).await;
        assert_eq!(code, ErrorCode::Unauthorized);
    }
    let code = sign_in(&world, "ana", PASSWORD, &client()).await;
    assert_eq!(code, ErrorCode::RateLimited);
}

#[tokio::test]
async fn wrong_current_passwords_count_as_failed_sign_ins() {
    let world = Fixture::new();
    let tokens = world.enter("ana").await;
    let caller = world.caller(&tokens).await;
    let change = async |current: &str| {
        let patch = AccountPatch {
            display_name: None,
            password: Some(PasswordChange {
                current: current.to_owned(),
                new: "battery staple".to_owned(),
            }),
        };
        world
            .accounts
            .update_profile(&caller, patch, &client())
            .await
    };
    for _ in 0..10 {
        let code = change(WRONG).await.unwrap_err().code;
        assert_eq!(code, ErrorCode::Unauthorized);
    }
    assert_eq!(
        change(PASSWORD).await.unwrap_err().code,
        ErrorCode::RateLimited
    );
    let code = sign_in(&world, "ana", PASSWORD, &client()).await;
    assert_eq!(code, ErrorCode::RateLimited);
    world.caller(&tokens).await;
    wait(Duration::from_secs(60));
    change(PASSWORD).await.unwrap();
}

#[tokio::test]
async fn crowd_of_guesses_is_judged_ten_times() {
    let world = Fixture::new();
    world.register("ana").await;
    let mut judged = 0;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let (accounts, from) = (world.accounts.clone(), client());
        all.spawn(async move { accounts.sign_in("ana", WRONG, &from).await });
    }
    while let Some(result) = all.join_next().await {
        let code = result.unwrap().unwrap_err().code;
        judged += usize::from(code == ErrorCode::Unauthorized);
    }
    assert_eq!(judged, 10);
}

#[tokio::test]
async fn address_registers_20_accounts_a_minute_and_refused_ones_do_not_count() {
    let world = Fixture::new();
    let register = async |name: &str, client: &Client| {
        let made = world.accounts.register(name, PASSWORD, None, client).await;
        made.map_err(|refusal| refusal.code)
    };
    for number in 0..20 {
        register(&format!("ana-{number}"), &client()).await.unwrap();
        let taken = register(&format!("ANA-{number}"), &client()).await;
        let expected = if number < 19 {
            ErrorCode::Conflict
        } else {
            ErrorCode::RateLimited
        };
        assert_eq!(taken, Err(expected));
        assert_eq!(register("x", &client()).await, Err(ErrorCode::BadFrame));
    }
    assert_eq!(
        register("bob", &client()).await,
        Err(ErrorCode::RateLimited)
    );
    register("bob", &client_at(2)).await.unwrap();
    register("cem", &exempt()).await.unwrap();
    wait(Duration::from_secs(60));
    register("dan", &client()).await.unwrap();
}
