//! The total order of a room's events.

/// A place of the order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrderedEvent {
    pub(crate) seq: u64,
    /// The event; nothing when only an `ACK` speaks of the place.
    pub(crate) view: Option<usize>,
    /// Only pages of messages in their current state showed it.
    pub(crate) state_only: bool,
    /// From when on it was known to be stored.
    pub(crate) known_us: u64,
    /// The number of its send, an index of `Sends::said`.
    pub(crate) send: Option<usize>,
    /// It should not exist, so no client is required to have it.
    pub(crate) doubtful: bool,
}

/// The known events of a room by seq, each once.
pub(crate) struct TotalOrder {
    pub(crate) events: Vec<OrderedEvent>,
}

impl TotalOrder {
    /// The number of the first place after `seq`.
    pub(crate) fn after(&self, seq: u64) -> usize {
        self.events.partition_point(|event| event.seq <= seq)
    }

    /// The number of the place `seq`.
    pub(crate) fn find(&self, seq: u64) -> Option<usize> {
        self.events
            .binary_search_by_key(&seq, |event| event.seq)
            .ok()
    }

    /// Adds places of which only an `ACK` speaks. Numbers of places change.
    pub(crate) fn add(&mut self, events: impl IntoIterator<Item = OrderedEvent>) {
        self.events.extend(events);
        self.events.sort_by_key(|event| event.seq);
        self.events.dedup_by_key(|event| event.seq);
    }
}
