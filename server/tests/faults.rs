//! What clients get when a back end fails, and that they recover completely afterwards.
//!
//! The services are wired as the program wires them, over the embedded back ends, with ports in between
//! that fail on a test's command; clients connect over real sockets.

#[allow(dead_code, reason = "each test program uses its part of the support")]
mod support;

#[allow(dead_code, reason = "shared with the tests of the promises")]
#[path = "promises/chance.rs"]
mod chance;
#[allow(dead_code, reason = "shared with the tests of the promises")]
#[path = "promises/follower.rs"]
mod follower;
#[allow(dead_code, reason = "shared with the tests of the promises")]
#[path = "promises/line.rs"]
mod line;
#[allow(dead_code, reason = "shared with the tests of the promises")]
#[path = "promises/observed.rs"]
mod observed;
#[allow(dead_code, reason = "shared with the tests of the promises")]
#[path = "promises/pages.rs"]
mod pages;

#[path = "faults/faulty_log.rs"]
mod faulty_log;
#[path = "faults/faulty_presence.rs"]
mod faulty_presence;
#[path = "faults/faulty_store.rs"]
mod faulty_store;
#[path = "faults/faulty_tokens.rs"]
mod faulty_tokens;
#[path = "faults/world.rs"]
mod world;

#[path = "faults/appends.rs"]
mod appends;
#[path = "faults/blind.rs"]
mod blind;
#[path = "faults/leaving.rs"]
mod leaving;
#[path = "faults/live.rs"]
mod live;
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
