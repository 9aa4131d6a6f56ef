//! The total order of a room's events.

/// One event of the order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrderedEvent {
    pub(crate) seq: u64,
    /// The index of its view; `None` when only an `ACK` names the seq.
    pub(crate) view: Option<usize>,
    /// Observed only on pages of messages in their current state.
    pub(crate) state_only: bool,
    /// Time of the first evidence that it is stored.
    pub(crate) known_us: u64,
    /// The index of its send in `Sends::all`.
    pub(crate) send: Option<usize>,
    /// A violation by itself (invented, stored twice), so no client is required to have it.
    pub(crate) doubtful: bool,
}

/// The known events of a room by seq, each once.
pub(crate) struct TotalOrder {
    pub(crate) events: Vec<OrderedEvent>,
}

impl TotalOrder {
    /// The index of the first event after `seq`.
    pub(crate) fn after(&self, seq: u64) -> usize {
        self.events.partition_point(|event| event.seq <= seq)
    }

    /// The index of the event at `seq`.
    pub(crate) fn find(&self, seq: u64) -> Option<usize> {
        self.events
            .binary_search_by_key(&seq, |event| event.seq)
            .ok()
    }

    /// Adds events known only from an `ACK`. Invalidates indices.
    pub(crate) fn add(&mut self, events: impl IntoIterator<Item = OrderedEvent>) {
        self.events.extend(events);
        self.events.sort_by_key(|event| event.seq);
        self.events.dedup_by_key(|event| event.seq);
    }
}
