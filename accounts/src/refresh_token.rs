//! Refresh tokens: `<session id>.<generation and MAC in base64url>`, opaque to clients.
//!
//! A session's refresh tokens are numbered; each use of the latest one begins the next generation. A
//! token's MAC covers the session's id, a random salt of the session's and the generation, under a key
//! derived from the signing key. So the store keeps no token and no hash of one, every token that was
//! ever issued proves itself, whatever its age, and a token's successor can be computed again.

use aws_lc_rs::encoding::{AsBigEndian as _, Curve25519SeedBin};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roomcast_ports::accounts::Session;
use roomcast_protocol::SessionId;

const GENERATION_BYTES: usize = 8;
const MAC_BYTES: usize = 32;
/// What the derived key is for; another use of the signing key has another label.
const KEY_LABEL: &[u8] = b"roomcast refresh tokens, version 1";

/// Issues refresh tokens and recognises them.
pub(crate) struct RefreshKey(hmac::Key);

/// A refresh token as a client presented it; nothing is known of its MAC yet.
pub(crate) struct RefreshToken {
    session_id: SessionId,
    generation: u64,
    mac: [u8; MAC_BYTES],
}

impl RefreshKey {
    /// The key that goes with a signing key. Who holds the signing key can sign access tokens for
    /// any user, so the derived key gives its holder nothing more.
    pub(crate) fn derive(signing: &Ed25519KeyPair) -> Result<Self, Unspecified> {
        let seed = signing.seed()?;
        let seed: Curve25519SeedBin<'_> = seed.as_be_bytes()?;
        let root = hmac::Key::new(hmac::HMAC_SHA256, seed.as_ref());
        let derived = hmac::sign(&root, KEY_LABEL);
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())))
    }

    /// The session's token of this generation, as the client gets it.
    pub(crate) fn issue(&self, session: &Session, generation: u64) -> String {
        let mac = hmac::sign(&self.0, &covered(session, generation));
        let secret = [&generation.to_be_bytes(), mac.as_ref()].concat();
        format!("{}.{}", session.session_id, URL_SAFE_NO_PAD.encode(secret))
    }

    /// Whether `token` was issued for this session. Takes the same time wherever the MACs differ.
    pub(crate) fn issued(&self, token: &RefreshToken, session: &Session) -> bool {
        hmac::verify(&self.0, &covered(session, token.generation), &token.mac).is_ok()
    }
}

/// What a MAC covers. Only the id's length varies, and it comes last, so no two sessions share a MAC.
fn covered(session: &Session, generation: u64) -> Vec<u8> {
    [
        &session.token_salt[..],
        &generation.to_be_bytes(),
        session.session_id.as_str().as_bytes(),
    ]
    .concat()
}

impl RefreshToken {
    /// Parses a token; `None` when the text cannot be one.
    pub(crate) fn from_wire(text: &str) -> Option<Self> {
        let (session_id, secret) = text.rsplit_once('.')?;
        let secret: [u8; GENERATION_BYTES + MAC_BYTES] =
            URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        let (generation, mac) = secret.split_at(GENERATION_BYTES);
        Some(Self {
            session_id: SessionId::new(session_id).ok()?,
            generation: u64::from_be_bytes(generation.try_into().ok()?),
            mac: mac.try_into().ok()?,
        })
    }

    pub(crate) fn session_id(&self) -> &SessionId {
        &self.session_id
    }

    /// Which of the session's tokens it claims to be.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }
}

/// 32 random bytes.
pub(crate) fn random() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use roomcast_protocol::{Timestamp, UserId};

    use super::*;

    fn key(seed: u8) -> RefreshKey {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        RefreshKey::derive(&pair).unwrap()
    }

    fn session(id: &str, salt: u8) -> Session {
        Session {
            session_id: SessionId::new(id).unwrap(),
            user_id: UserId::new("ana").unwrap(),
            created_at: Timestamp::now(),
            user_agent: None,
            token_salt: [salt; 32],
            generation: 0,
            replaced: Vec::new(),
            used_at: Timestamp::now(),
            expires_at: Timestamp::now(),
            ended: false,
        }
    }

    #[test]
    fn token_proves_itself_for_its_own_session_and_key_only() {
        let (key_1, session_1) = (key(1), session("s.1", 1));
        let text = key_1.issue(&session_1, 7);
        assert_eq!(text, key_1.issue(&session_1, 7), "it can be issued again");
        let token = RefreshToken::from_wire(&text).unwrap();
        assert_eq!(
            (token.session_id().as_str(), token.generation()),
            ("s.1", 7)
        );
        assert!(key_1.issued(&token, &session_1));
        assert!(!key_1.issued(&token, &session("s.1", 2)));
        assert!(!key_1.issued(&token, &session("s.2", 1)));
        assert!(!key(2).issued(&token, &session_1));
        let next = RefreshToken {
            generation: 8,
            ..token
        };
        assert!(!key_1.issued(&next, &session_1));
    }

    #[test]
    fn tokens_do_not_change_between_versions() {
        // Computed with Python's hmac over the documented layout.
        let text = key(1).issue(&session("s.1", 1), 7);
        assert_eq!(
            text,
            "s.1.AAAAAAAAAAcm5j6HV1G_cOWuk_-8-pTfA9NHtB4sEAzes3l5sRB66A"
        );
    }

    #[test]
    fn text_that_cannot_be_a_token_is_none() {
        let good = key(1).issue(&session("s", 1), 0);
        let short = &good[..good.len() - 1];
        let long = format!("{good}A");
        for bad in [
            "",
            ".",
            "s",
            "s.",
            short,
            &long,
            "a b.AAAA",
            &good.replace('.', ""),
        ] {
            assert!(RefreshToken::from_wire(bad).is_none(), "{bad}");
        }
    }
}
