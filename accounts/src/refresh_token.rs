//! Refresh tokens: `<session id>.<32 bytes in base64url>`, opaque to whoever holds one.
//!
//! The server keeps hashes only. A token's successor is made of the token itself and a salt that is
//! kept, so that whoever presents the token again for a lost answer can be given the very same
//! successor, while the salt alone is worth nothing.

use aws_lc_rs::{constant_time, digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roomcast_protocol::SessionId;

/// A refresh token in clear: as it was presented, or as it is about to be given.
pub(crate) struct RefreshToken {
    session_id: SessionId,
    secret: [u8; 32],
}

impl RefreshToken {
    /// The first token of a sign-in; `None` when there is no randomness to be had.
    pub(crate) fn first(session_id: SessionId) -> Option<Self> {
        let secret = random()?;
        Some(Self { session_id, secret })
    }

    /// Reads a token; `None` for what can be none of ours.
    pub(crate) fn from_wire(text: &str) -> Option<Self> {
        let (session_id, secret) = text.rsplit_once('.')?;
        Some(Self {
            session_id: SessionId::new(session_id).ok()?,
            secret: URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?,
        })
    }

    pub(crate) fn to_wire(&self) -> String {
        format!(
            "{}.{}",
            self.session_id,
            URL_SAFE_NO_PAD.encode(self.secret)
        )
    }

    pub(crate) fn session_id(&self) -> &SessionId {
        &self.session_id
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, self.to_wire().as_bytes()).as_ref());
        hash
    }

    /// The token that follows it under `salt`: always the same one.
    pub(crate) fn successor(&self, salt: &[u8; 32]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        let mut secret = [0; 32];
        secret.copy_from_slice(hmac::sign(&key, salt).as_ref());
        Self {
            session_id: self.session_id.clone(),
            secret,
        }
    }
}

/// Compares in a time that says nothing about where two hashes differ.
pub(crate) fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}

/// 32 bytes nobody can guess.
pub(crate) fn random() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_keeps_its_hash() {
        let token = RefreshToken::first(SessionId::new("s.1").unwrap()).unwrap();
        let read = RefreshToken::from_wire(&token.to_wire()).unwrap();
        assert_eq!(read.session_id().as_str(), "s.1");
        assert_eq!(read.hash(), token.hash());
    }

    #[test]
    fn the_successor_is_the_same_for_the_same_salt_and_another_for_any_other() {
        let token = RefreshToken::first(SessionId::generate()).unwrap();
        let successor = token.successor(&[1; 32]);
        assert_eq!(successor.to_wire(), token.successor(&[1; 32]).to_wire());
        assert_ne!(successor.to_wire(), token.successor(&[2; 32]).to_wire());
        assert_ne!(successor.to_wire(), token.to_wire());
    }

    #[test]
    fn what_can_be_no_token_is_none() {
        let good = RefreshToken::first(SessionId::generate())
            .unwrap()
            .to_wire();
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
