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
    pub(crate) said: Option<usize>,
    /// It should not exist, so no client is required to have it.
    pub(crate) doubtful: bool,
}

/// The known events of a room by seq, each once.
pub(crate) struct TotalOrder {
    pub(crate) places: Vec<OrderedEvent>,
}

impl TotalOrder {
    /// The number of the first place after `seq`.
    pub(crate) fn after(&self, seq: u64) -> usize {
        self.places.partition_point(|place| place.seq <= seq)
    }

    /// The number of the place `seq`.
    pub(crate) fn find(&self, seq: u64) -> Option<usize> {
        self.places
            .binary_search_by_key(&seq, |place| place.seq)
            .ok()
    }

    /// Adds places of which only an `ACK` speaks. Numbers of places change.
    pub(crate) fn add(&mut self, places: impl IntoIterator<Item = OrderedEvent>) {
        self.places.extend(places);
        self.places.sort_by_key(|place| place.seq);
        self.places.dedup_by_key(|place| place.seq);
    }
}
