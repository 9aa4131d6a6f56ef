//! The ports: what services need from outside, in the product's words.
//!
//! Each trait is a list of promises; `contract` (feature `contract`) has one test per promise, and
//! every adapter passes all of them. The last two modules are asked of other services, through the
//! composition root, since services do not know each other. [`back_off`] is no port: it is how services
//! and adapters alike wait before they ask again.

pub mod accounts;
pub mod back_off;
pub mod dead_letters;
pub mod directory;
pub mod event_log;
pub mod live;
pub mod message_store;
pub mod presence;
pub mod pubsub;
pub mod reactions;

pub mod access;
pub mod departures;
pub mod timeline;
pub mod wrapper;

/// What went wrong below a port, kept as the cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a store gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or is too slow: the same call may be tried again.
    #[error("store is unavailable")]
    Unavailable(#[source] BoxError),
    /// It answered with something that cannot be: retrying does not help, someone must look.
    #[error("store holds something unreadable")]
    Corrupted(#[source] BoxError),
}
