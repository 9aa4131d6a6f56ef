//! The hub: the users and connections of this gateway, and the rooms they are members of.
//!
//! A room is in the hub while a connected user is a member of it; events of other rooms pass
//! by. The hub knows nothing that could not be asked again: it is a cache kept right by the live
//! events it fans out anyway.

pub(crate) mod fanout;
pub(crate) mod losses;
pub(crate) mod newcomers;
pub(crate) mod notify;
pub(crate) mod presence_watchers;
mod recent_frames;
pub(crate) mod room;
pub(crate) mod subscribe_race_check;
mod user_connection;
pub(crate) mod users;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roomcast_ports::event_log::EventLog;
use roomcast_ports::timeline::Timeline;
use roomcast_protocol::{CloseCode, RoomId, UserId};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::lock::lock;
pub(crate) use room::{Room, RoomState};
pub(crate) use user_connection::UserConnection;
pub(crate) use users::User;

const SHARDS: usize = 16;
/// Batches of [`Hub::close_all`], and the delay between two.
const CLOSE_BATCHES: usize = 20;
const CLOSE_BATCH_DELAY: Duration = Duration::from_millis(50);

/// The rooms and users of one gateway, and what their fan-out uses.
pub(crate) struct Hub {
    hasher: RandomState,
    rooms: [Mutex<HashMap<RoomId, Arc<Room>>>; SHARDS],
    users: [Mutex<HashMap<UserId, Arc<User>>>; SHARDS],
    recent: users::RecentChanges,
    /// How many rooms there are.
    kept: metrics::Gauge,
    pub(crate) watchers: presence_watchers::PresenceWatchers,
    pub(crate) newcomers: newcomers::Newcomers,
    /// Live events that were lost on the way here.
    pub(crate) losses: losses::Losses,
    pub(crate) head_checks: subscribe_race_check::HeadChecks,
    /// The log did not answer the last time it was asked: what is known here may be old.
    pub(crate) blind: AtomicBool,
    /// Turns to look up what notifications need.
    notification_lookups: Semaphore,
    /// Events given to the log by this gateway's connections and not answered yet.
    in_flight: AtomicUsize,
    metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) timeline: Arc<dyn Timeline>,
    tracker: TaskTracker,
}

/// The metrics of the hot path, looked up once.
struct Metrics {
    fanout_latency_ms: metrics::Histogram,
    deliveries: metrics::Counter,
}

/// An event that the log has been given and has not answered.
pub(crate) struct InFlightGuard(Arc<Hub>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Hub {
    pub(crate) fn new(
        log: Arc<dyn EventLog>,
        timeline: Arc<dyn Timeline>,
        clock: Clock,
        tracker: TaskTracker,
    ) -> Self {
        Self {
            hasher: RandomState::new(),
            rooms: std::array::from_fn(|_| Mutex::default()),
            users: std::array::from_fn(|_| Mutex::default()),
            recent: users::RecentChanges::default(),
            kept: metrics::gauge!("chat_gateway_rooms"),
            watchers: presence_watchers::PresenceWatchers::default(),
            newcomers: newcomers::Newcomers::default(),
            losses: losses::Losses::default(),
            head_checks: subscribe_race_check::HeadChecks::default(),
            blind: AtomicBool::new(false),
            notification_lookups: Semaphore::new(notify::LOOKUPS_MAX),
            in_flight: AtomicUsize::new(0),
            metrics: Metrics {
                fanout_latency_ms: metrics::histogram!("chat_messages_fanout_latency_ms"),
                deliveries: metrics::counter!("chat_deliveries_total"),
            },
            clock,
            log,
            timeline,
            tracker,
        }
    }

    /// Counts an event given to the log, until the guard is dropped with its answer.
    pub(crate) fn track_in_flight(self: &Arc<Self>) -> InFlightGuard {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlightGuard(self.clone())
    }

    fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    fn shard(&self, id: &str) -> usize {
        usize::try_from(self.hasher.hash_one(id) % SHARDS as u64).unwrap_or(0)
    }

    /// The room, if it has local interest.
    pub(crate) fn room(&self, room_id: &RoomId) -> Option<Arc<Room>> {
        self.room_named(room_id.as_str())
    }

    /// The room with this id, if it has local interest.
    pub(crate) fn room_named(&self, room_id: &str) -> Option<Arc<Room>> {
        lock(&self.rooms[self.shard(room_id)]).get(room_id).cloned()
    }

    /// Does something to the room, which enters the hub for it.
    pub(crate) fn with_room<T>(
        &self,
        room_id: &RoomId,
        act: impl FnOnce(&Arc<Room>, &mut RoomState) -> T,
    ) -> (Arc<Room>, T) {
        loop {
            let room = {
                let mut rooms = lock(&self.rooms[self.shard(room_id.as_str())]);
                match rooms.get(room_id) {
                    Some(room) => room.clone(),
                    None => {
                        let room = Arc::new(Room::new(room_id.clone()));
                        rooms.insert(room_id.clone(), room.clone());
                        self.kept.increment(1.0);
                        room
                    }
                }
            };
            let mut state = lock(&room.state);
            // Between the two locks the last to care may have left, and the room with them.
            if !state.evicted {
                let result = act(&room, &mut state);
                drop(state);
                return (room, result);
            }
        }
    }

    /// Releases the room if it has no local interest any more.
    pub(crate) fn release(&self, room: &Arc<Room>) {
        let mut rooms = lock(&self.rooms[self.shard(room.id.as_str())]);
        let mut state = lock(&room.state);
        if state.is_idle() && !state.evicted {
            state.evicted = true;
            rooms.remove(&room.id);
            self.kept.decrement(1.0);
        }
    }

    /// Every room of the hub.
    pub(crate) fn all_rooms(&self) -> Vec<Arc<Room>> {
        self.rooms
            .iter()
            .flat_map(|shard| lock(shard).values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// The user, if connected here.
    pub(crate) fn user(&self, user_id: &UserId) -> Option<Arc<User>> {
        lock(&self.users[self.shard(user_id.as_str())])
            .get(user_id)
            .cloned()
    }

    /// Every user connected here.
    pub(crate) fn all_users(&self) -> Vec<Arc<User>> {
        self.users
            .iter()
            .flat_map(|shard| lock(shard).values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Every connection that is not closing, those that have not authenticated yet among them.
    pub(crate) fn all_connections(&self) -> Vec<Arc<UserConnection>> {
        let users = self.all_users();
        let mut all: Vec<_> = users.iter().flat_map(|user| user.connections()).collect();
        all.extend(self.newcomers.all());
        all.retain(|connection| !connection.is_closing());
        all
    }

    /// Closes all connections in batches, so that clients do not reconnect in the same moment.
    pub(crate) async fn close_all(&self, close: CloseCode) {
        let connections = self.all_connections();
        for batch in connections.chunks(connections.len().div_ceil(CLOSE_BATCHES).max(1)) {
            for connection in batch {
                connection.close(close, self.clock.now());
            }
            tokio::time::sleep(CLOSE_BATCH_DELAY).await;
        }
    }
}
