//! The service and the key ring through their verbs, over the embedded adapter.

pub(crate) mod external_users;
pub(crate) mod fixture;
mod stores;

mod ending;
mod external_tokens;
mod finding;
mod key_sets;
mod profiles;
mod refreshing;
mod registering;
mod self_issued_tokens;
mod sessions;
mod signing_in;
mod store_unavailable;
mod throttling;
