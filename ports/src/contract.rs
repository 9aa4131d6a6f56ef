//! One test per promise, for every adapter to pass.
