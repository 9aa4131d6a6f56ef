//! The memory of history pages that clients have not taken yet.
//!
//! A page is up to 200 events of up to 64 KiB, and a client takes it at its own pace. All pages together
//! share the process's bound of outbound memory with the sockets; one user has a part of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use axum::body::Bytes;
use parking_lot::Mutex;
use roomcast_gateway::outbound;
use roomcast_gateway::rate_limit::{READING, RateLimiter, kib};
use roomcast_ports::access::Caller;
use roomcast_protocol::limits::{PAGE_BYTES_PER_USER_MAX, READ_PAUSE_MAX};
use roomcast_protocol::{ErrorCode, Refusal, UserId};

/// Bytes on their way, and bytes read lately, by user.
#[derive(Debug, Clone, Default)]
pub struct PageMemory {
    by_user: Arc<Mutex<HashMap<UserId, usize>>>,
    read: Arc<RateLimiter>,
}

/// A reply's bytes, charged to a user until they are dropped.
struct Held {
    bytes: Bytes,
    memory: PageMemory,
    user_id: UserId,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut by_user = self.memory.locked();
        if let Entry::Occupied(mut entry) = by_user.entry(self.user_id.clone()) {
            *entry.get_mut() -= self.bytes.len();
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl PageMemory {
    fn locked(&self) -> parking_lot::MutexGuard<'_, HashMap<UserId, usize>> {
        self.by_user.lock()
    }

    /// Lets the caller read a page, after a pause if it has read much lately.
    ///
    /// # Errors
    /// `UNAVAILABLE` while the process or the caller has too many bytes on their way, or if the pause would
    /// be too long.
    pub(super) async fn enter(&self, caller: &Caller) -> Result<(), Refusal> {
        self.may_read(caller)?;
        if caller.admin {
            return Ok(());
        }
        let pause = self.read.draw(&caller.user_id, 0, READING);
        if pause > READ_PAUSE_MAX {
            return Err(refused());
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    fn may_read(&self, caller: &Caller) -> Result<(), Refusal> {
        let own = self.locked().get(&caller.user_id).copied();
        let is_over = !caller.admin && own.is_some_and(|bytes| bytes > PAGE_BYTES_PER_USER_MAX);
        if is_over || outbound::is_over() {
            return Err(refused());
        }
        Ok(())
    }

    /// Charges a reply to the caller until it has been sent.
    ///
    /// # Errors
    /// `UNAVAILABLE` if others of the caller's came between and it is too much with them.
    pub(super) fn charge(&self, caller: &Caller, bytes: Vec<u8>) -> Result<Bytes, Refusal> {
        let mut by_user = self.locked();
        let own = by_user.entry(caller.user_id.clone()).or_default();
        if !caller.admin && *own > 0 && *own + bytes.len() > PAGE_BYTES_PER_USER_MAX {
            return Err(refused());
        }
        *own += bytes.len();
        drop(by_user);
        if !caller.admin {
            self.read.draw(&caller.user_id, kib(bytes.len()), READING);
        }
        Ok(Bytes::from_owner(Held {
            bytes: outbound::counted(bytes),
            memory: self.clone(),
            user_id: caller.user_id.clone(),
        }))
    }
}

fn refused() -> Refusal {
    outbound::refused("page");
    Refusal {
        retry_after_ms: Some(1_000),
        ..Refusal::new(
            ErrorCode::Unavailable,
            "too many pages have not been taken yet; try again",
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use roomcast_protocol::Timestamp;

    use super::*;

    fn caller(name: &str, admin: bool) -> Caller {
        Caller {
            user_id: UserId::new(name).unwrap(),
            name: None,
            session_id: None,
            admin,
            expires_at: Timestamp::now().plus(Duration::from_secs(60)),
        }
    }

    #[test]
    fn pages_that_one_user_does_not_take_are_refused_past_a_bound_and_others_are_not() {
        const PAGE: usize = PAGE_BYTES_PER_USER_MAX / 4 + 1;
        let memory = PageMemory::default();
        let (ann, ben, host) = (
            caller("ann", false),
            caller("ben", false),
            caller("host", true),
        );
        let mut held: Vec<_> = (0..3)
            .map(|_| memory.charge(&ann, vec![0; PAGE]).unwrap())
            .collect();
        let refusal = memory.charge(&ann, vec![0; PAGE]).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::Unavailable);
        assert_eq!(refusal.retry_after_ms, Some(1_000));
        memory.may_read(&ben).unwrap();
        memory.charge(&ben, vec![0; PAGE]).unwrap();
        let for_host = (0..8).map(|_| memory.charge(&host, vec![0; PAGE]));
        assert!(for_host.collect::<Vec<_>>().iter().all(Result::is_ok));
        held.pop();
        memory.charge(&ann, vec![0; PAGE]).unwrap();
        held.clear();
        assert!(memory.locked().is_empty(), "nothing is kept of them");
    }
}
