//! Memory accounting of all encoded bytes that this process has not sent yet.
//!
//! A frame that waits in a thousand outboxes is one piece of memory: its bytes are counted when it is made
//! and until its last clone is dropped. Past [`OUTBOUND_BYTES_MAX`] the connections that have most waiting
//! close with [`CloseCode::TooSlow`](roomcast_protocol::CloseCode::TooSlow) at their next frame, replays wait, and
//! pages of history are refused with `UNAVAILABLE`.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use roomcast_protocol::limits::OUTBOUND_BYTES_MAX;

static USED: AtomicUsize = AtomicUsize::new(0);

struct Counted(Vec<u8>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        USED.fetch_sub(self.0.capacity(), Ordering::Relaxed);
    }
}

/// These bytes, counted until they and all clones and slices of them are dropped.
pub fn counted(bytes: Vec<u8>) -> Bytes {
    USED.fetch_add(bytes.capacity(), Ordering::Relaxed);
    Bytes::from_owner(Counted(bytes))
}

/// The bytes counted now.
pub fn used() -> usize {
    USED.load(Ordering::Relaxed)
}

/// Whether there are more than this process may have.
pub fn is_over() -> bool {
    used() > OUTBOUND_BYTES_MAX
}

/// Counts what was refused because of that: `what` is `connection`, `replay` or `page`.
pub fn refused(what: &'static str) {
    metrics::counter!("chat_outbound_refusals_total", "what" => what).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_once_and_until_the_last_slice_is_dropped() {
        // Far more than other tests of this program encode at the same time.
        const MUCH: usize = 64 << 20;
        let before = used();
        let bytes = counted(vec![0; MUCH]);
        let slice = bytes.clone().slice(10..20);
        assert!(used() >= before + MUCH && used() < before + 2 * MUCH);
        drop(bytes);
        assert!(used() >= before + MUCH, "a slice holds all of it");
        drop(slice);
        assert!(used() < before + MUCH / 2);
    }
}
