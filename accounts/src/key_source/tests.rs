//! Valid key sources, and the errors for others.

use serde_json::json;

use super::*;
use crate::tests::external_users::{HostKey, key_set};
use crate::tests::fixture::TempDir;

fn keys(source: &str) -> usize {
    match KeySource::parse(source).unwrap().keys {
        Keys::Here(keys) => keys.len(),
        Keys::Behind(_) => panic!("{source} is behind a URL"),
    }
}

fn complaint(source: &str) -> String {
    KeySource::parse(source).unwrap_err()
}

#[test]
fn file_kind_is_recognised_by_its_content() {
    let dir = TempDir::new();
    let [one, two, three] = HostKey::each();
    assert_eq!(
        keys(&dir.file("keys", format!("a comment\n{}", one.public_pem))),
        1
    );
    let set = key_set(&[one.jwk(Some("1")), two.jwk(None), three.jwk(Some("3"))]);
    assert_eq!(keys(&dir.file("keys", format!("\n {set}"))), 3);
}

#[test]
fn a_url_is_kept_for_later_and_plain_http_is_warned_about() {
    let secure = KeySource::parse("https://host.example/keys").unwrap();
    assert!(matches!(secure.keys, Keys::Behind(_)));
    assert_eq!(secure.warnings, [OPEN_TO_ALL]);
    let meant = KeySource::parse("https://host.example/keys#audience=chat").unwrap();
    assert_eq!(meant.warnings, [""; 0]);
    let plain = KeySource::parse("http://host.example/keys#issuer=it").unwrap();
    assert_eq!(plain.warnings.len(), 1);
    for bad in ["ftp://host.example/keys", "https://", "https://a b/"] {
        assert!(complaint(bad).starts_with(bad), "{bad}");
    }
}

#[test]
fn a_password_in_a_url_is_refused_and_not_repeated() {
    let complaint = complaint("https://user:hunter2@host.example/keys");
    assert!(complaint.contains("no password"), "{complaint}");
    assert!(!complaint.contains("hunter2"), "{complaint}");
}

#[test]
fn an_empty_secret_is_refused_and_a_short_one_warned_about() {
    let dir = TempDir::new();
    let source = |secret: &str| format!("hs256:{}", dir.file("secret", secret));
    assert!(complaint(&source(" \r\n\t")).ends_with("holds no secret"));
    let short = KeySource::parse(&source("short\n")).unwrap();
    assert_eq!(short.warnings.len(), 1);
    let long = KeySource::parse(&source(&"x".repeat(32))).unwrap();
    assert_eq!(long.warnings, [""; 0]);
    assert!(!format!("{long:?}").contains("xxx"));
}

#[test]
fn options_stand_behind_the_last_hash_and_admin_is_off_for_urls() {
    let dir = TempDir::new();
    let file = dir.file("keys #1.pem", HostKey::ed25519().public_pem);
    let admin = |source: &str| KeySource::parse(source).unwrap().policy.admin;
    assert!(admin(&format!("{file}#")));
    assert!(admin(&format!("{file}#issuer=it")));
    assert!(!admin(&format!("{file}#admin=no")));
    assert!(!admin("https://host.example/keys"));
    assert!(admin("https://host.example/keys#admin=yes&audience=chat"));
    let wrong = format!("{file}#isuer=it");
    let complaint = complaint(&wrong);
    assert!(complaint.starts_with(&wrong), "{complaint}");
    assert!(complaint.contains("\"isuer\" is unknown"), "{complaint}");
}

#[test]
fn what_cannot_be_used_is_named_with_the_reason() {
    let dir = TempDir::new();
    let host = HostKey::ed25519();
    let two = format!("{0}{0}", host.public_pem);
    let certificate = host.public_pem.replace("PUBLIC KEY", "CERTIFICATE");
    let broken = host.public_pem.replace("MCow", "MCoA");
    for (content, reason) in [
        ("", "no public key in PEM"),
        ("{}", "is no JWKS"),
        (r#"{"keys":[]}"#, "no key that signs tokens"),
        (&two, "more than one key"),
        (&certificate, "a certificate"),
        (&host.private_pem, "a private key"),
        (&broken, "no key that signs tokens"),
        (&"x".repeat(KEYS_BYTES_MAX + 1), "bytes"),
    ] {
        let file = dir.file("keys", content);
        let complaint = complaint(&file);
        assert!(
            complaint.starts_with(&file) && complaint.contains(reason),
            "{complaint}"
        );
    }
    assert!(complaint("/no/such/file").contains("cannot be read"));
    assert!(complaint(&format!("hs256:{}", dir.path().display())).contains("cannot be read"));
}

#[test]
fn keys_on_other_curves_and_too_short_ones_are_refused() {
    let dir = TempDir::new();
    // openssl ecparam -name secp384r1 -genkey | openssl ec -pubout
    let p384 = "-----BEGIN PUBLIC KEY-----\n\
        MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEWCFd3Hb1qQ6dW597N1RKG8rDgSShP7V5\n\
        UTskeIjD+e/n0g6uzuLnEYf3JkZhL3tOelTeeECr22EQXhqGrv1j8tMGEaGxwpgH\n\
        R9utPWnam/557Lyx3ijtLzLjstALqO2Y\n\
        -----END PUBLIC KEY-----\n";
    // openssl genrsa 1024 | openssl rsa -pubout
    let rsa1024 = "-----BEGIN PUBLIC KEY-----\n\
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCktDxSj5FSAfN1uff7uviaDXiu\n\
        8wLFUqEzzPltf1AhpJ+Mrjq+bkCfEFCSziwkkw1ykxPvDV7AzPvDVbP2w3KhqNAF\n\
        SiGIv9DdN+qZ8U3n/AOIGVcyvUsWtWG5AUTAtW8EyeFR46wTV6S0zTI3u1AVE4+X\n\
        hNefo4Hf5ORS4Q8ZNwIDAQAB\n\
        -----END PUBLIC KEY-----\n";
    for pem in [p384, rsa1024] {
        assert!(complaint(&dir.file("key", pem)).contains("no key that signs tokens"));
    }
}

#[test]
fn keys_of_a_set_that_sign_no_tokens_are_left_out() {
    let dir = TempDir::new();
    let host = HostKey::p256();
    let with = |field: &str, value| {
        let mut jwk = host.jwk(None);
        jwk[field] = value;
        jwk
    };
    let others = [
        json!({ "kty": "oct", "k": "c2VjcmV0" }),
        json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA" }),
        json!({ "kty": "what is this" }),
        with("use", json!("enc")),
        with("alg", json!("ES384")),
        with("crv", json!("P-384")),
    ];
    assert!(complaint(&dir.file("keys", key_set(&others))).contains("no key that signs tokens"));
    let mut set = others.to_vec();
    set.push(with("alg", json!("ES256")));
    assert_eq!(keys(&dir.file("keys", key_set(&set))), 1);
    let many = vec![host.jwk(None); 101];
    assert!(complaint(&dir.file("keys", key_set(&many))).contains("101 keys"));
}
