//! Response bodies as JSON.

use serde::Serialize;

/// The thing's JSON.
pub(super) fn to_json(thing: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(thing).expect("views are strings, numbers and lists, which always serialize")
}
