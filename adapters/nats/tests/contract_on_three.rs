//! The adapter keeps every promise of the ports on three servers, all killed for each restart.

mod servers;

use servers::Harness;

roomcast_ports::event_log_contract!(three);
roomcast_ports::stretch_contract!(three);
roomcast_ports::signals_contract!(three);

async fn three() -> Harness {
    servers::harness(3).await
}
