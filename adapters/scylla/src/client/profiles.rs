//! Execution profiles of requests: consistency, timeout, and whether another node is queried
//! speculatively.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileHandle};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::statement::{Consistency, SerialConsistency};

/// A read is answered within so long, or given up.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// The same for a write, which every replica is asked for.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// A read that takes so long is asked of another node as well.
const SPECULATIVE_DELAY: Duration = Duration::from_millis(100);

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It reads; another node may be asked as well.
    Read,
    /// It writes what may be written twice.
    Write,
    /// A lightweight transaction.
    Decide,
    /// It reads what lightweight transactions decide, and finishes one that was interrupted.
    Settle,
}

/// The profiles, one for each kind.
pub(crate) struct Profiles {
    read: ExecutionProfileHandle,
    write: ExecutionProfileHandle,
    decide: ExecutionProfileHandle,
    settle: ExecutionProfileHandle,
}

impl Profiles {
    /// `datacenter` is where requests go; without it, wherever the rows are.
    pub(crate) fn new(datacenter: Option<&str>) -> Self {
        let mut policy = DefaultPolicy::builder().token_aware(true);
        if let Some(datacenter) = datacenter {
            policy = policy.prefer_datacenter(datacenter.to_owned());
        }
        let policy = policy.build();
        let profile = |consistency, within| {
            ExecutionProfile::builder()
                .load_balancing_policy(Arc::clone(&policy))
                .consistency(consistency)
                .serial_consistency(Some(SerialConsistency::LocalSerial))
                .request_timeout(Some(within))
        };
        let again = SimpleSpeculativeExecutionPolicy {
            max_retry_count: 2,
            retry_interval: SPECULATIVE_DELAY,
        };
        let read = profile(Consistency::LocalQuorum, READ_TIMEOUT)
            .speculative_execution_policy(Some(Arc::new(again)));
        let write = profile(Consistency::LocalQuorum, WRITE_TIMEOUT);
        let settle = profile(Consistency::LocalSerial, WRITE_TIMEOUT);
        Self {
            read: read.build().into_handle(),
            decide: write.clone().build().into_handle(),
            write: write.build().into_handle(),
            settle: settle.build().into_handle(),
        }
    }

    pub(crate) fn of(&self, kind: Kind) -> ExecutionProfileHandle {
        match kind {
            Kind::Read => self.read.clone(),
            Kind::Write => self.write.clone(),
            Kind::Decide => self.decide.clone(),
            Kind::Settle => self.settle.clone(),
        }
    }
}
