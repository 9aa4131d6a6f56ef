//! An event with its encoded bytes.

use std::sync::Arc;

use roomcast_protocol::StoredEvent;
use roomcast_protocol::event::encode;

/// An event with its bytes, which are made before the writing thread has it.
pub(super) struct EncodedEvent {
    pub(super) stored: Arc<StoredEvent>,
    pub(super) body: Vec<u8>,
}

impl EncodedEvent {
    pub(super) fn new(stored: &Arc<StoredEvent>) -> Self {
        Self {
            body: encode(&stored.event),
            stored: Arc::clone(stored),
        }
    }
}
