//! One test per promise, for every adapter to pass.
//!
//! An adapter's test names a function that makes a harness, once for each suite; the macros list the
//! tests. Every test makes its own rooms and users, so that a suite may run against a server that
//! other tests use at the same time.
//!
//! ```text
//! roomcast_conformance::event_log_conformance!(harness);
//! ```

pub mod accounts;
pub mod dead_letters;
pub mod directory;
pub mod event_log;
pub mod listings;
pub mod message_store;
pub mod partition_reads;
pub mod presence;
pub mod pubsub;
pub mod sample;
pub mod sessions;

use std::time::Duration;

/// How long a test waits for what must come.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Waits for an expected event; a timeout names it.
///
/// # Panics
/// When it does not come.
pub async fn within_timeout<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come within {TIMEOUT:?}"))
}

/// Makes a test of each named function of a suite: the function gets a fresh harness.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($make:ident, $suite:ident, [$($test:ident,)*]) => {
        mod $suite {
            $(
                #[tokio::test]
                async fn $test() {
                    let mut harness = super::$make().await;
                    $crate::$suite::$test(&mut harness).await;
                }
            )*
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_promise_has_its_place_in_its_suites_macro() {
        let suites = [
            include_str!("accounts.rs"),
            include_str!("dead_letters.rs"),
            include_str!("directory.rs"),
            include_str!("event_log.rs"),
            include_str!("listings.rs"),
            include_str!("message_store.rs"),
            include_str!("presence.rs"),
            include_str!("sessions.rs"),
            include_str!("pubsub.rs"),
            include_str!("partition_reads.rs"),
        ];
        for suite in suites {
            let (tests, list) = suite
                .split_once("#[macro_export]")
                .expect("a macro at the end");
            let mut promises = 0;
            for line in tests
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn "))
            {
                let name = line.split(['(', '<']).next().unwrap_or_default();
                assert!(list.contains(&format!(" {name},")), "{name} is in no macro");
                promises += 1;
            }
            assert!(promises > 0, "a suite without promises");
        }
    }
}
