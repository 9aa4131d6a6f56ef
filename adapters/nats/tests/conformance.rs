//! The adapter keeps every promise of the ports on one server, which is killed for each restart.

mod servers;

use servers::Harness;

roomcast_ports::event_log_conformance!(one);
roomcast_ports::partition_read_conformance!(one);
roomcast_ports::pubsub_conformance!(one);

async fn one() -> Harness {
    servers::harness(1).await
}
