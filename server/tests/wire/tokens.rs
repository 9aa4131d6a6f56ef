//! §3: which tokens are taken, and what happens when they end.

use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::fixture::{assert_time, text};
use crate::support::node::{Node, pause, unique, unix_seconds};
use crate::support::program::run;
use crate::support::socket::Socket;
use crate::support::socket::handshake::{Bring, Handshake};

/// A public key whose private half was discarded.
const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAc2SFddhkcc8N+kEm47Nov0amnM/5CoSiF7gQ7ymsAJg=\n\
    -----END PUBLIC KEY-----\n";

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// A token made by hand: this header, these claims, signed so.
fn token(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key, algorithm);
    format!("{signed}.{}", signature.expect("sign"))
}

fn claims(user: &str) -> Value {
    json!({ "sub": user, "exp": unix_seconds() + 600 })
}

fn is_taken(node: &Node, token: &str) -> bool {
    match Handshake::new(node).bearer(token).send() {
        Ok((mut socket, _)) => {
            socket.expect("WELCOME");
            true
        }
        Err(reply) => {
            assert_eq!(reply.status, 401, "{}", reply.text());
            false
        }
    }
}

#[test]
fn a_token_names_its_user_and_its_end() {
    let node = Node::shared();
    let user = unique("user");
    let soon = unix_seconds() + 600;
    let bad = [
        json!({ "exp": soon }),
        json!({ "sub": user }),
        json!({ "sub": "", "exp": soon }),
        json!({ "sub": "not an id", "exp": soon }),
        json!({ "sub": "..", "exp": soon }),
        json!({ "sub": "x".repeat(65), "exp": soon }),
        json!({ "sub": 5, "exp": soon }),
        json!({ "sub": user, "exp": soon.to_string() }),
        json!({ "sub": user, "exp": null }),
        json!({ "sub": user, "exp": -1 }),
        json!([]),
    ];
    for claims in bad {
        assert!(!is_taken(&node, &node.mint(&claims)), "{claims}");
    }
    let good = [
        json!({ "sub": user, "exp": soon, "iss": "host", "aud": "roomcast", "jti": "1", "name": "N" }),
        json!({ "sub": user, "exp": soon, "aud": ["a", "b"], "unknown": {} }),
        json!({ "sub": user, "exp": 253_402_300_799_i64 }),
    ];
    for claims in good {
        assert!(is_taken(&node, &node.mint(&claims)), "{claims}");
    }
}

#[test]
fn times_have_five_seconds_of_leeway() {
    let node = Node::shared();
    let user = unique("user");
    let at = |name: &str, offset: i64| {
        let now = unix_seconds();
        let mut claims = json!({ "sub": user, "exp": now + 600 });
        claims[name] = json!(now + offset);
        is_taken(&node, &node.mint(&claims))
    };
    assert!(at("exp", -2));
    assert!(!at("exp", -8));
    assert!(at("nbf", 3));
    assert!(at("nbf", -600));
    assert!(!at("nbf", 60));
}

#[test]
fn only_the_keys_own_algorithm_is_taken() {
    let node = Node::shared();
    let secret = EncodingKey::from_secret(node.secret());
    let user = unique("user");
    let header = |algorithm: &str| json!({ "alg": algorithm, "typ": "JWT" });
    let own = token(&header("HS256"), &claims(&user), &secret, Algorithm::HS256);
    assert!(is_taken(&node, &own));
    for (named, used) in [
        ("HS512", Algorithm::HS512),
        ("HS384", Algorithm::HS384),
        ("HS512", Algorithm::HS256),
        ("EdDSA", Algorithm::HS256),
        ("RS256", Algorithm::HS256),
        ("none", Algorithm::HS256),
        ("None", Algorithm::HS256),
        ("hs256", Algorithm::HS256),
    ] {
        let token = token(&header(named), &claims(&user), &secret, used);
        assert!(!is_taken(&node, &token), "{named} signed with {used:?}");
    }
    let (signed, signature) = own.rsplit_once('.').expect("a signature");
    let none = encode(header("none").to_string().as_bytes());
    let payload = signed.split_once('.').expect("two parts").1;
    for token in [
        format!("{none}.{payload}."),
        format!("{none}.{payload}"),
        format!("{signed}."),
        signed.to_owned(),
        format!("{signed}.{}", signature.to_ascii_uppercase()),
        format!("{own}."),
        format!("{own}.x"),
        format!("{}.{}.{signature}", encode(b"{}"), payload),
    ] {
        assert!(!is_taken(&node, &token), "{token}");
    }
    let other = EncodingKey::from_secret(b"another secret, as long as the first one was");
    let forged = token(&header("HS256"), &claims(&user), &other, Algorithm::HS256);
    assert!(!is_taken(&node, &forged));
}

#[test]
fn a_public_key_is_not_taken_for_a_shared_secret() {
    let scratch = crate::support::scratch::Scratch::new();
    let path = scratch.write("key.pem", PUBLIC_PEM);
    let node = Node::start(&["--token-key", &path]);
    let user = unique("user");
    let body = PUBLIC_PEM.lines().nth(1).expect("the key's line");
    let der = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD
            .decode(body)
            .expect("base64")
    };
    let guesses: [&[u8]; 5] = [
        PUBLIC_PEM.as_bytes(),
        PUBLIC_PEM.trim().as_bytes(),
        body.as_bytes(),
        &der,
        &der[der.len() - 32..],
    ];
    for guess in guesses {
        let key = EncodingKey::from_secret(guess);
        for named in ["HS256", "EdDSA"] {
            let header = json!({ "alg": named });
            let token = token(&header, &claims(&user), &key, Algorithm::HS256);
            assert!(!is_taken(&node, &token), "{named}");
        }
    }
    assert!(
        is_taken(&node, &node.token(&user)),
        "the other key still counts"
    );
}

#[test]
fn a_kid_must_be_that_of_the_key() {
    let node = Node::own(&[]);
    let data = node.scratch().join("data");
    let ended = run(&["token", "--sub", "ann", "--data", &data], &[]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let own = ended.stdout.trim();
    assert!(is_taken(&node, own));
    let header = jsonwebtoken::decode_header(own).expect("a header");
    let kid = header.kid.expect("our own key has a name");

    let pem = std::fs::read(format!("{data}/signing-key.pem")).expect("the generated key");
    let key = EncodingKey::from_ed_pem(&pem).expect("an Ed25519 key");
    let with = |header: Value| token(&header, &claims("ann"), &key, Algorithm::EdDSA);
    assert!(is_taken(
        &node,
        &with(json!({ "alg": "EdDSA", "kid": kid }))
    ));
    assert!(is_taken(&node, &with(json!({ "alg": "EdDSA" }))));
    assert!(!is_taken(
        &node,
        &with(json!({ "alg": "EdDSA", "kid": "another" }))
    ));
    assert!(!is_taken(
        &node,
        &with(json!({ "alg": "HS256", "kid": kid }))
    ));
    let secret = EncodingKey::from_secret(node.secret());
    let header = json!({ "alg": "HS256", "kid": "a name no key has" });
    let named = token(&header, &claims("ann"), &secret, Algorithm::HS256);
    assert!(!is_taken(&node, &named));
}

#[test]
fn a_token_near_its_end_is_announced_and_a_fresh_one_keeps_the_connection() {
    let node = Node::shared();
    let user = unique("user");
    let exp = unix_seconds() + 1;
    let short = node.mint(&json!({ "sub": user, "exp": exp }));
    let (mut renewed, mut left) = (
        Socket::connect(&node, &short),
        Socket::connect_by(Bring::FirstFrame, &node, &short),
    );
    for socket in [&mut renewed, &mut left] {
        let expiring = socket.next();
        assert_eq!(
            expiring["type"], "TOKEN_EXPIRING",
            "at once, since less than 60 s are left"
        );
        assert_time(&expiring["expiresAt"]);
    }
    let answer = renewed.ask(json!({ "type": "AUTH", "token": node.token(&user) }));
    assert_eq!(answer["type"], "AUTHENTICATED", "{answer}");
    assert_time(&answer["expiresAt"]);
    assert!(text(&answer["expiresAt"]) > "2026");

    assert_eq!(left.closed_within(Duration::from_secs(15)).0, 4401);
    assert!(unix_seconds() >= exp + 5, "within the leeway it holds");
    renewed.nothing_yet();

    let half_minute = renewed.ask(json!({ "type": "AUTH", "token": node.token_for(&user, 30) }));
    assert_eq!(half_minute["type"], "AUTHENTICATED");
    renewed.expect("TOKEN_EXPIRING");
    renewed.send(json!({ "type": "AUTH", "token": node.token_for(&user, -60) }));
    assert_eq!(renewed.closed().0, 4401, "a bad fresh token is a bad token");
}

#[test]
fn a_tokens_end_is_announced_60_seconds_before_and_not_earlier() {
    let node = Node::shared();
    let user = unique("user");
    std::thread::scope(|scope| {
        // Tokens end with a second; these come at different moments within one.
        for _ in 0..4 {
            scope.spawn(|| {
                let exp = unix_seconds() + 63;
                let token = node.mint(&json!({ "sub": user, "exp": exp }));
                Socket::connect(&node, &token).expect("TOKEN_EXPIRING");
                let now = unix_seconds();
                assert!(now >= exp - 60, "{} s early", exp - 60 - now);
                assert!(now <= exp - 56, "{} s late", now + 60 - exp);
            });
            pause(Duration::from_millis(230));
        }
    });
}

#[test]
fn signing_out_closes_the_connections_of_that_sign_in_within_a_second() {
    let node = Node::shared();
    let account = json!({ "name": short_name(), "password": "correct horse battery" });
    node.call("POST", "/v1/accounts", "", account.clone())
        .ok(201);
    let sign_in = || {
        let session = node.call("POST", "/v1/sessions", "", account.clone());
        let session = session.json();
        text(&session["accessToken"]).to_owned()
    };
    let (one, other) = (sign_in(), sign_in());
    let (mut desk, mut tab) = (Socket::connect(&node, &one), Socket::connect(&node, &one));
    let mut phone = Socket::connect(&node, &other);
    node.call("DELETE", "/v1/sessions/current", &one, Value::Null)
        .ok(204);
    let since = Instant::now();
    assert_eq!(desk.closed().0, 4401);
    assert_eq!(tab.closed().0, 4401);
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "{:?}",
        since.elapsed()
    );
    phone.nothing_yet();
    assert_eq!(Handshake::new(&node).bearer(&one).refusal().status, 401);
    assert!(is_taken(&node, &other));
    // A renewal moves a connection to the new token's sign-in.
    phone.ask(json!({ "type": "AUTH", "token": sign_in() }));
    node.call("DELETE", "/v1/sessions/current", &other, Value::Null)
        .ok(204);
    phone.nothing_for(Duration::from_millis(300));
}

#[test]
fn password_change_closes_the_connections_of_other_sign_ins_within_a_second() {
    let node = Node::shared();
    let (name, old, new) = (short_name(), "correct horse battery", "battery staple");
    let account = json!({ "name": name, "password": old });
    node.call("POST", "/v1/accounts", "", account.clone())
        .ok(201);
    let sign_in = || {
        let session = node.call("POST", "/v1/sessions", "", account.clone());
        text(&session.json()["accessToken"]).to_owned()
    };
    let (own, other) = (sign_in(), sign_in());
    let (mut desk, mut phone) = (Socket::connect(&node, &own), Socket::connect(&node, &other));
    let patch = |body| node.call("PATCH", "/v1/me", &own, body);
    assert_eq!(patch(json!({ "password": new })).status, 400);
    let wrong = json!({ "password": new, "currentPassword": "not the one" });
    assert_eq!(patch(wrong).status, 401);
    phone.nothing_for(Duration::from_millis(300));

    patch(json!({ "password": new, "currentPassword": old })).ok(200);
    let since = Instant::now();
    assert_eq!(phone.closed().0, 4401);
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "{:?}",
        since.elapsed()
    );
    desk.nothing_for(Duration::from_millis(300));
    assert!(is_taken(&node, &own));
    assert!(!is_taken(&node, &other));
}

/// A name that fits an account.
fn short_name() -> String {
    let name = unique("a");
    name[..name.len().min(32)].to_owned()
}
