//! What the contract promises (§2), proven against the real program: killed, filled up, and under load.

#[allow(dead_code, reason = "each test program uses its part of the support")]
mod support;

#[path = "promises/chance.rs"]
mod chance;
#[path = "promises/follower.rs"]
mod follower;
#[path = "promises/line.rs"]
mod line;
#[path = "promises/model.rs"]
mod model;
#[path = "promises/observed.rs"]
mod observed;
#[path = "promises/pages.rs"]
mod pages;
#[path = "promises/races.rs"]
mod races;
#[path = "promises/sender.rs"]
mod sender;
#[path = "promises/talk.rs"]
mod talk;

#[path = "promises/at_once.rs"]
mod at_once;
#[path = "promises/crash.rs"]
mod crash;
#[path = "promises/full_disk.rs"]
mod full_disk;
#[path = "promises/history.rs"]
mod history;
#[path = "promises/members.rs"]
mod members;
#[path = "promises/order.rs"]
mod order;
#[path = "promises/resume.rs"]
mod resume;

/// Settings under which no limit is met by a test that is not about limits.
const UNLIMITED: &[&str] = &[
    "--sends-per-second",
    "1000000",
    "--send-burst",
    "1000000",
    "--connections-per-user",
    "1000",
    "--replay-max",
    "100000",
    "--log-filter",
    "warn",
];
