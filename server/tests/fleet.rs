//! A whole fleet on servers of its own, every part of which is killed while people talk (§2).
//!
//! One fleet serves all tests, one at a time: starting it takes longer than most of them.

#[allow(dead_code, reason = "each test program uses its part of the support")]
mod support;

#[allow(dead_code, reason = "shared with the tests of the promises")]
#[path = "promises/chance.rs"]
mod chance;
#[path = "promises/follower.rs"]
#[allow(dead_code, reason = "shared with the tests of the promises")]
mod follower;
#[path = "promises/line.rs"]
#[allow(dead_code, reason = "shared with the tests of the promises")]
mod line;
#[path = "promises/observed.rs"]
#[allow(dead_code, reason = "shared with the tests of the promises")]
mod observed;
#[path = "promises/pages.rs"]
#[allow(dead_code, reason = "shared with the tests of the promises")]
mod pages;
#[path = "promises/races.rs"]
mod races;
#[path = "promises/sender.rs"]
#[allow(dead_code, reason = "shared with the tests of the promises")]
mod sender;

#[path = "fleet/conversation.rs"]
mod conversation;
#[path = "fleet/world.rs"]
mod world;

#[path = "fleet/everywhere.rs"]
mod everywhere;
#[path = "fleet/flood.rs"]
mod flood;
#[path = "fleet/full_log.rs"]
mod full_log;
#[path = "fleet/killed.rs"]
mod killed;
#[path = "fleet/rebuilt.rs"]
mod rebuilt;
#[path = "fleet/secured.rs"]
mod secured;
