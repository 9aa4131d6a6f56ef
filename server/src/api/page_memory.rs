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
use roomcast_protocol::limits::{OUTBOUND_BYTES_MAX, PAGE_BYTES_PER_USER_MAX, READ_PAUSE_MAX};
use roomcast_protocol::{ErrorCode, Refusal, UserId};

/// Pages that have the reserve: most pages of people who write to each other.
const SMALL_PAGE_BYTES: usize = 64 << 10;

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
        if is_over || !has_room_for(0) {
            return Err(refused());
        }
        Ok(())
    }

    /// Charges a reply to the caller until it has been sent.
    ///
    /// # Errors
    /// `UNAVAILABLE` if it is too much with what was charged since [`enter`](Self::enter): of the caller's,
    /// or of the whole process.
    pub(super) fn charge(&self, caller: &Caller, bytes: Vec<u8>) -> Result<Bytes, Refusal> {
        let mut by_user = self.locked();
        let held = by_user.get(&caller.user_id).copied().unwrap_or_default();
        let own_is_over = !caller.admin && held > 0 && held + bytes.len() > PAGE_BYTES_PER_USER_MAX;
        if own_is_over || !has_room_for(bytes.len()) {
            return Err(refused());
        }
        *by_user.entry(caller.user_id.clone()).or_default() += bytes.len();
        // Counted before the next page is judged.
        let bytes = outbound::counted(bytes);
        drop(by_user);
        if !caller.admin {
            self.read.draw(&caller.user_id, kib(bytes.len()), READING);
        }
        Ok(Bytes::from_owner(Held {
            bytes,
            memory: self.clone(),
            user_id: caller.user_id.clone(),
        }))
    }
}

/// Whether a page of so many bytes fits into what the process may have encoded. Pages of up to
/// [`SMALL_PAGE_BYTES`] have a reserve of an eighth, which large ones cannot take from them.
fn has_room_for(bytes: usize) -> bool {
    let reserve = if bytes <= SMALL_PAGE_BYTES {
        OUTBOUND_BYTES_MAX / 8
    } else {
        0
    };
    outbound::used() + bytes <= OUTBOUND_BYTES_MAX + reserve
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

        // All have entered before the first is charged, as when they ask at the same moment.
        let mut pages = 0;
        while pages < 1_000 {
            let user = caller(&format!("u{pages}"), false);
            let Ok(page) = memory.charge(&user, vec![0; PAGE]) else {
                break;
            };
            held.push(page);
            pages += 1;
        }
        assert!(pages * PAGE <= OUTBOUND_BYTES_MAX, "{pages} pages");
        assert!((pages + 2) * PAGE > OUTBOUND_BYTES_MAX, "{pages} pages");
        memory
            .charge(&ben, vec![0; 1_000])
            .expect("small ones still pass");
    }
}
