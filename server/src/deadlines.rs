//! Gives every call to a back end a deadline.
//!
//! An adapter has deadlines where its driver offers them. A disk that stands still, a lock that is never
//! released and a driver that loses an answer have none, and a caller would wait without end: a client for
//! its answer, readiness for the news that the log is away. So all services get their ports wrapped in
//! [`Bounded`]. Calls that wait by design (a claim, the next batch of a feed, the next expired presence)
//! are passed through.

mod accounts;
mod log;
mod presence;
mod store;

use std::sync::Arc;
use std::time::Duration;

use roomcast_ports::StoreError;
use roomcast_ports::event_log::LogError;
use roomcast_ports::pubsub::PubSubError;
use roomcast_protocol::limits::CALL_TIMEOUT;

/// A port whose calls end within a deadline.
pub struct Bounded<P: ?Sized>(Arc<P>);

impl<P: ?Sized> Bounded<P> {
    /// Wraps the port.
    pub const fn new(port: Arc<P>) -> Self {
        Self(port)
    }
}

/// What a port answers in place of an answer that did not come.
trait TimedOut {
    fn timed_out(timeout: Duration) -> Self;
}

/// The cause of a failed call.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct NoAnswer(Duration);

impl TimedOut for LogError {
    fn timed_out(timeout: Duration) -> Self {
        Self::Unavailable(Box::new(NoAnswer(timeout)))
    }
}

impl TimedOut for StoreError {
    fn timed_out(timeout: Duration) -> Self {
        Self::Unavailable(Box::new(NoAnswer(timeout)))
    }
}

impl TimedOut for PubSubError {
    fn timed_out(timeout: Duration) -> Self {
        Self(Box::new(NoAnswer(timeout)))
    }
}

async fn within<T, E: TimedOut>(
    timeout: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(timeout, call).await {
        Ok(answer) => answer,
        Err(_) => {
            metrics::counter!("chat_port_timeouts_total").increment(1);
            Err(E::timed_out(timeout))
        }
    }
}

async fn bounded<T, E: TimedOut>(call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    within(CALL_TIMEOUT, call).await
}

/// Implements a port for [`Bounded`]: each call with the deadline of all calls, then what stands in `also`.
macro_rules! bounded_port {
    (
        impl $port:ident, $error:ty {
            $(fn $call:ident($($argument:ident: $type:ty),* $(,)?) -> $answer:ty;)*
        }
        also { $($also:item)* }
    ) => {
        #[async_trait::async_trait]
        impl $port for super::Bounded<dyn $port> {
            $(async fn $call(&self, $($argument: $type),*) -> Result<$answer, $error> {
                super::bounded(self.0.$call($($argument),*)).await
            })*
            $($also)*
        }
    };
}
use bounded_port;
