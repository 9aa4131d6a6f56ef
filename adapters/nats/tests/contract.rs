//! The adapter keeps every promise of the ports on one server, which is killed for each restart.

mod servers;

use servers::Harness;

roomcast_ports::event_log_contract!(one);
roomcast_ports::stretch_contract!(one);
roomcast_ports::signals_contract!(one);

async fn one() -> Harness {
    servers::harness(1).await
}
