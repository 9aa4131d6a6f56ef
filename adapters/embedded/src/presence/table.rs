//! The presence table, without a clock: callers pass the time.
//!
//! This is the specification that every other presence store follows, the Redis scripts among them:
//!
//! - A connection counts while `now < expires`. `touch` sets `expires` to `now + ttl`; `release` to
//!   `now + grace`, if that is sooner.
//! - A user is online when any connection that counts is, away when all are, offline when none counts.
//! - The status that a sweep last reported is kept. A sweep returns the users whose status differs now, each
//!   with the next version of their presence, and records it as reported.
//! - Every call first ends what has expired, so no answer depends on the last sweep.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use roomcast_ports::presence::{Lease, Presence};
use roomcast_protocol::{ConnectionId, PresenceStatus, Timestamp, UserId};

/// Users who are gone and whose last sign of life is kept; past it the longest gone is forgotten.
const OFFLINE_CAPACITY: usize = 100_000;

/// A change of a user's presence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transition {
    /// What they are now.
    pub(super) presence: Presence,
    /// One more than at the change before: a later change has a greater one.
    pub(super) version: u64,
}

#[derive(Debug)]
struct Connection {
    expires: Timestamp,
    status: PresenceStatus,
}

#[derive(Debug)]
struct User {
    /// Few, mostly one: a list is a third of a map's memory.
    connections: Vec<(ConnectionId, Connection)>,
    last_seen: Timestamp,
    told: PresenceStatus,
    version: u64,
}

impl User {
    fn status(&self) -> PresenceStatus {
        let statuses = self
            .connections
            .iter()
            .map(|(_, connection)| connection.status);
        statuses.max().unwrap_or(PresenceStatus::Offline)
    }

    fn next_expiry(&self) -> Option<Timestamp> {
        self.connections
            .iter()
            .map(|(_, connection)| connection.expires)
            .min()
    }

    fn connection(&mut self, connection_id: &ConnectionId) -> Option<&mut Connection> {
        let mut known = self.connections.iter_mut();
        known
            .find(|(id, _)| id == connection_id)
            .map(|(_, connection)| connection)
    }
}

/// All users' connections and reported status.
#[derive(Debug, Default)]
pub(super) struct Table {
    users: HashMap<UserId, User>,
    /// The earliest deadline of every user who has one.
    deadlines: BTreeSet<(Timestamp, UserId)>,
    /// The last sign of life of every user who has no deadline.
    gone: BTreeSet<(Timestamp, UserId)>,
    /// Users whose status differs from the reported one.
    changed: HashSet<UserId>,
}

impl Table {
    /// Renews a lease.
    pub(super) fn touch(&mut self, lease: &Lease, ttl: Duration, now: Timestamp) {
        self.expire(now);
        let connection = Connection {
            expires: now.plus(ttl),
            status: lease.status,
        };
        self.change(&lease.user_id, |user| {
            user.last_seen = now;
            if let Some(known) = user.connection(&lease.connection_id) {
                *known = connection;
            } else {
                user.connections.reserve_exact(1);
                let connection_id = lease.connection_id.clone();
                user.connections.push((connection_id, connection));
            }
        });
        // A lease of no time at all.
        self.expire(now);
    }

    /// Shortens a lease: its connection has closed.
    pub(super) fn release(
        &mut self,
        user_id: &UserId,
        connection_id: &ConnectionId,
        grace: Duration,
        now: Timestamp,
    ) {
        self.expire(now);
        if !self.users.contains_key(user_id) {
            return;
        }
        self.change(user_id, |user| {
            if let Some(connection) = user.connection(connection_id) {
                connection.expires = connection.expires.min(now.plus(grace));
            }
        });
        self.expire(now);
    }

    /// Who they are at this moment.
    pub(super) fn read(&mut self, user_id: &UserId, now: Timestamp) -> Presence {
        self.expire(now);
        let user = self.users.get(user_id);
        Presence {
            user_id: user_id.clone(),
            status: user.map_or(PresenceStatus::Offline, User::status),
            last_seen: user.map(|user| user.last_seen),
        }
    }

    /// Returns all users whose status differs from the reported one, and records it as reported.
    pub(super) fn sweep(&mut self, now: Timestamp) -> Vec<Transition> {
        self.expire(now);
        let transitions = std::mem::take(&mut self.changed)
            .into_iter()
            .filter_map(|user_id| {
                let user = self.users.get_mut(&user_id)?;
                user.told = user.status();
                user.version += 1;
                let last_seen = Some(user.last_seen);
                Some(Transition {
                    presence: Presence {
                        user_id,
                        status: user.told,
                        last_seen,
                    },
                    version: user.version,
                })
            })
            .collect();
        self.evict_offline();
        transitions
    }

    /// How many users have a connection that counts.
    pub(super) fn online_users(&mut self, now: Timestamp) -> u64 {
        self.expire(now);
        self.deadlines.len() as u64
    }

    /// Ends every lease that is over.
    fn expire(&mut self, now: Timestamp) {
        while let Some((_, user_id)) = self
            .deadlines
            .first()
            .filter(|(deadline, _)| *deadline <= now)
            .cloned()
        {
            self.change(&user_id, |user| {
                user.connections
                    .retain(|(_, connection)| now < connection.expires);
            });
        }
    }

    /// Changes a user and keeps the indexes true.
    fn change(&mut self, user_id: &UserId, change: impl FnOnce(&mut User)) {
        let user = self.users.entry(user_id.clone()).or_insert_with(|| User {
            connections: Vec::new(),
            last_seen: Timestamp::from_millis(0),
            told: PresenceStatus::Offline,
            version: 0,
        });
        match user.next_expiry() {
            Some(deadline) => self.deadlines.remove(&(deadline, user_id.clone())),
            None => self.gone.remove(&(user.last_seen, user_id.clone())),
        };
        change(user);
        match user.next_expiry() {
            Some(deadline) => self.deadlines.insert((deadline, user_id.clone())),
            None => self.gone.insert((user.last_seen, user_id.clone())),
        };
        if user.status() == user.told {
            self.changed.remove(user_id);
        } else {
            self.changed.insert(user_id.clone());
        }
    }

    fn evict_offline(&mut self) {
        while self.gone.len() > OFFLINE_CAPACITY
            && let Some((_, user_id)) = self.gone.pop_first()
        {
            self.users.remove(&user_id);
            self.changed.remove(&user_id);
        }
    }
}
