//! One's own account, and others'.

use std::cell::Cell;

use roomcast_protocol::{ErrorCode, UserId};

use super::fixture::{Fixture, PASSWORD, client, host_caller};
use crate::{AccountPatch, PasswordChange};

const NEW_PASSWORD: &str = "battery staple";

fn named(display_name: &str) -> AccountPatch {
    AccountPatch {
        display_name: Some(display_name.to_owned()),
        password: None,
    }
}

fn with_password(current: &str, new: &str) -> AccountPatch {
    AccountPatch {
        display_name: None,
        password: Some(PasswordChange {
            current: current.to_owned(),
            new: new.to_owned(),
        }),
    }
}

#[tokio::test]
async fn a_user_of_the_host_product_is_their_id_and_the_name_of_their_token() {
    let world = Fixture::new();
    let caller = host_caller(Some("Hana"));
    let me = world.accounts.get_profile(&caller).await.unwrap();
    assert_eq!(me.user_id, caller.user_id);
    assert_eq!(me.name.as_deref(), Some("Hana"));
    assert_eq!(me.display_name, None);
}

#[tokio::test]
async fn an_unknown_user_is_not_found() {
    let world = Fixture::new();
    let refusal = world
        .accounts
        .user(&UserId::new("nobody").unwrap())
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn a_changed_display_name_is_seen_by_the_next_call() {
    let world = Fixture::new();
    let tokens = world.enter("ana").await;
    let caller = world.caller(&tokens).await;
    let patch = named("Ana B.");
    let changed = world
        .accounts
        .update_profile(&caller, patch, &client())
        .await
        .unwrap();
    assert_eq!(changed.display_name.as_deref(), Some("Ana B."));
    assert_eq!(changed.name.as_deref(), Some("ana"));
    assert_eq!(world.accounts.get_profile(&caller).await.unwrap(), changed);
    assert_eq!(world.accounts.user(&caller.user_id).await.unwrap(), changed);
    world.sign_in("ana").await;

    let (other, cleared) = (named("\u{2067}Am\u{e9}\n"), named("\u{2069}"));
    let other = world
        .accounts
        .update_profile(&caller, other, &client())
        .await;
    assert_eq!(other.unwrap().display_name.as_deref(), Some("Am\u{e9} "));
    let cleared = world
        .accounts
        .update_profile(&caller, cleared, &client())
        .await;
    assert_eq!(cleared.unwrap().display_name.as_deref(), Some("ana"));
    let again = named("Ana B.");
    let again = world
        .accounts
        .update_profile(&caller, again, &client())
        .await;
    assert_eq!(again.unwrap(), changed);

    let nothing = AccountPatch::default();
    assert_eq!(
        world
            .accounts
            .update_profile(&caller, nothing, &client())
            .await
            .unwrap(),
        changed
    );
}

#[tokio::test]
async fn password_change_ends_all_other_sessions_and_keeps_the_callers() {
    let world = Fixture::new();
    let tokens = world.enter("ana").await;
    let stolen = world.sign_in("ana").await;
    let caller = world.caller(&tokens).await;
    let patch = with_password(PASSWORD, NEW_PASSWORD);
    world
        .accounts
        .update_profile(&caller, patch, &client())
        .await
        .unwrap();

    assert_eq!(
        world.refusal(&stolen.access_token).await,
        "its session has ended"
    );
    assert_eq!(world.caller(&tokens).await, caller);
    world.accounts.refresh(&tokens.refresh_token).await.unwrap();
    let refusal = world
        .accounts
        .sign_in("ana", PASSWORD, &client())
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Unauthorized);
    world
        .accounts
        .sign_in("ana", NEW_PASSWORD, &client())
        .await
        .unwrap();
}

#[tokio::test]
async fn password_change_is_refused_when_the_current_password_is_wrong() {
    let world = Fixture::new();
    let tokens = world.enter("ana").await;
    let other = world.sign_in("ana").await;
    let caller = world.caller(&tokens).await;
    let patch = AccountPatch {
        display_name: Some("Ana B.".to_owned()),
        ..with_password("incorrect horse", NEW_PASSWORD)
    };
    let refusal = world
        .accounts
        .update_profile(&caller, patch, &client())
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Unauthorized);
    let me = world.accounts.get_profile(&caller).await.unwrap();
    assert_eq!(me.display_name.as_deref(), Some("ana"));
    world.caller(&other).await;
    world.sign_in("ana").await;
}

#[tokio::test]
async fn password_change_survives_concurrent_changes_of_the_display_name() {
    let world = Fixture::new();
    for round in 0..8 {
        let name = format!("ana-{round}");
        let tokens = world.enter(&name).await;
        let caller = world.caller(&tokens).await;
        let from = client();
        let change = |patch| world.accounts.update_profile(&caller, patch, &from);
        let stop = Cell::new(false);
        let rename = async |display_name| {
            while !stop.get() {
                change(named(display_name)).await.unwrap();
            }
        };
        let change_password = async {
            let changed = change(with_password(PASSWORD, NEW_PASSWORD)).await;
            stop.set(true);
            changed.unwrap();
        };
        tokio::join!(
            rename("one"),
            rename("two"),
            rename("three"),
            rename("four"),
            change_password,
        );
        let refusal = world
            .accounts
            .sign_in(&name, PASSWORD, &client())
            .await
            .unwrap_err();
        assert_eq!(refusal.code, ErrorCode::Unauthorized, "{name}");
        world
            .accounts
            .sign_in(&name, NEW_PASSWORD, &client())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_change_that_breaks_a_rule_changes_nothing() {
    let world = Fixture::new();
    let tokens = world.enter("ana").await;
    let caller = world.caller(&tokens).await;
    let patch = AccountPatch {
        display_name: Some("Ana B.".to_owned()),
        ..with_password(PASSWORD, "short")
    };
    let refusal = world
        .accounts
        .update_profile(&caller, patch, &client())
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::BadFrame);
    assert!(refusal.message.starts_with("password"));
    let me = world.accounts.get_profile(&caller).await.unwrap();
    assert_eq!(me.display_name.as_deref(), Some("ana"));
    world.sign_in("ana").await;
}

#[tokio::test]
async fn an_ended_account_takes_its_sessions_along_and_frees_its_name() {
    let world = Fixture::new();
    let here = world.enter("ana").await;
    let elsewhere = world.sign_in("ana").await;
    let caller = world.caller(&here).await;
    let mut signals = world.embedded.signals().subscribe_revocations();
    world.accounts.delete_account(&caller).await.unwrap();

    for tokens in [&here, &elsewhere] {
        assert!(signals.recv().await.is_some());
        assert_eq!(
            world.refusal(&tokens.access_token).await,
            "its session has ended"
        );
        let refusal = world
            .accounts
            .refresh(&tokens.refresh_token)
            .await
            .unwrap_err();
        assert_eq!(refusal.code, ErrorCode::Unauthorized);
    }
    let refusal = world
        .accounts
        .sign_in("ana", PASSWORD, &client())
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Unauthorized);
    let refusal = world.accounts.user(&caller.user_id).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NotFound);
    assert_ne!(world.register("ana").await.user_id, caller.user_id);
}

#[tokio::test]
async fn a_user_of_the_host_product_has_no_account_to_change_or_end() {
    let world = Fixture::new();
    let caller = host_caller(None);
    for patch in [named("Hana"), with_password(PASSWORD, NEW_PASSWORD)] {
        let refusal = world
            .accounts
            .update_profile(&caller, patch, &client())
            .await
            .unwrap_err();
        assert_eq!(refusal.code, ErrorCode::NotFound);
    }
    let refusal = world.accounts.delete_account(&caller).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NotFound);
}
