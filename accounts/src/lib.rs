//! Accounts and sessions, for products that bring none of their own; and the validation of every access
//! token, self-issued or external.
//!
//! Two front doors: [`Accounts`], one verb per file, which a product with users of its own need not
//! offer; and [`KeyRing`], by which every gateway knows who is speaking. Between them stands the
//! [`Issuer`], the one key we sign with. No password, token or secret is ever logged or kept in clear.

mod claims;
mod issuer;
mod jwks;
mod jwks_url;
mod key_error;
mod key_ring;
mod key_source;
mod key_validation;
mod token_policy;
mod verifying_key;

mod client;
mod fields;
mod passwords;
mod refresh_token;
mod service;
mod throttle;
mod turns;

mod delete_account;
mod departure_worker;
mod expire_sessions;
mod get_profile;
mod refresh;
mod register;
mod search_users;
mod sessions;
mod sign_in;
mod sign_out;
mod update_profile;
mod user;

#[cfg(test)]
mod tests;

pub use client::Client;
pub use departure_worker::DepartureWorker;
pub use issuer::{Issuer, TokenRequest};
pub use key_error::KeyError;
pub use key_ring::KeyRing;
pub use key_source::KeySource;
pub use service::Accounts;
pub use update_profile::{AccountPatch, PasswordChange};

/// Where the time comes from, so that a test may turn the clock.
type Clock = fn() -> roomcast_protocol::Timestamp;
