//! Presence on a real Redis, which the tests kill, empty and stop.

#[path = "redis/world.rs"]
mod world;

#[expect(clippy::print_stdout, reason = "a measurement prints its figures")]
#[path = "redis/crowd.rs"]
mod crowd;
#[path = "redis/early.rs"]
mod early;
#[path = "redis/loss.rs"]
mod loss;
#[path = "redis/others.rs"]
mod others;
#[path = "redis/repeats.rs"]
mod repeats;
#[path = "redis/unswept.rs"]
mod unswept;
