//! Configuration of a gateway.

use std::sync::Arc;
use std::time::Duration;

use roomcast_protocol::limits;
use roomcast_protocol::server_frame::Limits;

use crate::origin::AllowedOrigins;

/// A gateway's settings; the defaults are the contract's.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The gateway's name in presence leases.
    pub name: Arc<str>,
    /// Which pages of other origins may connect.
    pub allowed_origins: AllowedOrigins,
    /// How often a connection's token is looked at again.
    pub token_recheck: Duration,
    /// How long a connection counts as a sign of life.
    pub presence_ttl: Duration,
    /// Events replayed by one `SUBSCRIBE` at most.
    pub replay_max: usize,
    /// Sends a second per user.
    pub sends_per_second: u32,
    /// Burst of sends per user.
    pub send_burst: u32,
    /// Connections per user at most.
    pub connections_per_user_max: usize,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            name: "gateway".into(),
            allowed_origins: AllowedOrigins::same_origin(),
            token_recheck: limits::TOKEN_REVALIDATION_INTERVAL,
            presence_ttl: limits::PRESENCE_TTL,
            replay_max: limits::REPLAY_MAX,
            sends_per_second: limits::SENDS_PER_SECOND,
            send_burst: limits::SEND_BURST,
            connections_per_user_max: limits::CONNECTIONS_PER_USER_MAX,
        }
    }
}

impl GatewayConfig {
    /// The limits that `WELCOME` announces.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            content_bytes_max: limits::CONTENT_BYTES_MAX,
            rooms_per_connection_max: limits::ROOMS_PER_CONNECTION_MAX,
            sends_per_second: self.sends_per_second,
            send_burst: self.send_burst,
            connections_per_user_max: self.connections_per_user_max,
            watched_users_max: limits::WATCHED_USERS_MAX,
            replay_max: self.replay_max,
        }
    }
}
