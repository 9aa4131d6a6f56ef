//! The health report of the servers and streams, for `roomcast check`.

use crate::streams::found::StreamInfo;

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// The server this process is connected to.
    pub server: String,
    /// Its version.
    pub version: String,
    /// Every partition's stream, in order; none if the process uses no streams.
    pub streams: Vec<StreamHealth>,
}

/// One partition's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHealth {
    /// Its partition.
    pub partition: u16,
    /// The server that leads it; `None` when there is none now, or no cluster.
    pub leader: Option<String>,
    /// The copies it is to have, the leader's included.
    pub replicas: usize,
    /// The bytes it may have; `None` is any number.
    pub bytes_max: Option<u64>,
    /// Copies that are up to date, the leader's included.
    pub current: usize,
    /// Events it holds.
    pub events: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The first seq it holds.
    pub first: u64,
    /// Its last seq.
    pub last: u64,
}

impl StreamHealth {
    pub(crate) fn new(partition: u16, info: &StreamInfo) -> Self {
        let followers = info.cluster.as_ref().map(|cluster| &cluster.replicas);
        let followers = followers.map_or(&[][..], Vec::as_slice);
        Self {
            partition,
            leader: info
                .cluster
                .as_ref()
                .and_then(|cluster| cluster.leader.clone()),
            replicas: info.replicas(),
            bytes_max: info.bytes_max(),
            current: followers.iter().filter(|copy| copy.current).count() + 1,
            events: info.state.events,
            bytes: info.state.bytes,
            first: info.state.first_seq,
            last: info.state.last_seq,
        }
    }
}
