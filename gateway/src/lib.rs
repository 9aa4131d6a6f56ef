//! The gateway: WebSocket connections in, events out. It holds no state that must survive.
//!
//! A client's frame goes from its [`connection`] through the [`session`]'s rules to [`publish`], which
//! gives it to the log; the log's live events reach the [`hub`], which writes them to
//! every subscribed connection. The other modules support these two paths.
//!
//! The modules are layers, each of which uses those before it only: [`codec`] and the [`session`]'s rules;
//! [`connection`], the socket and its outbox; [`hub`], the rooms, users and presence watchers;
//! [`publish`], [`subscribe`] and presence ([`presence_heartbeat`]), each with what it uses; [`state`],
//! which holds all of these; [`dispatch`], which starts the handlers of frames; [`task`], which reads a
//! socket and drives dispatch.

pub mod codec;
pub mod config;
pub mod origin;
pub mod outbound;
pub mod parser_refusals;
pub mod rate_limit;
mod revocations;
pub mod stall;

mod accept;
mod clock;
mod connection;
mod dispatch;
mod drain;
mod handshake;
mod http_publish;
mod hub;
mod lock;
mod membership;
mod port_errors;
mod presence_heartbeat;
mod publish;
mod pubsub;
mod receipts;
mod room_lists;
mod session;
mod state;
mod subscribe;
mod task;
mod timer_wheel;

use std::sync::Arc;

use roomcast_ports::access::{Authenticator, Memberships};
use roomcast_ports::directory::RoomDirectory;
use roomcast_ports::event_log::EventLog;
use roomcast_ports::presence::PresenceStore;
use roomcast_ports::pubsub::PubSub;
use roomcast_ports::timeline::Timeline;

pub use config::GatewayConfig;
pub use http_publish::HttpPublish;
use state::GatewayState;

/// What a gateway asks of the world.
#[derive(Clone)]
#[expect(missing_docs, reason = "each port says what it is")]
pub struct GatewayPorts {
    pub log: Arc<dyn EventLog>,
    pub timeline: Arc<dyn Timeline>,
    pub memberships: Arc<dyn Memberships>,
    pub directory: Arc<dyn RoomDirectory>,
    pub presence: Arc<dyn PresenceStore>,
    pub signals: Arc<dyn PubSub>,
    pub authenticator: Arc<dyn Authenticator>,
}

/// A gateway, running from its making until [`drain`](Gateway::drain). Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<GatewayState>,
}

impl Gateway {
    /// A gateway that does nothing yet: what it sends for others it can send.
    pub fn new(ports: GatewayPorts, config: GatewayConfig) -> Self {
        let shared = Arc::new(GatewayState::new(ports, config));
        Self { shared }
    }

    /// Begins to listen to the log and to keep its users' presence. Must be called within a Tokio
    /// runtime, once, before the first connection.
    pub fn start(&self) {
        self.shared.spawn_loops();
    }

    /// Whether the gateway takes new connections.
    pub fn is_ready(&self) -> bool {
        !self.shared.is_draining()
    }
}
