//! One's own account, and others'.

use roomcast_protocol::{Code, UserId};

use super::world::{PASSWORD, World, host_caller};
use crate::AccountPatch;

#[tokio::test]
async fn a_user_of_the_host_product_is_their_id_and_the_name_of_their_token() {
    let world = World::new();
    let caller = host_caller(Some("Hana"));
    let me = world.accounts.me(&caller).await.unwrap();
    assert_eq!(me.user_id, caller.user_id);
    assert_eq!(me.name.as_deref(), Some("Hana"));
    assert_eq!(me.display_name, None);
}

#[tokio::test]
async fn an_unknown_user_is_not_found() {
    let world = World::new();
    let refusal = world
        .accounts
        .user(&UserId::new("nobody").unwrap())
        .await
        .unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
}

#[tokio::test]
async fn a_changed_display_name_is_seen_by_the_next_call() {
    let world = World::new();
    let tokens = world.enter("ana").await;
    let caller = world.caller(&tokens).await;
    let patch = AccountPatch {
        display_name: Some("Ana B.".to_owned()),
        password: None,
    };
    let changed = world.accounts.change_me(&caller, patch).await.unwrap();
    assert_eq!(changed.display_name.as_deref(), Some("Ana B."));
    assert_eq!(changed.name.as_deref(), Some("ana"));
    assert_eq!(world.accounts.me(&caller).await.unwrap(), changed);
    assert_eq!(world.accounts.user(&caller.user_id).await.unwrap(), changed);
    world.sign_in("ana").await;

    let nothing = AccountPatch::default();
    assert_eq!(
        world.accounts.change_me(&caller, nothing).await.unwrap(),
        changed
    );
}

#[tokio::test]
async fn a_new_password_replaces_the_old_one_and_ends_every_session() {
    let world = World::new();
    let tokens = world.enter("ana").await;
    let stolen = world.sign_in("ana").await;
    let caller = world.caller(&tokens).await;
    let patch = AccountPatch {
        password: Some("battery staple".to_owned()),
        display_name: None,
    };
    world.accounts.change_me(&caller, patch).await.unwrap();

    assert_eq!(
        world.refusal(&stolen.access_token).await,
        "its session has ended"
    );
    assert_eq!(
        world.refusal(&tokens.access_token).await,
        "its session has ended"
    );
    let refusal = world.accounts.sign_in("ana", PASSWORD).await.unwrap_err();
    assert_eq!(refusal.code, Code::Unauthorized);
    world
        .accounts
        .sign_in("ana", "battery staple")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_change_that_breaks_a_rule_changes_nothing() {
    let world = World::new();
    let tokens = world.enter("ana").await;
    let caller = world.caller(&tokens).await;
    let patch = AccountPatch {
        display_name: Some("Ana B.".to_owned()),
        password: Some("short".to_owned()),
    };
    let refusal = world.accounts.change_me(&caller, patch).await.unwrap_err();
    assert_eq!(refusal.code, Code::BadFrame);
    assert!(refusal.message.starts_with("password"));
    let me = world.accounts.me(&caller).await.unwrap();
    assert_eq!(me.display_name.as_deref(), Some("ana"));
    world.sign_in("ana").await;
}

#[tokio::test]
async fn an_ended_account_takes_its_sessions_along_and_frees_its_name() {
    let world = World::new();
    let here = world.enter("ana").await;
    let elsewhere = world.sign_in("ana").await;
    let caller = world.caller(&here).await;
    let mut signals = world.embedded.signals().listen();
    world.accounts.delete_me(&caller).await.unwrap();

    for tokens in [&here, &elsewhere] {
        assert!(signals.next().await.is_some());
        assert_eq!(
            world.refusal(&tokens.access_token).await,
            "its session has ended"
        );
        let refusal = world
            .accounts
            .refresh(&tokens.refresh_token)
            .await
            .unwrap_err();
        assert_eq!(refusal.code, Code::Unauthorized);
    }
    let refusal = world.accounts.sign_in("ana", PASSWORD).await.unwrap_err();
    assert_eq!(refusal.code, Code::Unauthorized);
    let refusal = world.accounts.user(&caller.user_id).await.unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
    assert_ne!(world.register("ana").await.user_id, caller.user_id);
}

#[tokio::test]
async fn a_user_of_the_host_product_has_no_account_to_change_or_end() {
    let world = World::new();
    let caller = host_caller(None);
    let patch = AccountPatch {
        display_name: Some("Hana".to_owned()),
        password: None,
    };
    let refusal = world.accounts.change_me(&caller, patch).await.unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
    let refusal = world.accounts.delete_me(&caller).await.unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
}
