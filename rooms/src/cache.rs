//! A cache of room snapshots: the next read needs the log's tail only.
//!
//! A snapshot has all members of its room at a seq; folding the events after that seq brings it up to date.
//! So a room whose thousand members reconnect at the same time costs the store one read, and a room can be
//! read while the store is down.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use roomcast_ports::StoreError;
use roomcast_ports::timeline::ReadError;
use roomcast_protocol::limits::MEMBERS_PAGE_MAX;
use roomcast_protocol::{RoomId, Seq};
use tokio::sync::Mutex as Turns;
use tracing::warn;

use crate::Rooms;
use crate::log_tail;
use crate::state::RoomSnapshot;

/// Members up to which a room's roster is kept.
const CACHED_MEMBERS_MAX: usize = 10_000;
/// Members and rooms kept in all, in each of two generations.
const CACHE_CAPACITY: usize = 100_000;
/// Maximum age of a snapshot; then it is loaded again.
const CACHE_TTL: Duration = Duration::from_secs(600);

/// What is known of rooms. Bounded: the rooms asked for least recently are forgotten first.
#[derive(Default)]
pub(crate) struct RoomCache {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<RoomId, Arc<Entry>>,
    old: HashMap<RoomId, Arc<Entry>>,
    young_weight: usize,
}

/// One room. The lock's holder brings it up to date; waiting callers share the result.
#[derive(Default)]
pub(crate) struct Entry {
    known: Turns<Option<CachedRoom>>,
}

struct CachedRoom {
    /// With every member: who is not in it is none.
    state: Arc<RoomSnapshot>,
    made_at: Instant,
    /// When the last look at the log began: it answers all who asked before.
    looked_at: Instant,
}

impl RoomCache {
    fn entry(&self, room_id: &RoomId) -> Arc<Entry> {
        let mut generations = self.generations.lock();
        if let Some(entry) = generations.young.get(room_id) {
            return Arc::clone(entry);
        }
        let entry = generations.old.remove(room_id).unwrap_or_default();
        generations
            .young
            .insert(room_id.clone(), Arc::clone(&entry));
        generations.weigh(1);
        entry
    }

    fn weigh(&self, members: usize) {
        self.generations.lock().weigh(members);
    }
}

impl Generations {
    fn weigh(&mut self, more: usize) {
        self.young_weight += more;
        if self.young_weight > CACHE_CAPACITY {
            self.old = std::mem::take(&mut self.young);
            self.young_weight = 0;
        }
    }
}

impl Rooms {
    /// The room with its whole roster, as of a moment after the call was made; `None` when it has more
    /// members than are kept, or there is nothing of it in the store yet.
    pub(crate) async fn snapshot(
        &self,
        room_id: &RoomId,
    ) -> Result<Option<Arc<RoomSnapshot>>, ReadError> {
        let asked_at = Instant::now();
        let entry = self.snapshots.entry(room_id);
        let mut known = entry.known.lock().await;
        if let Some(it) = &*known
            && it.looked_at > asked_at
        {
            return Ok(Some(Arc::clone(&it.state)));
        }
        let looked_at = Instant::now();
        if let Some(it) = &mut *known
            && it.made_at.elapsed() < CACHE_TTL
            && let Some(state) = self
                .refresh_from_log(room_id, Arc::clone(&it.state))
                .await?
        {
            (it.state, it.looked_at) = (Arc::clone(&state), looked_at);
            return Ok(Some(state));
        }
        let made = match self.load_members(room_id).await {
            Err(ReadError::Store(error)) => Some(self.rebuild_from_log(room_id, error).await?),
            made => made?,
        };
        let Some(state) = made else {
            return Ok(None);
        };
        self.snapshots.weigh(state.roles.len());
        let state = Arc::new(state);
        *known = Some(CachedRoom {
            state: Arc::clone(&state),
            made_at: looked_at,
            looked_at,
        });
        Ok(Some(state))
    }

    /// The snapshot with what the log has after it; `None` when the log does not prove that it still
    /// holds all of that. It holds nothing of a room that has been quiet for longer than it retains.
    async fn refresh_from_log(
        &self,
        room_id: &RoomId,
        mut state: Arc<RoomSnapshot>,
    ) -> Result<Option<Arc<RoomSnapshot>>, ReadError> {
        let Some(tail) = log_tail::follow(&*self.log, room_id, state.head).await? else {
            return Ok(None);
        };
        if tail.head > state.head {
            let changed = Arc::make_mut(&mut state);
            changed.apply_all(&tail.control);
            changed.head = tail.head;
        }
        Ok(Some(state))
    }

    /// The room from the store and the log's tail.
    async fn load_members(&self, room_id: &RoomId) -> Result<Option<RoomSnapshot>, ReadError> {
        let applied_seq = self.reader.applied_seq(room_id).await?;
        let room = self.directory.room(room_id).await?;
        if room.as_ref().is_none_or(|room| {
            usize::try_from(room.member_count).is_ok_and(|count| count > CACHED_MEMBERS_MAX)
        }) {
            return Ok(None);
        }
        let mut state = RoomSnapshot {
            room,
            head: applied_seq,
            from_start: true,
            ..RoomSnapshot::default()
        };
        let mut after = None;
        loop {
            let page = self
                .directory
                .members(room_id, after.as_ref(), MEMBERS_PAGE_MAX)
                .await?;
            after = page.last().map(|last| last.user_id.clone());
            let ended = page.len() < MEMBERS_PAGE_MAX;
            let roles = page
                .into_iter()
                .map(|member| (member.user_id, Some(member.role)));
            state.roles.extend(roles);
            if ended {
                break;
            }
            if state.roles.len() > CACHED_MEMBERS_MAX {
                return Ok(None);
            }
        }
        // Read after the rows, so that it reaches at least as far as they do.
        let tail = log_tail::read(&*self.log, room_id, applied_seq).await?;
        state.apply_all(&tail.control);
        state.head = tail.head;
        Ok(Some(state))
    }

    /// The room while the store is away, if the log still holds all of it.
    async fn rebuild_from_log(
        &self,
        room_id: &RoomId,
        away: StoreError,
    ) -> Result<RoomSnapshot, ReadError> {
        let tail = log_tail::read(&*self.log, room_id, Seq::ZERO).await?;
        let mut state = RoomSnapshot {
            from_start: true,
            ..RoomSnapshot::default()
        };
        state.apply_all(&tail.control);
        state.head = tail.head;
        if state.room.is_none() {
            return Err(away.into());
        }
        warn!(
            error = &away as &dyn std::error::Error,
            "store is unavailable; read a room from the log alone"
        );
        Ok(state)
    }
}
