//! The window of messages around a seq that a page shows, while the room is read towards it.
//!
//! It keeps the newest messages before the seq and the oldest from it on, as many as asked, folds
//! what happens to those it keeps, and lets the rest pass: its size does not depend on the room's.

use std::collections::VecDeque;
use std::sync::Arc;

use roomcast_ports::message_store::MessageState;
use roomcast_protocol::{Seq, StoredEvent};

use crate::message_state;

/// Messages of a room in their current state.
#[derive(Debug, Clone)]
pub(crate) struct MessagePage {
    /// Oldest first.
    pub(crate) messages: Vec<Arc<MessageState>>,
    pub(crate) head: Seq,
    pub(crate) more_before: bool,
    pub(crate) more_after: bool,
}

/// Messages on both sides of a seq.
pub(crate) struct Window {
    place: Seq,
    before_max: usize,
    from_max: usize,
    before: VecDeque<MessageState>,
    from: Vec<MessageState>,
}

impl Window {
    /// A window of at most `before_max` messages before `place` and `from_max` at or after it, on
    /// what the store has of them, oldest first.
    pub(crate) fn new(
        place: Seq,
        (before_max, before): (usize, Vec<MessageState>),
        (from_max, from): (usize, Vec<MessageState>),
    ) -> Self {
        Self {
            place,
            before_max,
            from_max,
            before: before.into(),
            from,
        }
    }

    /// The next event of the log's tail.
    pub(crate) fn apply(&mut self, stored: &StoredEvent) {
        match message_state::from_sent(stored, None) {
            Some(message) if message.seq < self.place => self.insert_before(message),
            Some(message) => self.insert_after(message),
            None => {
                for message in self.before.iter_mut().chain(&mut self.from) {
                    message_state::apply(message, stored);
                }
            }
        }
    }

    /// The messages before the seq and those from it on, oldest first.
    pub(crate) fn into_parts(self) -> (VecDeque<MessageState>, Vec<MessageState>) {
        (self.before, self.from)
    }

    fn insert_before(&mut self, message: MessageState) {
        // The store may have written what the tail brings again.
        let Err(index) = self
            .before
            .binary_search_by_key(&message.seq, |kept| kept.seq)
        else {
            return;
        };
        self.before.insert(index, message);
        if self.before.len() > self.before_max {
            self.before.pop_front();
        }
    }

    fn insert_after(&mut self, message: MessageState) {
        let Err(index) = self
            .from
            .binary_search_by_key(&message.seq, |kept| kept.seq)
        else {
            return;
        };
        self.from.insert(index, message);
        self.from.truncate(self.from_max);
    }
}
