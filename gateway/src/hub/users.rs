//! The users connected to this gateway.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use roomcast_protocol::limits::HEARTBEAT_INTERVAL;
use roomcast_protocol::{CloseCode, RoomId, UserId};

use super::{Hub, Room, UserConnection};
use crate::clock::{Ticks, after};
use crate::lock::lock;

/// A user with one or more local connections.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    connections: Mutex<Vec<Arc<UserConnection>>>,
    count: AtomicU32,
    /// The rooms of the hub that know this user as a member.
    rooms: Mutex<Vec<Arc<Room>>>,
}

/// What became of a new connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// It is the user's first here: their rooms are not known yet.
    First,
    /// One more.
    Another,
    /// The user has too many.
    TooMany,
}

impl User {
    pub(crate) fn new(id: UserId) -> Self {
        Self {
            id,
            connections: Mutex::default(),
            count: AtomicU32::new(0),
            rooms: Mutex::default(),
        }
    }

    pub(crate) fn connections(&self) -> Vec<Arc<UserConnection>> {
        lock(&self.connections).clone()
    }

    /// How many connections there are, without a lock.
    pub(crate) fn connection_count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Remembers that `room` knows this user; `false` when the user has no connection here any more,
    /// and the room has to forget them.
    pub(crate) fn enter(&self, room: &Arc<Room>) -> bool {
        {
            let mut rooms = lock(&self.rooms);
            if !rooms.iter().any(|known| Arc::ptr_eq(known, room)) {
                rooms.push(room.clone());
            }
        }
        // After the list: the removal of the last connection locks the list after that.
        let here = self.connection_count() > 0;
        if !here {
            self.leave(room);
        }
        here
    }

    /// Forgets `room`.
    pub(crate) fn leave(&self, room: &Room) {
        lock(&self.rooms).retain(|known| !std::ptr::eq(&raw const **known, room));
    }
}

/// Which connection is one too many.
enum Surplus {
    None,
    /// The new one.
    New,
    /// One of those there are.
    Silent(Arc<UserConnection>),
}

/// What one more connection would make one too many.
fn surplus(connections: &[Arc<UserConnection>], most: usize, now: Ticks) -> Surplus {
    // One that is being closed has given its place up.
    let held = || connections.iter().filter(|it| !it.is_closing());
    if held().count() < most {
        return Surplus::None;
    }
    let silent = held().min_by_key(|connection| connection.heard_at());
    match silent.filter(|connection| now >= after(connection.heard_at(), HEARTBEAT_INTERVAL)) {
        Some(silent) => Surplus::Silent(silent.clone()),
        None => Surplus::New,
    }
}

impl Hub {
    /// Adds a connection of a user's. When there are `most` already, the one that has been silent longest
    /// is closed for it, if that is long enough; else the new one is refused. `greet` comes before any
    /// other task can find the connection and write to it.
    pub(crate) fn register(
        &self,
        user_id: &UserId,
        connection: &Arc<UserConnection>,
        most: usize,
        now: Ticks,
        greet: impl FnOnce(&Arc<User>),
    ) -> (Arc<User>, Registered) {
        let mut users = lock(&self.users[self.shard(user_id.as_str())]);
        let user = users
            .entry(user_id.clone())
            .or_insert_with(|| Arc::new(User::new(user_id.clone())))
            .clone();
        // A removal of the user from the table waits for this lock, and finds the user needed.
        let mut connections = lock(&user.connections);
        drop(users);
        let surplus = surplus(&connections, most, now);
        let registered = match surplus {
            Surplus::New => Registered::TooMany,
            _ if connections.is_empty() => Registered::First,
            _ => Registered::Another,
        };
        if registered != Registered::TooMany {
            greet(&user);
            connections.push(connection.clone());
            user.count.store(
                u32::try_from(connections.len()).unwrap_or(u32::MAX),
                Ordering::Release,
            );
        }
        drop(connections);
        if let Surplus::Silent(silent) = surplus {
            silent.close(CloseCode::TooManyConnections, now);
        }
        (user, registered)
    }

    /// Takes a connection away; with the last one the user leaves every room here. `subscriptions`
    /// are the rooms the connection may have been subscribed to.
    pub(crate) fn unregister(
        &self,
        user: &Arc<User>,
        connection: &Arc<UserConnection>,
        subscriptions: &[Arc<Room>],
    ) {
        for room in subscriptions {
            lock(&room.state).unsubscribe(connection);
        }
        let gone = {
            let mut users = lock(&self.users[self.shard(user.id.as_str())]);
            let mut connections = lock(&user.connections);
            connections.retain(|known| !Arc::ptr_eq(known, connection));
            user.count.store(
                u32::try_from(connections.len()).unwrap_or(u32::MAX),
                Ordering::Release,
            );
            let gone = connections.is_empty();
            if gone {
                users.remove(&user.id);
            } else if connections.capacity() > 4 * connections.len() {
                connections.shrink_to_fit();
            }
            gone
        };
        if gone {
            self.leave_rooms(user);
        }
    }

    /// A user without connections leaves every room.
    fn leave_rooms(&self, user: &Arc<User>) {
        // Taken out first: a room is locked before its users.
        let rooms = std::mem::take(&mut *lock(&user.rooms));
        for room in rooms {
            lock(&room.state).forget_user(user);
            self.release(&room);
        }
    }

    /// Makes the user known in rooms that the directory lists for them, as far as the last seconds'
    /// joins and leaves have not overtaken it.
    pub(crate) fn enter_rooms(&self, user: &Arc<User>, room_ids: Vec<RoomId>) {
        for room_id in self.recent.apply_to_room_list(&user.id, room_ids) {
            let (room, here) = self.with_room(&room_id, |room, state| {
                state.add_unconfirmed_member(user);
                let here = user.enter(room);
                if !here {
                    state.forget_user(user);
                }
                here
            });
            if !here {
                self.release(&room);
                return;
            }
        }
    }

    /// Records for some seconds that a user joined or left.
    pub(crate) fn record_membership_change(
        &self,
        room_id: &RoomId,
        user_id: &UserId,
        joined: bool,
    ) {
        self.recent.record(room_id, user_id, joined);
    }
}

/// Joins and leaves of the last seconds, in order: a list read from the directory may be older.
#[derive(Debug, Default)]
pub(crate) struct RecentChanges {
    changes: Mutex<VecDeque<(Instant, RoomId, UserId, bool)>>,
}

const CACHE_TTL: Duration = Duration::from_secs(10);
const CACHE_CAPACITY: usize = 16_384;

impl RecentChanges {
    fn record(&self, room_id: &RoomId, user_id: &UserId, joined: bool) {
        let now = Instant::now();
        let mut changes = lock(&self.changes);
        while changes.len() >= CACHE_CAPACITY
            || changes
                .front()
                .is_some_and(|(at, ..)| now.duration_since(*at) > CACHE_TTL)
        {
            changes.pop_front();
        }
        changes.push_back((now, room_id.clone(), user_id.clone(), joined));
    }

    fn apply_to_room_list(&self, user_id: &UserId, mut room_ids: Vec<RoomId>) -> Vec<RoomId> {
        for (_, room_id, who, joined) in &*lock(&self.changes) {
            if who == user_id {
                room_ids.retain(|known| known != room_id);
                if *joined {
                    room_ids.push(room_id.clone());
                }
            }
        }
        room_ids
    }
}
