//! Singleflight: concurrent equal reads share one execution.
//!
//! No caller shares a read that started before its call: it could miss what was acknowledged to that caller
//! since. Callers that arrive during a read wait for the next one, so any number of concurrent callers cause
//! two reads. A failure is shared as well: a store that is down gets no further requests from them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use roomcast_ports::event_log::LogError;
use roomcast_ports::timeline::ReadError;
use roomcast_ports::{BoxError, StoreError};
use tokio::sync::{Mutex as Turns, OnceCell};

/// Reads under way, by what they read.
pub(crate) struct SingleFlight<K, T> {
    under_way: Mutex<HashMap<K, Arc<InFlight<T>>>>,
}

/// All reads of one key: one flies, at most one boards.
struct InFlight<T> {
    turn: Turns<()>,
    boarding: Mutex<Option<SharedResult<T>>>,
}

type SharedResult<T> = Arc<OnceCell<Result<T, Arc<ReadError>>>>;

impl<K, T> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
        }
    }
}

impl<K: Hash + Eq + Clone, T: Clone> SingleFlight<K, T> {
    /// The result of `read`, started now or later by one of the callers of `key`.
    pub(crate) async fn join<F>(&self, key: K, read: impl FnOnce() -> F) -> Result<T, ReadError>
    where
        F: Future<Output = Result<T, ReadError>>,
    {
        let (route, seats) = self.join_pending(&key);
        let _landing = CleanupGuard {
            flights: self,
            key: &key,
            route: &route,
        };
        let flown = seats
            .get_or_init(|| async {
                let _turn = route.turn.lock().await;
                route.close(&seats);
                read().await.map_err(Arc::new)
            })
            .await;
        flown.clone().map_err(|error| again(&error))
    }

    fn join_pending(&self, key: &K) -> (Arc<InFlight<T>>, SharedResult<T>) {
        let mut under_way = self.under_way.lock();
        let route = Arc::clone(under_way.entry(key.clone()).or_default());
        let seats = Arc::clone(route.pending().get_or_insert_default());
        (route, seats)
    }
}

impl<T> InFlight<T> {
    fn pending(&self) -> parking_lot::MutexGuard<'_, Option<SharedResult<T>>> {
        self.boarding.lock()
    }

    /// Who asks from now on waits for the flight after this one.
    fn close(&self, seats: &SharedResult<T>) {
        let mut boarding = self.pending();
        if boarding
            .as_ref()
            .is_some_and(|open| Arc::ptr_eq(open, seats))
        {
            *boarding = None;
        }
    }
}

impl<T> Default for InFlight<T> {
    fn default() -> Self {
        Self {
            turn: Turns::default(),
            boarding: Mutex::default(),
        }
    }
}

/// Forgets the route when its last passenger leaves, arrived or given up.
struct CleanupGuard<'a, K: Hash + Eq, T> {
    flights: &'a SingleFlight<K, T>,
    key: &'a K,
    route: &'a Arc<InFlight<T>>,
}

impl<K: Hash + Eq, T> Drop for CleanupGuard<'_, K, T> {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way.lock();
        // This one and the map's; joining takes the map's lock, so no caller can join in between.
        if Arc::strong_count(self.route) == 2 {
            under_way.remove(self.key);
        }
    }
}

/// The same failure for one more who waited for it.
fn again(error: &Arc<ReadError>) -> ReadError {
    let cause = || -> BoxError { Box::new(Arc::clone(error)) };
    match &**error {
        ReadError::Log(LogError::Unconfirmed(within)) => LogError::Unconfirmed(*within).into(),
        ReadError::Log(_) => LogError::Unavailable(cause()).into(),
        ReadError::Store(StoreError::Unavailable(_)) => StoreError::Unavailable(cause()).into(),
        ReadError::Store(StoreError::Corrupted(_)) => StoreError::Corrupted(cause()).into(),
    }
}

#[cfg(test)]
mod tests;
