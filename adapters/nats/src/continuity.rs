//! Whether each partition's stream continues what this process has seen of it.
//!
//! A stream that was restored from an older copy ends below seqs that were given before, and would give them
//! again to other events. Appends therefore wait until the stream was verified on the connection there is now, and
//! live events wait while there is a doubt. Verifying is the streams' part; this is only what came of it.

use tokio::sync::watch;

use crate::subjects::PARTITIONS;

/// What is known of every partition's stream.
#[derive(Debug)]
pub(crate) struct Continuity {
    partitions: [watch::Sender<Standing>; PARTITIONS as usize],
}

/// What is known of one.
#[derive(Debug, Default, Clone, Copy)]
struct Standing {
    /// The connection's epoch in which it was verified last; 0 is never.
    epoch: u64,
    /// Times that it was doubted, and how many of these are resolved.
    doubts: u64,
    resolved: u64,
}

/// Taken before the stream is asked: what happens after that is not covered by the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    epoch: u64,
    doubts: u64,
}

impl Default for Continuity {
    fn default() -> Self {
        Self {
            partitions: std::array::from_fn(|_| watch::Sender::default()),
        }
    }
}

impl Continuity {
    fn of(&self, partition: u16) -> &watch::Sender<Standing> {
        &self.partitions[usize::from(partition)]
    }

    /// Begins a verification on the connection of this epoch.
    pub(crate) fn ticket(&self, partition: u16, epoch: u64) -> Ticket {
        let doubts = self.of(partition).borrow().doubts;
        Ticket { epoch, doubts }
    }

    /// The stream has everything that was known when the ticket was taken.
    pub(crate) fn verified(&self, partition: u16, ticket: Ticket) {
        self.of(partition).send_if_modified(|standing| {
            standing.epoch = standing.epoch.max(ticket.epoch);
            let resolves = standing.resolved < ticket.doubts;
            standing.resolved = standing.resolved.max(ticket.doubts);
            resolves
        });
    }

    /// Something was seen that a continuous stream cannot show.
    pub(crate) fn doubt(&self, partition: u16) {
        self.of(partition)
            .send_modify(|standing| standing.doubts += 1);
    }

    /// Whether the stream was verified on the connection of this epoch, and there was no doubt since.
    pub(crate) fn is_verified(&self, partition: u16, epoch: u64) -> bool {
        let standing = self.of(partition).borrow();
        standing.epoch == epoch && standing.resolved == standing.doubts
    }

    /// Waits until there is no doubt.
    pub(crate) async fn undoubted(&self, partition: u16) {
        let mut standing = self.of(partition).subscribe();
        // The sender is ours, so it is there.
        let _ = standing
            .wait_for(|standing| standing.resolved == standing.doubts)
            .await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_stream_is_verified_for_one_connection_and_until_the_next_doubt() {
        let continuity = Continuity::default();
        assert!(!continuity.is_verified(3, 1));
        continuity.verified(3, continuity.ticket(3, 1));
        assert!(continuity.is_verified(3, 1));
        assert!(!continuity.is_verified(3, 2), "another connection");
        assert!(!continuity.is_verified(4, 1), "another partition");
        let early = continuity.ticket(3, 1);
        continuity.doubt(3);
        assert!(continuity.undoubted(3).now_or_never().is_none());
        continuity.verified(3, early);
        assert!(
            !continuity.is_verified(3, 1),
            "an answer that was asked for before the doubt does not resolve it"
        );
        continuity.verified(3, continuity.ticket(3, 1));
        assert!(continuity.is_verified(3, 1));
        assert!(continuity.undoubted(3).now_or_never().is_some());
    }
}
