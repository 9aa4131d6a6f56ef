//! The client behind a request: its address, as far as the connection and trusted proxies show it.

use std::net::IpAddr;

/// The client behind a call that proves itself by a password, or not at all.
#[derive(Debug, Clone)]
pub struct Client {
    /// The address that limits count by.
    pub address: IpAddr,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The call came with a token of scope `admin`: limits do not hold for it.
    pub exempt: bool,
}
