//! Tokens signed with the generated key.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use roomcast_ports::access::Authenticator as _;
use roomcast_protocol::{SessionId, UserId};

use super::external_users::{HostKey, claims, with_secret};
use super::fixture::{Fixture, clock, request, wait};
use crate::{Issuer, TokenRequest};

#[tokio::test]
async fn token_has_the_requested_claims() {
    let world = Fixture::new();
    let token = world.issuer.mint(&TokenRequest {
        name: Some("Hana".to_owned()),
        admin: true,
        ..request("host:7")
    });
    let caller = world.ring.authenticate(&token).await.unwrap();
    assert_eq!(caller.user_id.as_str(), "host:7");
    assert_eq!(caller.name.as_deref(), Some("Hana"));
    assert_eq!(caller.session_id, None);
    assert!(caller.admin);
    let left = caller.expires_at.as_millis().abs_diff(clock().as_millis());
    assert!((58_000..=60_000).contains(&left), "{left} ms");
}

#[tokio::test]
async fn two_tokens_of_one_moment_differ() {
    let world = Fixture::new();
    assert_ne!(
        world.issuer.mint(&request("u")),
        world.issuer.mint(&request("u"))
    );
}

#[tokio::test]
async fn a_token_ends_5_seconds_after_its_time() {
    let world = Fixture::new();
    let token = world.issuer.mint(&request("u"));
    wait(Duration::from_secs(61));
    world.ring.authenticate(&token).await.unwrap();
    wait(Duration::from_secs(5));
    assert_eq!(world.refusal(&token).await, "it has expired");
}

#[tokio::test]
async fn token_of_an_unknown_session_is_refused() {
    let world = Fixture::new();
    let token = world.issuer.mint(&TokenRequest {
        session_id: Some(SessionId::generate()),
        ..request("u")
    });
    assert_eq!(world.refusal(&token).await, "its session has ended");
}

#[tokio::test]
async fn session_authenticates_only_its_own_user() {
    let world = Fixture::new();
    let tokens = world.enter("ana").await;
    let caller = world.caller(&tokens).await;
    let token = world.issuer.mint(&TokenRequest {
        user_id: UserId::new("bob").unwrap(),
        session_id: caller.session_id,
        ..request("bob")
    });
    assert_eq!(world.refusal(&token).await, "its session has ended");
}

#[tokio::test]
async fn a_changed_token_is_refused_wherever_it_was_changed() {
    let world = Fixture::new();
    let token = world.issuer.mint(&request("u"));
    world.ring.authenticate(&token).await.unwrap();
    for place in (0..token.len()).step_by(7) {
        let mut bytes = token.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(
            world.ring.authenticate(&changed).await.is_err(),
            "at {place}"
        );
    }
}

#[tokio::test]
async fn a_token_of_another_key_that_names_ours_is_refused() {
    let world = Fixture::new();
    let token = world.issuer.mint(&request("u"));
    let key_id = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
    let thief = HostKey::ed25519();
    let refused = "it is badly signed, or of an unknown key";
    assert_eq!(world.refusal(&thief.token(Some(&key_id))).await, refused);
    assert_eq!(world.refusal(&thief.token(None)).await, refused);
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let world = Fixture::new();
    // {"alg":"none"}.{"sub":"u","exp":4102444800}.
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1IiwiZXhwIjo0MTAyNDQ0ODAwfQ.";
    for bad in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "\u{0}", unsigned] {
        assert!(
            world.refusal(bad).await.starts_with("it is no token"),
            "{bad}"
        );
    }
    // With no secret configured, no secret is taken: the empty one neither.
    let token = with_secret(b"", &Header::new(Algorithm::HS256), &claims("u"));
    world.refusal(&token).await;
}

#[tokio::test]
async fn tokens_hold_over_a_restart() {
    let world = Fixture::new();
    let token = world.issuer.mint(&request("u"));
    let reopened = Issuer::open(world.dir.path()).unwrap();
    let ring = crate::KeyRing::open(&reopened, &[], world.embedded.sessions()).unwrap();
    ring.authenticate(&token).await.unwrap();
}
