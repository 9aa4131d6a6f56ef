//! The limit of open files, which bounds the number of connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Below this a start is worth a warning: a few thousand people would meet the limit.
const FEW: u64 = 10_000;

/// Raises the limit as far as the system allows, and returns it.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where it may not be raised, what there is must do.
    let _ = setrlimit(Resource::Nofile, raised);
    let descriptors = getrlimit(Resource::Nofile).current;
    match descriptors {
        Some(descriptors) if descriptors < FEW => tracing::warn!(
            descriptors,
            "few descriptors: every connection needs one, raise the limit (ulimit -n)"
        ),
        Some(descriptors) => tracing::info!(descriptors, "descriptor limit"),
        None => tracing::info!("no descriptor limit"),
    }
}
