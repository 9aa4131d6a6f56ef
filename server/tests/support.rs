//! Starts real servers, or takes one that runs already, and speaks to them as a client would.

pub(crate) mod http;
pub(crate) mod node;
pub(crate) mod program;
pub(crate) mod schema;
pub(crate) mod scratch;
pub(crate) mod socket;
