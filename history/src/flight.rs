//! Equal reads, made once for all who ask while they wait.
//!
//! Nobody is given a read that began before they asked: it could miss what was acknowledged to them
//! since. Who asks while one is under way waits for the next, so however many ask at once, there are
//! two reads: the one under way, and one for all the others. A failure is shared as well, for a
//! store that is down is not helped by being asked by each of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use roomcast_ports::event_log::LogError;
use roomcast_ports::timeline::ReadError;
use roomcast_ports::{BoxError, StoreError};
use tokio::sync::{Mutex as Turns, OnceCell};

/// Reads under way, by what they read.
pub(crate) struct Flights<K, T> {
    under_way: Mutex<HashMap<K, Arc<Route<T>>>>,
}

/// All reads of one key: one flies, at most one boards.
struct Route<T> {
    turn: Turns<()>,
    boarding: Mutex<Option<Seats<T>>>,
}

type Seats<T> = Arc<OnceCell<Result<T, Arc<ReadError>>>>;

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
        }
    }
}

impl<K: Hash + Eq + Clone, T: Clone> Flights<K, T> {
    /// What `read` gives, begun now or later by one of those who ask for `key`.
    pub(crate) async fn join<F>(&self, key: K, read: impl FnOnce() -> F) -> Result<T, ReadError>
    where
        F: Future<Output = Result<T, ReadError>>,
    {
        let (route, seats) = self.board(&key);
        let _landing = Landing {
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

    fn board(&self, key: &K) -> (Arc<Route<T>>, Seats<T>) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let route = Arc::clone(under_way.entry(key.clone()).or_default());
        let seats = Arc::clone(route.boarding().get_or_insert_default());
        (route, seats)
    }
}

impl<T> Route<T> {
    fn boarding(&self) -> std::sync::MutexGuard<'_, Option<Seats<T>>> {
        self.boarding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who asks from now on waits for the flight after this one.
    fn close(&self, seats: &Seats<T>) {
        let mut boarding = self.boarding();
        if boarding
            .as_ref()
            .is_some_and(|open| Arc::ptr_eq(open, seats))
        {
            *boarding = None;
        }
    }
}

impl<T> Default for Route<T> {
    fn default() -> Self {
        Self {
            turn: Turns::default(),
            boarding: Mutex::default(),
        }
    }
}

/// Forgets the route when its last passenger leaves, arrived or given up.
struct Landing<'a, K: Hash + Eq, T> {
    flights: &'a Flights<K, T>,
    key: &'a K,
    route: &'a Arc<Route<T>>,
}

impl<K: Hash + Eq, T> Drop for Landing<'_, K, T> {
    fn drop(&mut self) {
        let mut under_way = self
            .flights
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Ours and the map's; boarding takes the map's lock, so nobody comes between.
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
