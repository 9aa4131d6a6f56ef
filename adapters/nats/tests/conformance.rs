//! The adapter keeps every promise of the ports on one server, which is killed for each restart.

mod servers;

use servers::Harness;

roomcast_conformance::event_log_conformance!(one);
roomcast_conformance::partition_read_conformance!(one);
roomcast_conformance::pubsub_conformance!(one);

async fn one() -> Harness {
    servers::harness(1).await
}
