//! Waiting for something outside, with a bound.

use std::thread;
use std::time::{Duration, Instant};

const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// Polls `look` until it returns `true`; `false` after the timeout.
///
/// # Errors
/// What `look` fails with: it ends the waiting.
pub(crate) fn until<E>(
    within: Duration,
    mut look: impl FnMut() -> Result<bool, E>,
) -> Result<bool, E> {
    let deadline = Instant::now() + within;
    loop {
        if look()? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        pause(POLL_INTERVAL);
    }
}

/// Stops this thread for a while.
#[expect(
    clippy::disallowed_methods,
    reason = "this crate blocks by design and has no runtime whose timer it could await"
)]
pub(crate) fn pause(span: Duration) {
    thread::sleep(span);
}
