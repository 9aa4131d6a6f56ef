//! The adapter keeps every promise of the ports on three servers, all killed for each restart.

mod servers;

use servers::Harness;

roomcast_conformance::event_log_conformance!(three);
roomcast_conformance::partition_read_conformance!(three);
roomcast_conformance::pubsub_conformance!(three);

async fn three() -> Harness {
    servers::harness(3).await
}
