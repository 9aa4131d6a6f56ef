//! Hashing passwords: dear on purpose, so bounded.
//!
//! Argon2id with 19 MiB, two passes and one lane (OWASP's second choice) takes tens of milliseconds of
//! a core and the memory with it. One or two run at a time, on threads where they hold up nobody; a
//! bounded number waits, and who comes after is told to come again. A crowd signing in after an outage
//! is slow then, and the messages of those who are in are not.

use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;
use roomcast_protocol::Refusal;
use tokio::sync::Semaphore;
use tracing::error;

/// Callers that wait for their turn; one more is `RATE_LIMITED`.
const WAITING_MAX: usize = 64;
/// When those who are one too many should come again.
const AGAIN_AFTER_MS: u64 = 1_000;
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Of nobody's password, and of the same cost as everybody's: what the password of an unknown name is
/// held against, so that the time of the answer doesn't say whether the name is known.
const NOBODYS_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$cm9vbWNhc3Qtbm9ib2R5IQ\
                            $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes passwords, a few at a time.
pub(crate) struct Passwords {
    working: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Passwords {
    /// At most half the cores, and never more than two.
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            working: Arc::new(Semaphore::new((cores / 2).clamp(1, 2))),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }

    /// The hash to keep, in PHC form.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, Refusal> {
        let password = password.to_owned();
        self.in_turn(move || hash(&password)).await?.ok_or_else(|| {
            error!("failed to hash a password");
            Refusal::internal()
        })
    }

    /// Whether `password` is the one of `kept`; for an unknown name, `None`, it takes as long.
    pub(crate) async fn holds(&self, password: &str, kept: Option<&str>) -> Result<bool, Refusal> {
        let password = password.to_owned();
        let known = kept.is_some();
        let kept = kept.unwrap_or(NOBODYS_HASH).to_owned();
        let holds = self.in_turn(move || holds(&password, &kept)).await?;
        Ok(holds && known)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let too_many = |_| Refusal::rate_limited(AGAIN_AFTER_MS);
        let waiting = self.waiting.try_acquire().map_err(too_many)?;
        let turn = Arc::clone(&self.working).acquire_owned().await;
        drop(waiting);
        // The turn goes with the work: a caller who goes away doesn't stop it, so nor may it make room.
        let worked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        worked.await.map_err(|error| {
            error!(%error, "failed to hash a password");
            Refusal::internal()
        })
    }
}

fn argon2() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Option<String> {
    let mut salt = [0; 16];
    rand::fill(&mut salt).ok()?;
    let salt = SaltString::encode_b64(&salt).ok()?;
    let hash = argon2()?.hash_password(password.as_bytes(), &salt).ok()?;
    Some(hash.to_string())
}

/// The cost is the one written in `kept`, so that older hashes go on working when ours rises.
fn holds(password: &str, kept: &str) -> bool {
    let Ok(kept) = PasswordHash::new(kept) else {
        error!("a password's hash is unreadable");
        return false;
    };
    let argon2 = Argon2::default();
    argon2.verify_password(password.as_bytes(), &kept).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomcast_protocol::Code;

    #[tokio::test]
    async fn a_password_holds_against_its_hash_and_no_other_does() {
        let passwords = Passwords::new();
        let kept = passwords.hash("correct horse").await.unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        assert!(passwords.holds("correct horse", Some(&kept)).await.unwrap());
        assert!(!passwords.holds("correct house", Some(&kept)).await.unwrap());
        assert_ne!(
            passwords.hash("correct horse").await.unwrap(),
            kept,
            "salted"
        );
    }

    #[tokio::test]
    async fn nobodys_hash_costs_what_everybodys_costs_and_holds_for_nobody() {
        let nobody = PasswordHash::new(NOBODYS_HASH).unwrap();
        let somebody = hash("whatever it is").unwrap();
        let somebody = PasswordHash::new(&somebody).unwrap();
        assert_eq!(nobody.params, somebody.params);
        assert_eq!(nobody.algorithm, somebody.algorithm);
        assert_eq!(nobody.version, somebody.version);
        assert_eq!(nobody.hash.unwrap().len(), somebody.hash.unwrap().len());
        assert_eq!(
            nobody.salt.unwrap().as_str().len(),
            somebody.salt.unwrap().as_str().len()
        );
        assert!(
            !Passwords::new()
                .holds("whatever it is", None)
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn one_more_than_may_wait_is_told_to_come_again() {
        let passwords = Passwords::new();
        let _waiting = passwords
            .waiting
            .acquire_many(u32::try_from(WAITING_MAX).unwrap())
            .await;
        let refusal = passwords.hash("correct horse").await.unwrap_err();
        assert_eq!(refusal.code, Code::RateLimited);
        assert!(refusal.retry_after_ms.is_some());
    }

    #[tokio::test]
    async fn whoever_has_their_turn_no_longer_waits() {
        let passwords = Arc::new(Passwords::new());
        let turns = u32::try_from(passwords.working.available_permits()).unwrap();
        let taken = passwords.working.acquire_many(turns).await.unwrap();
        let mut asking = Box::pin(passwords.in_turn(|| ()));
        tokio::select! {
            biased;
            _ = &mut asking => panic!("it is nobody's turn"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(passwords.waiting.available_permits(), WAITING_MAX - 1);
        drop(taken);
        asking.await.unwrap();
        assert_eq!(passwords.waiting.available_permits(), WAITING_MAX);
    }
}
