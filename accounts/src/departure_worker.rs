//! The departure worker: removes ended users from their groups.
//!
//! It runs in the rooms role, which may append to the log; the accounts role may not. The notes are kept
//! in the store, so a restart loses none, and every step may be repeated, by several workers concurrently.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use roomcast_ports::accounts::{AccountStore, Ending, EndingStep};
use roomcast_ports::back_off::BackOff;
use roomcast_ports::departures::{Departure, Departures};
use roomcast_protocol::limits::{
    DEPARTURE_POLL_INTERVAL, DEPARTURES_AT_ONCE_MAX, DEPARTURES_LISTED_MAX,
};
use roomcast_protocol::{Refusal, RoomId, UserId};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::service::failed_to;

/// Rooms of a user per listing.
const ROOMS_AT_ONCE: usize = 10_000;
/// Delays before the next round after one that failed.
const RETRY_AFTER: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Time that departures in progress have to finish after the stop.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// Works off noted departures; cheap to clone. Any number may run, in any number of processes.
#[derive(Clone)]
pub struct DepartureWorker {
    store: Arc<dyn AccountStore>,
    departures: Arc<dyn Departures>,
    noted: Arc<Notify>,
}

impl DepartureWorker {
    /// A worker over its ports. `noted` wakes it for departures that this process notes itself; those of
    /// other processes are found within [`DEPARTURE_POLL_INTERVAL`].
    pub fn new(
        store: Arc<dyn AccountStore>,
        departures: Arc<dyn Departures>,
        noted: Arc<Notify>,
    ) -> Self {
        Self {
            store,
            departures,
            noted,
        }
    }

    /// Works until `stop`. What is not finished shortly after it is resumed by the next start.
    pub async fn run(&self, stop: CancellationToken) {
        let mut back_off = BackOff::new(RETRY_AFTER, RETRY_MAX);
        while !stop.is_cancelled() {
            let all_done = {
                let round = self.round();
                tokio::pin!(round);
                tokio::select! {
                    all_done = &mut round => all_done,
                    () = stop.cancelled() => {
                        let _ = timeout(FINISH_TIMEOUT, round).await;
                        return;
                    }
                }
            };
            let pause = if all_done {
                back_off.reset();
                DEPARTURE_POLL_INTERVAL
            } else {
                back_off.next_delay()
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.noted.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Finishes what is noted now, at most [`DEPARTURES_LISTED_MAX`]; whether nothing failed.
    pub(crate) async fn round(&self) -> bool {
        let listed = self
            .store
            .endings(EndingStep::Departure, DEPARTURES_LISTED_MAX);
        let endings = match listed.await {
            Ok(endings) => endings,
            Err(cause) => {
                warn!(?cause, "failed to list departures");
                return false;
            }
        };
        let (mut running, mut all_done) = (JoinSet::new(), true);
        for ending in endings {
            if running.len() >= DEPARTURES_AT_ONCE_MAX {
                all_done &= running.join_next().await.is_none_or(is_done);
            }
            let worker = self.clone();
            running.spawn(async move {
                let finished = worker.finish(&ending).await;
                finished.map_err(|refusal| (ending.user_id, refusal))
            });
        }
        while let Some(ended) = running.join_next().await {
            all_done &= is_done(ended);
        }
        all_done
    }

    async fn finish(&self, ending: &Ending) -> Result<(), Refusal> {
        let user_id = &ending.user_id;
        match &ending.room_id {
            None => self.leave_groups(user_id).await?,
            Some(room_id) => {
                self.departures.leave(user_id, room_id, true).await?;
                self.departures.delete_if_empty(user_id, room_id).await?;
            }
        }
        let forgotten = self.store.delete_ending(ending).await;
        forgotten.map_err(failed_to("forget a departure"))
    }

    async fn leave_groups(&self, user_id: &UserId) -> Result<(), Refusal> {
        let mut seen = HashSet::new();
        loop {
            let rooms = self.departures.rooms_of(user_id, ROOMS_AT_ONCE).await?;
            let mut new = rooms.into_iter().filter(|room_id| !seen.contains(room_id));
            let new: Vec<RoomId> = new.by_ref().collect();
            if new.is_empty() {
                return Ok(());
            }
            for room_id in new {
                self.leave_group(user_id, &room_id).await?;
                seen.insert(room_id);
            }
        }
    }

    async fn leave_group(&self, user_id: &UserId, room_id: &RoomId) -> Result<(), Refusal> {
        match self.departures.leave(user_id, room_id, false).await? {
            Departure::Left => return Ok(()),
            Departure::WouldBeEmpty => {}
        }
        // Once the last member has left, no user's list of rooms contains the group.
        let ending = Ending {
            step: EndingStep::Departure,
            user_id: user_id.clone(),
            room_id: Some(room_id.clone()),
        };
        let noted = self.store.put_ending(&ending).await;
        noted.map_err(failed_to("note the end of a group"))?;
        self.departures.leave(user_id, room_id, true).await?;
        let forgotten = self.store.delete_ending(&ending).await;
        forgotten.map_err(failed_to("forget the end of a group"))
    }
}

type Ended = Result<Result<(), (UserId, Refusal)>, tokio::task::JoinError>;

fn is_done(ended: Ended) -> bool {
    match ended {
        Ok(Ok(())) => true,
        Ok(Err((user_id, refusal))) => {
            warn!(%user_id, %refusal, "failed to remove an ended user from groups");
            false
        }
        Err(panicked) => {
            error!(%panicked, "failed to remove an ended user from groups");
            false
        }
    }
}
