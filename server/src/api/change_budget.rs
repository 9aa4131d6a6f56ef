//! The rate limit of changing calls, per user and process: rooms, members, profiles.
//!
//! Sends are limited by the gateway and sign-ins by the accounts service. Signing out is never refused.
//! Scope `admin` is not limited.

use axum::http::Method;
use roomcast_gateway::rate_limit::{Rate, RateLimiter};
use roomcast_ports::access::Caller;
use roomcast_protocol::Refusal;
use roomcast_protocol::limits::{CHANGE_BURST, CHANGES_PER_SECOND};

/// In tenths of a call: a member that a call names is one.
const TENTHS: Rate = Rate {
    per_second: 10 * CHANGES_PER_SECOND,
    burst: 10 * CHANGE_BURST,
};

/// The token buckets of this process, one per user.
#[derive(Debug, Default)]
pub struct ChangeBudget {
    rates: RateLimiter,
}

impl ChangeBudget {
    /// Charges one call, unless it reads, sends a message or signs out.
    ///
    /// # Errors
    /// `RATE_LIMITED` with the time until the call would pass.
    pub(super) fn charge(
        &self,
        caller: &Caller,
        method: &Method,
        path: &str,
    ) -> Result<(), Refusal> {
        let is_read = method == Method::GET || method == Method::HEAD;
        let is_send = path.ends_with("/messages");
        let is_sign_out = path.starts_with("/v1/sessions/") || path.starts_with("/v1/me/sessions");
        if is_read || is_send || is_sign_out {
            return Ok(());
        }
        self.take(caller, 10)
    }

    /// Charges the members that a call names, a tenth of a call each.
    ///
    /// # Errors
    /// `RATE_LIMITED` with the time until the call would pass.
    pub(super) fn charge_members(&self, caller: &Caller, members: usize) -> Result<(), Refusal> {
        self.take(caller, u32::try_from(members).unwrap_or(u32::MAX))
    }

    fn take(&self, caller: &Caller, tenths: u32) -> Result<(), Refusal> {
        if caller.admin || tenths == 0 {
            return Ok(());
        }
        self.rates
            .take(&caller.user_id, tenths, TENTHS)
            .map_err(Refusal::rate_limited)
    }
}
