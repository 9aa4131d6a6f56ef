//! The service and the key ring through their verbs, over the embedded adapter.

pub(crate) mod hosts;
mod stores;
pub(crate) mod world;

mod ending;
mod finding;
mod hosts_tokens;
mod key_sets;
mod our_tokens;
mod profiles;
mod refreshing;
mod registering;
mod sessions;
mod signing_in;
mod store_away;
mod throttling;
