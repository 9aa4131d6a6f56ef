//! What is answered while the store is away.

use std::sync::Arc;

use roomcast_ports::access::{Authenticator as _, TokenError};
use roomcast_protocol::{ErrorCode, SessionId};

use super::fixture::{Fixture, PASSWORD, client, host_caller, request};
use super::stores::Away;
use crate::{Accounts, KeyRing, TokenRequest};

#[tokio::test]
async fn verbs_answer_that_we_failed_and_not_that_the_caller_did() {
    let world = Fixture::new();
    let tokens = world.enter("ana").await;
    let caller = world.caller(&tokens).await;
    let signals = world.embedded.signals();
    let accounts = Accounts::new(
        Arc::new(Away),
        Arc::new(Away),
        signals,
        Arc::default(),
        Arc::clone(&world.issuer),
    );
    let codes = [
        accounts
            .register("bob", PASSWORD, None, &client())
            .await
            .unwrap_err()
            .code,
        accounts
            .sign_in("ana", PASSWORD, &client())
            .await
            .unwrap_err()
            .code,
        accounts
            .refresh(&tokens.refresh_token)
            .await
            .unwrap_err()
            .code,
        accounts.sign_out(&caller).await.unwrap_err().code,
        accounts
            .get_profile(&host_caller(None))
            .await
            .unwrap_err()
            .code,
        accounts.delete_account(&caller).await.unwrap_err().code,
        accounts.search_users("a", None, 1).await.unwrap_err().code,
    ];
    assert_eq!(codes, [ErrorCode::Internal; 7]);
}

#[tokio::test]
async fn a_token_of_a_session_cannot_be_judged_and_one_without_can() {
    let world = Fixture::new();
    let ring = KeyRing::open(&world.issuer, &[], Arc::new(Away)).unwrap();
    ring.authenticate(&world.issuer.mint(&request("u")))
        .await
        .unwrap();
    let token = world.issuer.mint(&TokenRequest {
        session_id: Some(SessionId::generate()),
        ..request("u")
    });
    let judged = ring.authenticate(&token).await;
    assert!(
        matches!(judged, Err(TokenError::Unavailable(_))),
        "{judged:?}"
    );
}
