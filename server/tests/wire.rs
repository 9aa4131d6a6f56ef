//! The wire contract, clause by clause, over real sockets against the real program.

#[allow(dead_code, reason = "each test program uses its part of the support")]
mod support;

#[path = "wire/handshake.rs"]
mod handshake;
