//! What clients get when a back end fails, and that they recover completely afterwards.
//!
//! The services are wired as the program wires them, over the embedded back ends, with ports in between
//! that fail on a test's command; clients connect over real sockets.

#[allow(dead_code, reason = "each test program uses its part of the support")]
mod support;

#[allow(dead_code, reason = "shared with the tests of the guarantees")]
#[path = "guarantees/client.rs"]
mod client;
#[allow(dead_code, reason = "shared with the tests of the guarantees")]
#[path = "guarantees/follower.rs"]
mod follower;
#[allow(dead_code, reason = "shared with the tests of the guarantees")]
#[path = "guarantees/observed.rs"]
mod observed;
#[allow(dead_code, reason = "shared with the tests of the guarantees")]
#[path = "guarantees/pages.rs"]
mod pages;
#[allow(dead_code, reason = "shared with the tests of the guarantees")]
#[path = "guarantees/rng.rs"]
mod rng;

#[path = "faults/faulty_log.rs"]
mod faulty_log;
#[path = "faults/faulty_presence.rs"]
mod faulty_presence;
#[path = "faults/faulty_store.rs"]
mod faulty_store;
#[path = "faults/faulty_tokens.rs"]
mod faulty_tokens;
#[path = "faults/fixture.rs"]
mod fixture;

#[path = "faults/appends.rs"]
mod appends;
#[path = "faults/leaving.rs"]
mod leaving;
#[path = "faults/live.rs"]
mod live;
#[path = "faults/log_unreachable.rs"]
mod log_unreachable;
#[path = "faults/membership.rs"]
mod membership;
#[path = "faults/presence_away.rs"]
mod presence_away;
#[path = "faults/send_order.rs"]
mod send_order;
#[path = "faults/store_away.rs"]
mod store_away;
#[path = "faults/tokens.rs"]
mod tokens;
#[path = "faults/unanswered.rs"]
mod unanswered;
#[path = "faults/unlinked.rs"]
mod unlinked;
#[path = "faults/waiting.rs"]
mod waiting;
