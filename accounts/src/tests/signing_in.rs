//! Signing in and out.

use std::sync::Arc;
use std::time::Duration;

use roomcast_ports::access::Authenticator as _;
use roomcast_ports::accounts::Session;
use roomcast_ports::pubsub::Revocation;
use roomcast_protocol::limits::SESSIONS_PER_USER_MAX;
use roomcast_protocol::{ErrorCode, SessionId};

use super::fixture::{Fixture, PASSWORD, client, host_caller, wait};
use super::stores::Vanishing;
use crate::Accounts;

#[tokio::test]
async fn sign_in_gives_tokens_of_the_account() {
    let world = Fixture::new();
    let ana = world
        .accounts
        .register("ana", PASSWORD, Some("Ana B."), &client())
        .await
        .unwrap();
    let tokens = world.sign_in("ANA").await;
    assert_eq!(tokens.expires_in, 900);
    let caller = world.caller(&tokens).await;
    assert_eq!(caller.user_id, ana.user_id);
    assert_eq!(caller.name.as_deref(), Some("Ana B."));
    assert!(caller.session_id.is_some());
    assert!(!caller.admin);
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_get_the_same_answer() {
    let world = Fixture::new();
    world.register("ana").await;
    let wrong = world
        .accounts
        .sign_in("ana", "incorrect horse", &client())
        .await
        .unwrap_err();
    assert_eq!(wrong.code, ErrorCode::Unauthorized);
    for unknown in ["bob", "", "no name at all"] {
        let refusal = world
            .accounts
            .sign_in(unknown, PASSWORD, &client())
            .await
            .unwrap_err();
        assert_eq!(refusal, wrong, "{unknown}");
    }
}

#[tokio::test]
async fn sign_out_ends_the_session_immediately_and_publishes_a_revocation() {
    let world = Fixture::new();
    let here = world.enter("ana").await;
    let elsewhere = world.sign_in("ana").await;
    let caller = world.caller(&here).await;
    let mut signals = world.embedded.signals().subscribe_revocations();

    world.accounts.sign_out(&caller).await.unwrap();
    assert_eq!(
        signals.recv().await,
        Some(Revocation::SessionEnded {
            session_id: caller.session_id.clone().unwrap(),
            user_id: caller.user_id.clone(),
        })
    );
    assert_eq!(
        world.refusal(&here.access_token).await,
        "its session has ended"
    );
    assert!(!world.ring.is_session_active(&caller).await.unwrap());
    let refusal = world
        .accounts
        .refresh(&here.refresh_token)
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Unauthorized);
    world.caller(&elsewhere).await;

    world.accounts.sign_out(&caller).await.unwrap();
}

#[tokio::test]
async fn sign_in_past_100_sessions_ends_the_oldest() {
    let world = Fixture::new();
    let first = world.enter("ana").await;
    let oldest = world.caller(&first).await;
    let sessions = world.embedded.sessions();
    let session = sessions.session(&oldest.session_id.unwrap()).await;
    let session = session.unwrap().unwrap();
    for number in 1..SESSIONS_PER_USER_MAX {
        let next = Session {
            session_id: SessionId::generate(),
            created_at: session
                .created_at
                .plus(Duration::from_millis(number as u64)),
            ..session.clone()
        };
        sessions.create(&next).await.unwrap();
    }
    world.caller(&first).await;
    wait(Duration::from_secs(1));
    let last = world.sign_in("ana").await;
    let caller = world.caller(&last).await;
    assert_eq!(
        world.refusal(&first.access_token).await,
        "its session has ended"
    );
    let left = world.accounts.sessions(&caller).await.unwrap().sessions;
    assert_eq!(left.len(), SESSIONS_PER_USER_MAX);
}

#[tokio::test]
async fn a_token_from_no_session_has_none_to_sign_out_of() {
    let world = Fixture::new();
    let refusal = world
        .accounts
        .sign_out(&host_caller(None))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn account_deleted_during_a_sign_in_leaves_no_session_behind() {
    let world = Fixture::new();
    world.register("ana").await;
    let signals = world.embedded.signals();
    let mut heard = signals.subscribe_revocations();
    let vanishing = Arc::new(Vanishing(world.embedded.accounts()));
    let sessions = world.embedded.sessions();
    let accounts = Accounts::new(
        vanishing,
        sessions.clone(),
        signals,
        Arc::default(),
        world.issuer.clone(),
    );

    let refusal = accounts
        .sign_in("ana", PASSWORD, &client())
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Unauthorized);
    let Some(Revocation::SessionEnded { session_id, .. }) = heard.recv().await else {
        panic!("no session has ended");
    };
    assert!(sessions.session(&session_id).await.unwrap().unwrap().ended);
}
