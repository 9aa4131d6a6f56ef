//! A fair queue for password hashing: client addresses take turns.
//!
//! A few hashes run at a time; a bounded number of callers wait, each in the queue of its address, and
//! the addresses take turns. When all places are taken, a caller of an address that holds fewer places
//! displaces the last one of the address that holds most: one client cannot keep the others out.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use roomcast_protocol::limits::PASSWORD_CHECK_QUEUE_MAX;
use tokio::sync::oneshot;

/// All places are taken, and the caller's address has its share of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Hands out turns.
pub(crate) struct Turns {
    running_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    waiting: usize,
    last_id: u64,
    queues: HashMap<IpAddr, VecDeque<Waiter>>,
    /// The addresses that have a queue, the next to be served first.
    order: VecDeque<IpAddr>,
}

struct Waiter {
    id: u64,
    granted: oneshot::Sender<()>,
}

/// The right to hash one password, until it is dropped.
pub(crate) struct Turn(Arc<Turns>);

impl Turns {
    /// At most `running_max` turns at a time.
    pub(crate) fn new(running_max: usize) -> Arc<Self> {
        Arc::new(Self {
            running_max,
            state: Mutex::default(),
        })
    }

    /// Waits for a turn. Cancel safe: a dropped caller gives up its place, or its turn.
    pub(crate) async fn take(self: &Arc<Self>, address: IpAddr) -> Result<Turn, Full> {
        let mut place = {
            let mut state = self.lock();
            if state.running < self.running_max && state.waiting == 0 {
                state.running += 1;
                return Ok(Turn(Arc::clone(self)));
            }
            let (id, granted) = state.enqueue(address)?;
            Place {
                turns: self,
                address,
                id,
                granted,
                left: false,
            }
        };
        let granted = (&mut place.granted).await;
        place.left = true;
        // Without a grant the sender was dropped: the caller was displaced.
        granted.map(|()| Turn(Arc::clone(self))).map_err(|_| Full)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.lock().waiting
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.lock().release();
    }
}

impl State {
    fn enqueue(&mut self, address: IpAddr) -> Result<(u64, oneshot::Receiver<()>), Full> {
        if self.waiting >= PASSWORD_CHECK_QUEUE_MAX {
            self.displace_for(address)?;
        }
        let (granted, receiver) = oneshot::channel();
        self.last_id += 1;
        let id = self.last_id;
        let queue = self.queues.entry(address).or_default();
        if queue.is_empty() {
            self.order.push_back(address);
        }
        queue.push_back(Waiter { id, granted });
        self.waiting += 1;
        Ok((id, receiver))
    }

    /// Takes the last place of the address with the most, if that has more than `address` would.
    fn displace_for(&mut self, address: IpAddr) -> Result<(), Full> {
        let own = self.queues.get(&address).map_or(0, VecDeque::len);
        let most = self.queues.iter().max_by_key(|(_, queue)| queue.len());
        let (most, length) = most.map(|(most, queue)| (*most, queue.len())).ok_or(Full)?;
        if length <= own + 1 {
            return Err(Full);
        }
        if let Some(queue) = self.queues.get_mut(&most) {
            queue.pop_back();
            self.waiting -= 1;
        }
        Ok(())
    }

    /// Gives a turn that has ended to the next caller.
    fn release(&mut self) {
        while let Some(address) = self.order.pop_front() {
            let Some(queue) = self.queues.get_mut(&address) else {
                continue;
            };
            let next = queue.pop_front();
            if queue.is_empty() {
                self.queues.remove(&address);
            } else {
                self.order.push_back(address);
            }
            if let Some(next) = next {
                self.waiting -= 1;
                if next.granted.send(()).is_ok() {
                    return;
                }
            }
        }
        self.running -= 1;
    }

    fn remove(&mut self, address: IpAddr, id: u64) -> bool {
        let Some(queue) = self.queues.get_mut(&address) else {
            return false;
        };
        let before = queue.len();
        queue.retain(|waiter| waiter.id != id);
        let removed = queue.len() < before;
        self.waiting -= usize::from(removed);
        if queue.is_empty() {
            self.queues.remove(&address);
            self.order.retain(|known| *known != address);
        }
        removed
    }
}

/// A place in the queue, given up when the caller goes away.
struct Place<'a> {
    turns: &'a Turns,
    address: IpAddr,
    id: u64,
    granted: oneshot::Receiver<()>,
    left: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let mut state = self.turns.lock();
        let waits = state.remove(self.address, self.id);
        // Grants are made under the lock, so this one is either here or will not come.
        if !waits && self.granted.try_recv().is_ok() {
            state.release();
        }
    }
}

#[cfg(test)]
mod tests;
