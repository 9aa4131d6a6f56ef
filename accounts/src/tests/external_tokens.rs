//! Tokens signed with a host product's keys.

use jsonwebtoken::{Algorithm, Header};
use roomcast_ports::access::{Authenticator as _, Caller};
use serde_json::{Value, json};

use super::external_users::{HostKey, claims, key_set, seconds_from_now, with_secret};
use super::fixture::{Fixture, TempDir, request};

const SECRET: &[u8] = b"a secret of thirty-two bytes, or so";
const UNKNOWN_KEY: &str = "it is badly signed, or of an unknown key";

/// A fixture that shares a secret with the host, and its tokens.
struct Host(Fixture);

impl Host {
    fn new() -> Self {
        Self::with_options(&[""])
    }

    /// The same secret once for each of these options.
    fn with_options(options: &[&str]) -> Self {
        let dir = TempDir::new();
        let file = dir.file("secret", [b"\n ", SECRET, b"\r\n"].concat());
        let sources = options
            .iter()
            .map(|options| format!("hs256:{file}{options}"));
        let sources: Vec<_> = sources.collect();
        let sources: Vec<_> = sources.iter().map(String::as_str).collect();
        Self(Fixture::with_sources(dir, &sources))
    }

    fn token(claims: &Value) -> String {
        with_secret(SECRET, &Header::new(Algorithm::HS256), claims)
    }

    async fn takes(&self, claims: &Value) -> Caller {
        self.0
            .ring
            .authenticate(&Self::token(claims))
            .await
            .unwrap()
    }

    async fn refuses(&self, claims: &Value) -> &'static str {
        self.0.refusal(&Self::token(claims)).await
    }
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims("host:7");
    claims[claim] = value;
    claims
}

#[tokio::test]
async fn a_token_of_each_algorithm_is_taken_from_its_pem_file() {
    for key in HostKey::each() {
        let dir = TempDir::new();
        let file = dir.file("key.pem", &key.public_pem);
        let world = Fixture::with_sources(dir, &[&file]);
        let caller = world.ring.authenticate(&key.token(None)).await.unwrap();
        assert_eq!(caller.user_id.as_str(), "host:7", "{:?}", key.algorithm);
        // A bare key has no name, so it is not the one that is named.
        let named = key.token(Some("whatever the host calls it"));
        assert_eq!(world.refusal(&named).await, UNKNOWN_KEY);
        let stranger = HostKey::each()
            .into_iter()
            .find(|other| other.algorithm == key.algorithm);
        assert_eq!(
            world.refusal(&stranger.unwrap().token(None)).await,
            UNKNOWN_KEY
        );
    }
}

#[tokio::test]
async fn a_key_of_a_set_takes_the_tokens_that_name_it_or_none() {
    for (first, second) in HostKey::each().into_iter().zip(HostKey::each()) {
        let dir = TempDir::new();
        let set = key_set(&[first.jwk(Some("first")), second.jwk(Some("second"))]);
        let file = dir.file("keys.json", set);
        let world = Fixture::with_sources(dir, &[&file]);
        for good in [
            first.token(Some("first")),
            second.token(Some("second")),
            second.token(None),
        ] {
            world.ring.authenticate(&good).await.unwrap();
        }
        for bad in [first.token(Some("second")), first.token(Some("third"))] {
            assert_eq!(
                world.refusal(&bad).await,
                UNKNOWN_KEY,
                "{:?}",
                first.algorithm
            );
        }
    }
}

#[tokio::test]
async fn a_public_key_is_never_taken_for_a_shared_secret() {
    for key in HostKey::each() {
        let dir = TempDir::new();
        let file = dir.file("key.pem", &key.public_pem);
        let world = Fixture::with_sources(dir, &[&file]);
        for secret in [key.public_pem.as_bytes(), key.public_pem.trim().as_bytes()] {
            let token = with_secret(secret, &Header::new(Algorithm::HS256), &claims("admin"));
            assert_eq!(
                world.refusal(&token).await,
                UNKNOWN_KEY,
                "{:?}",
                key.algorithm
            );
        }
    }
}

#[tokio::test]
async fn a_key_takes_no_other_algorithm_of_its_family() {
    let key = HostKey::rsa();
    let dir = TempDir::new();
    let pem = dir.file("key.pem", &key.public_pem);
    let secret = dir.file("secret", SECRET);
    let world = Fixture::with_sources(dir, &[&pem, &format!("hs256:{secret}")]);
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        let token = key.sign(&Header::new(algorithm), &claims("u"));
        assert_eq!(world.refusal(&token).await, UNKNOWN_KEY, "{algorithm:?}");
    }
    let token = with_secret(SECRET, &Header::new(Algorithm::HS512), &claims("u"));
    assert_eq!(world.refusal(&token).await, UNKNOWN_KEY);
}

#[tokio::test]
async fn times_are_judged_with_5_seconds_of_leeway_and_may_have_fractions() {
    let host = Host::new();
    host.takes(&with("exp", json!(seconds_from_now(-1)))).await;
    assert_eq!(
        host.refuses(&with("exp", json!(seconds_from_now(-6))))
            .await,
        "it has expired"
    );
    host.takes(&with("nbf", json!(seconds_from_now(4)))).await;
    assert_eq!(
        host.refuses(&with("nbf", json!(seconds_from_now(60))))
            .await,
        "it is not valid yet"
    );
    host.takes(&with("nbf", Value::Null)).await;

    let exact = host.takes(&with("exp", json!(4_102_444_800.25))).await;
    assert_eq!(exact.expires_at.to_string(), "2100-01-01T00:00:00.250Z");
    let endless = host.takes(&with("exp", json!(1e300))).await;
    assert_eq!(endless.expires_at.to_string(), "9999-12-31T23:59:59.999Z");
}

#[tokio::test]
async fn token_needs_sub_and_exp() {
    let host = Host::new();
    let malformed = "its claims are missing or malformed";
    for bad in [
        json!({ "sub": "u" }),
        json!({ "exp": seconds_from_now(60) }),
        with("exp", Value::Null),
        with("exp", json!("4102444800")),
        with("sub", json!(7)),
        json!([]),
    ] {
        assert_eq!(host.refuses(&bad).await, malformed, "{bad}");
    }
    host.takes(&with("sub", json!("x".repeat(64)))).await;
    for bad in ["", "a b", "..", &"x".repeat(65)] {
        assert_eq!(
            host.refuses(&with("sub", json!(bad))).await,
            "its sub is no user id",
            "{bad}"
        );
    }
}

#[tokio::test]
async fn admin_is_one_word_of_the_scope() {
    let host = Host::new();
    for good in ["admin", "chat admin", "admin other"] {
        assert!(
            host.takes(&with("scope", json!(good))).await.admin,
            "{good}"
        );
    }
    for other in [
        json!("administrator"),
        json!("Admin"),
        json!(""),
        json!(["admin"]),
        json!(1),
    ] {
        assert!(
            !host.takes(&with("scope", other.clone())).await.admin,
            "{other}"
        );
    }
}

#[tokio::test]
async fn issuer_and_audience_must_be_those_configured() {
    let host = Host::with_options(&["#issuer=https%3A%2F%2Fid.example&audience=chat"]);
    let of = |iss: Value, aud: Value| {
        let mut claims = with("iss", iss);
        claims["aud"] = aud;
        claims
    };
    let issuer = json!("https://id.example");
    for aud in [json!("chat"), json!(["mail", "chat"])] {
        host.takes(&of(issuer.clone(), aud)).await;
    }
    for iss in [
        Value::Null,
        json!("https://id.example/"),
        json!(["https://id.example"]),
    ] {
        let reason = host.refuses(&of(iss, json!("chat"))).await;
        assert_eq!(reason, "its iss is not the issuer that is configured");
    }
    for aud in [
        Value::Null,
        json!("mail"),
        json!(["mail"]),
        json!("Chat"),
        json!([["chat"]]),
    ] {
        let reason = host.refuses(&of(issuer.clone(), aud)).await;
        assert_eq!(
            reason,
            "its aud does not name the audience that is configured"
        );
    }
    let ours = host.0.issuer.mint(&request("u"));
    host.0.ring.authenticate(&ours).await.unwrap();
}

#[tokio::test]
async fn sources_with_the_same_key_take_the_tokens_of_either_audience() {
    let host = Host::with_options(&["#audience=chat&admin=no", "#audience=server"]);
    let of = |aud: &str| {
        let mut claims = with("aud", json!(aud));
        claims["scope"] = json!("admin");
        claims
    };
    assert!(!host.takes(&of("chat")).await.admin);
    assert!(host.takes(&of("server")).await.admin);
    host.refuses(&of("mail")).await;
}

#[tokio::test]
async fn scope_admin_is_dropped_from_tokens_of_a_source_that_may_not_grant_it() {
    let host = Host::with_options(&["#admin=no"]);
    assert!(!host.takes(&with("scope", json!("chat admin"))).await.admin);
}

#[tokio::test]
async fn sid_of_a_host_token_means_nothing_and_iss_and_aud_neither_unless_configured() {
    let host = Host::new();
    let mut claims = with("sid", json!("a session of the host's"));
    claims["iss"] = json!("https://host.example");
    claims["aud"] = json!(["one", "two"]);
    claims["name"] = json!("Hana");
    let caller = host.takes(&claims).await;
    assert_eq!(caller.session_id, None);
    assert_eq!(caller.name.as_deref(), Some("Hana"));
    assert!(host.0.ring.is_session_active(&caller).await.unwrap());
    assert_eq!(host.takes(&with("name", json!(7))).await.name, None);
}

#[tokio::test]
async fn a_token_that_demands_an_extension_is_refused() {
    let host = Host::new();
    let header = Header {
        crit: Some(vec!["exp".to_owned()]),
        ..Header::new(Algorithm::HS256)
    };
    let token = with_secret(SECRET, &header, &claims("u"));
    assert!(host.0.refusal(&token).await.contains("crit"));
}
