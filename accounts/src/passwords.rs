//! Password hashing with Argon2id: expensive by design, so its concurrency is bounded.
//!
//! Argon2id with 19 MiB, two passes and one lane (OWASP's second choice) takes tens of milliseconds of
//! a core and the memory with it. One or two run at a time, on threads where they block no other work, in
//! the order of [`Turns`]. A crowd signing in after an outage is slow then, and the messages of those
//! who are in are not.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::rand;
use parking_lot::Mutex;
use roomcast_protocol::Refusal;
use tracing::error;

use crate::throttle::counted;
use crate::turns::{Full, Turn, Turns};

/// When those who are one too many should come again.
const RETRY_AFTER_MS: u64 = 1_000;
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// A dummy hash of the same cost as all others: the password of an unknown name is
/// verified against it, so that the response time does not reveal whether the name is known.
const DUMMY_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$cm9vbWNhc3Qtbm9ib2R5IQ\
                            $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes passwords, a few at a time.
pub(crate) struct Passwords {
    turns: Arc<Turns>,
}

impl Passwords {
    /// At most half the cores, and never more than two.
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            turns: Turns::new((cores / 2).clamp(1, 2)),
        }
    }

    /// Waits for the turn of this address; `RATE_LIMITED` when too many of its calls wait.
    pub(crate) async fn turn(&self, address: IpAddr) -> Result<Turn, Refusal> {
        let turn = self.turns.take(counted(address)).await;
        turn.map_err(|Full| Refusal::rate_limited(RETRY_AFTER_MS))
    }

    /// The hash to keep, in PHC form.
    pub(crate) async fn hash(&self, turn: Turn, password: &str) -> Result<String, Refusal> {
        let password = password.to_owned();
        let hash = run_limited(turn, move || hash(&password)).await?;
        hash.ok_or_else(|| {
            error!("failed to hash a password");
            Refusal::internal()
        })
    }

    /// Whether `password` is the one of `kept`; for an unknown name, `None`, it takes as long.
    pub(crate) async fn verify(
        &self,
        turn: Turn,
        password: &str,
        kept: Option<&str>,
    ) -> Result<bool, Refusal> {
        let password = password.to_owned();
        let known = kept.is_some();
        let kept = kept.unwrap_or(DUMMY_HASH).to_owned();
        let holds = run_limited(turn, move || holds(&password, &kept)).await?;
        Ok(holds && known)
    }
}

async fn run_limited<T: Send + 'static>(
    turn: Turn,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
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

/// Memory of hashes that have been computed, for the next ones: at most one for each turn. Freed 19 MiB
/// would stay with the allocator, once for each thread that ever hashed.
static MEMORY: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

/// Computes the hash into `out`.
fn compute(argon2: &Argon2<'_>, password: &str, salt: &[u8], out: &mut [u8]) -> Option<()> {
    let locked = || MEMORY.lock();
    let mut memory = locked().pop().unwrap_or_default();
    memory.resize(argon2.params().block_count(), Block::default());
    let done = argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut memory);
    locked().push(memory);
    done.ok()
}

fn hash(password: &str) -> Option<String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut salt = [0; 16];
    rand::fill(&mut salt).ok()?;
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    compute(&argon2, password, &salt, &mut out)?;
    let salt = SaltString::encode_b64(&salt).ok()?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params()).ok()?,
        salt: Some(salt.as_salt()),
        hash: Some(Output::new(&out).ok()?),
    };
    Some(hash.to_string())
}

/// The cost is the one written in `kept`, so that older hashes keep working when ours rises.
fn holds(password: &str, kept: &str) -> bool {
    let known = PasswordHash::new(kept).ok().and_then(|kept| read(&kept));
    let Some((argon2, salt, expected)) = known else {
        error!("a password's hash is unreadable");
        return false;
    };
    let mut out = vec![0; expected.len()];
    compute(&argon2, password, &salt, &mut out).is_some()
        // Compared in constant time.
        && Output::new(&out).is_ok_and(|output| output == expected)
}

fn read(kept: &PasswordHash<'_>) -> Option<(Argon2<'static>, Vec<u8>, Output)> {
    let algorithm = Algorithm::try_from(kept.algorithm).ok()?;
    let version = kept
        .version
        .map_or(Some(Version::V0x13), |it| it.try_into().ok())?;
    let params = Params::try_from(kept).ok()?;
    let mut salt = [0; Salt::MAX_LENGTH];
    let salt = kept.salt?.decode_b64(&mut salt).ok()?.to_vec();
    Some((Argon2::new(algorithm, version, params), salt, kept.hash?))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn turn(passwords: &Passwords) -> Turn {
        passwords.turn(IpAddr::from([127, 0, 0, 1])).await.unwrap()
    }

    async fn hashed(passwords: &Passwords, password: &str) -> String {
        let turn = turn(passwords).await;
        passwords.hash(turn, password).await.unwrap()
    }

    async fn checked(passwords: &Passwords, password: &str, kept: Option<&str>) -> bool {
        let turn = turn(passwords).await;
        passwords.verify(turn, password, kept).await.unwrap()
    }

    #[tokio::test]
    async fn a_password_holds_against_its_hash_and_no_other_does() {
        let passwords = Passwords::new();
        let kept = hashed(&passwords, "correct horse").await;
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        assert!(checked(&passwords, "correct horse", Some(&kept)).await);
        assert!(!checked(&passwords, "correct house", Some(&kept)).await);
        assert_ne!(hashed(&passwords, "correct horse").await, kept, "salted");
    }

    #[tokio::test]
    async fn dummy_hash_costs_what_others_cost_and_matches_no_password() {
        let nobody = PasswordHash::new(DUMMY_HASH).unwrap();
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
        assert!(!checked(&Passwords::new(), "whatever it is", None).await);
    }
}
