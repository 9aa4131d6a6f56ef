//! `roomcast token`: prints an access token signed with the data directory's key.

use std::io::Write as _;

use anyhow::Context as _;
use roomcast_accounts::{Issuer, TokenRequest};

use crate::config::TokenOptions;

/// Prints the token; makes the key first where there is none.
pub fn print(options: TokenOptions) -> anyhow::Result<()> {
    let data = &options.data;
    std::fs::create_dir_all(data).with_context(|| format!("make --data {}", data.display()))?;
    let issuer = Issuer::open(data).context("open the signing key")?;
    let token = issuer.mint(&TokenRequest {
        user_id: options.user_id,
        name: options.name,
        session_id: None,
        admin: options.admin,
        lifetime: options.lifetime,
    });
    writeln!(std::io::stdout(), "{token}").context("print the token")
}
