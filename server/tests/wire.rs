//! The wire contract, clause by clause, over real sockets against the real program.

#[allow(dead_code, reason = "each test program uses its part of the support")]
mod support;

#[path = "wire/abuse.rs"]
mod abuse;
#[path = "wire/changing.rs"]
mod changing;
#[path = "wire/closes.rs"]
mod closes;
#[path = "wire/drain.rs"]
mod drain;
#[path = "wire/errors.rs"]
mod errors;
#[path = "wire/fixture.rs"]
mod fixture;
#[path = "wire/handshake.rs"]
mod handshake;
#[path = "wire/limits.rs"]
mod limits;
#[path = "wire/marks.rs"]
mod marks;
#[path = "wire/membership.rs"]
mod membership;
#[path = "wire/notifications.rs"]
mod notifications;
#[path = "wire/presence.rs"]
mod presence;
#[path = "wire/replays.rs"]
mod replays;
#[path = "wire/sending.rs"]
mod sending;
#[path = "wire/subscribing.rs"]
mod subscribing;
#[path = "wire/tokens.rs"]
mod tokens;
