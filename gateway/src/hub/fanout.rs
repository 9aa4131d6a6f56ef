//! Fan-out: applies the log's live events to rooms and writes them to subscribed sockets.
//!
//! One task takes all events that have come in a turn, and writes each room's to its connections in
//! one piece. It never waits for a client, and it trusts nothing but the chain of `prev`: an event
//! whose predecessor has not been seen waits until the gap before it has been read.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use roomcast_ports::back_off::BackOff;
use roomcast_ports::live::{LiveEvent, LiveSubscription};
use roomcast_ports::timeline::{EventPage, ReadError};
use roomcast_protocol::limits::HEARTBEAT_INTERVAL;
use roomcast_protocol::{CloseCode, EventBody, RoomId, Seq, StoredEvent, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Hub, Room, RoomState};
use crate::clock::Seconds;
use crate::connection;
use crate::lock::lock;
use crate::outbound;

/// Events of one turn at most.
const BATCH_MAX: usize = 256;
/// How long a turn for many waits for events that connections here have given to the log already.
const LINGER: Duration = Duration::from_millis(1);
/// Connections of a room from which on it waits: writing to them takes some milliseconds.
const LARGE_AUDIENCE: usize = 500;
/// Events per read when filling a gap.
const REPAIR_PAGE: usize = 500;
/// Tries to fill a gap, and the delays between; after the last, the next audit tries again.
const REPAIR_ATTEMPTS_MAX: u32 = 9;
const REPAIR_BACKOFF_MIN: Duration = Duration::from_millis(10);
const REPAIR_BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How often the heads of all rooms here are compared with the log's.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(10);
/// Rooms compared in one call.
const RECONCILE_BATCH: usize = 1_024;
/// A log that cannot be seen for so long makes the gateway send its clients elsewhere.
const LOG_UNREACHABLE_MAX: Duration = HEARTBEAT_INTERVAL.saturating_mul(2);

/// Fans out until `stop`.
pub(crate) async fn run(hub: Arc<Hub>, mut live: LiveSubscription, stop: CancellationToken) {
    let mut turn: Vec<Arc<StoredEvent>> = Vec::new();
    loop {
        let first = tokio::select! {
            first = live.next() => first,
            () = stop.cancelled() => return,
        };
        let Some(first) = first else { return };
        linger(&hub, &mut live, first, &mut turn);
        if hub.in_flight() > turn.len() && has_large_audience(&hub, &turn) {
            let more = tokio::time::timeout(LINGER, live.next()).await;
            if let Ok(Some(more)) = more {
                linger(&hub, &mut live, more, &mut turn);
            }
        }
        fan_out(&hub, &mut turn);
        tokio::task::yield_now().await;
    }
}

/// Takes everything that is there.
fn linger(
    hub: &Arc<Hub>,
    live: &mut LiveSubscription,
    first: LiveEvent,
    turn: &mut Vec<Arc<StoredEvent>>,
) {
    let mut next = Some(first);
    while let Some(item) = next {
        match item {
            LiveEvent::Event(event) => turn.push(event),
            LiveEvent::HeadAdvanced(room_id, seq) => on_head_advanced(hub, &room_id, seq),
            LiveEvent::Lagged => hub.losses.record(),
        }
        next = if turn.len() < BATCH_MAX {
            live.try_next()
        } else {
            None
        };
    }
}

/// Whether writing this turn takes so much longer than [`LINGER`] that waiting for the events which
/// are on their way costs their readers nothing and saves them all a write.
fn has_large_audience(hub: &Arc<Hub>, turn: &[Arc<StoredEvent>]) -> bool {
    turn.last().is_some_and(|event| {
        let room = hub.room(&event.event.room_id);
        room.is_some_and(|room| lock(&room.state).subscriber_count() >= LARGE_AUDIENCE)
    })
}

fn on_head_advanced(hub: &Arc<Hub>, room_id: &RoomId, seq: Seq) {
    if let Some(room) = hub.room(room_id)
        && lock(&room.state).observe_head(seq)
    {
        repair_gap(hub, &room);
    }
}

fn fan_out(hub: &Arc<Hub>, turn: &mut Vec<Arc<StoredEvent>>) {
    if turn.len() > 1 {
        // Stable: the order within a room stays.
        turn.sort_by(|one, other| one.event.room_id.cmp(&other.event.room_id));
    }
    for events in turn.chunk_by(|one, other| one.event.room_id == other.event.room_id) {
        let room_id = &events[0].event.room_id;
        let find = || {
            let known = hub.room(room_id);
            known.or_else(|| hub.room_for_local_joins(events))
        };
        // One that has left the hub since it was found there takes nothing: it is looked for again.
        while let Some(room) = find() {
            if apply_events(hub, &room, events) {
                break;
            }
        }
        let now = Timestamp::now().as_millis();
        for event in events {
            let waited_ms = now.saturating_sub(event.event.sent_at.as_millis());
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a fan-out")]
            hub.metrics.fanout_latency_ms.record(waited_ms as f64);
        }
    }
    turn.clear();
}

/// Takes a room's events in the order they came; `false` when the room has left the hub.
fn apply_events(hub: &Arc<Hub>, room: &Arc<Room>, events: &[Arc<StoredEvent>]) -> bool {
    let now = hub.clock.now();
    let mut state = lock(&room.state);
    if state.evicted {
        return false;
    }
    let mut gap = false;
    let mut run = WriteBatch::default();
    for event in events {
        state.begin(before(event), now);
        if state.last() >= Some(event.seq) {
            debug!(seq = %event.seq, "dropped an event already applied");
        } else if state.filling || !state.is_next(event) {
            if !state.buffer_out_of_order(event.clone()) {
                debug!("reorder buffer is full; the gap repair will read its events");
            }
            gap = !state.filling;
        } else {
            run.push_event(hub, room, &mut state, event);
        }
    }
    run.flush(hub, &mut state);
    leave(hub, room, state);
    if gap {
        repair_gap(hub, room);
    }
    true
}

/// The seq before an event: its predecessor, or just before it when the log did not know that.
fn before(event: &StoredEvent) -> Seq {
    if event.prev > Seq::ZERO {
        event.prev
    } else {
        Seq::new(event.seq.get().saturating_sub(1)).unwrap_or(Seq::ZERO)
    }
}

/// Ends a change of the room, which leaves the hub when it has no local interest any more.
fn leave(hub: &Hub, room: &Arc<Room>, state: MutexGuard<'_, RoomState>) {
    let unwanted = state.is_idle();
    // The hub's table is locked before a room.
    drop(state);
    if unwanted {
        hub.release(room);
    }
}

/// Consecutive events that go out in one piece.
#[derive(Default)]
struct WriteBatch {
    frames: Vec<(Seq, Bytes)>,
}

impl WriteBatch {
    fn push_event(
        &mut self,
        hub: &Arc<Hub>,
        room: &Arc<Room>,
        state: &mut MutexGuard<'_, RoomState>,
        event: &Arc<StoredEvent>,
    ) {
        let frame = connection::encode(&event.frame());
        let now = hub.clock.now();
        state.advance(event, frame.clone(), now);
        self.frames.push((event.seq, frame));
        if event.event.body.changes_room() {
            // A removed member still gets the event of its removal, and nothing after it.
            self.flush(hub, state);
            hub.apply_membership_event(room, state, event, now);
        } else {
            if matches!(event.event.body, EventBody::MessageSent(_)) {
                state.typed(&event.event.sender_id);
            }
            super::notify::message_event(hub, room, state, event, now);
        }
    }

    fn flush(&mut self, hub: &Hub, state: &mut RoomState) {
        let all = match self.frames.as_slice() {
            [] => return,
            [(_, frame)] => frame.clone(),
            frames => {
                let mut all = Vec::with_capacity(frames.iter().map(|(_, frame)| frame.len()).sum());
                for (_, frame) in frames {
                    all.extend_from_slice(frame);
                }
                outbound::counted(all)
            }
        };
        let reached = state.deliver(&self.frames, &all, hub.clock.now());
        hub.metrics
            .deliveries
            .increment((reached * self.frames.len()) as u64);
        self.frames.clear();
    }
}

/// Reads what is missing between what the room has fanned out and what waits, once at a time.
pub(crate) fn repair_gap(hub: &Arc<Hub>, room: &Arc<Room>) {
    if std::mem::replace(&mut lock(&room.state).filling, true) {
        return;
    }
    metrics::counter!("chat_gap_fills_total").increment(1);
    let tracker = &hub.tracker;
    let (hub, room) = (hub.clone(), room.clone());
    tracker.spawn(async move {
        let mut back_off = BackOff::new(REPAIR_BACKOFF_MIN, REPAIR_BACKOFF_MAX);
        for tries in 0..REPAIR_ATTEMPTS_MAX {
            if tries > 0 {
                tokio::time::sleep(back_off.next_delay()).await;
            }
            match repair_gap_once(&hub, &room).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "failed to repair a gap"
                    );
                    if matches!(error, ReadError::Store(_)) && repair_gap_by_age(&hub, &room) {
                        return;
                    }
                }
            }
        }
        let mut state = lock(&room.state);
        state.filling = false;
        state.reorder_buffer = Vec::new();
    });
}

/// Whether nothing is missing any more.
async fn repair_gap_once(hub: &Arc<Hub>, room: &Arc<Room>) -> Result<bool, ReadError> {
    loop {
        let Some(cursor) = lock(&room.state).last() else {
            return Ok(false);
        };
        let page = hub
            .timeline
            .events_after(&room.id, cursor, REPAIR_PAGE)
            .await?;
        let mut state = apply(hub, room, &page);
        let ended = state.reorder_buffer.is_empty() && !page.has_more;
        if ended || state.evicted {
            state.filling = false;
        }
        let filling = state.filling;
        leave(hub, room, state);
        if !filling {
            return Ok(true);
        }
        if page.events.is_empty() {
            return Ok(false);
        }
    }
}

/// Applies events that were read after the room's seq, and the buffered events behind them.
fn apply<'a>(hub: &Arc<Hub>, room: &'a Arc<Room>, page: &EventPage) -> MutexGuard<'a, RoomState> {
    let mut state = lock(&room.state);
    let mut run = WriteBatch::default();
    if !page.is_complete {
        warn!(room_id = %room.id, "events of a room are permanently lost; closed its subscribers");
        for connection in state.mark_unconfirmed() {
            connection.close(CloseCode::StateLost, hub.clock.now());
        }
    }
    for event in &page.events {
        if state.last() < Some(event.seq) {
            run.push_event(hub, room, &mut state, event);
        }
    }
    push_reordered(hub, room, &mut state, &mut run, RoomState::is_next);
    run.flush(hub, &mut state);
    state
}

/// Applies the events that waited and are next now.
fn push_reordered(
    hub: &Arc<Hub>,
    room: &Arc<Room>,
    state: &mut MutexGuard<'_, RoomState>,
    run: &mut WriteBatch,
    is_next: impl Fn(&RoomState, &StoredEvent) -> bool,
) {
    let mut waiting = std::mem::take(&mut state.reorder_buffer);
    waiting.sort_by_key(|event| event.seq);
    for event in waiting {
        if state.last() >= Some(event.seq) {
            continue;
        }
        if is_next(state, &event) {
            run.push_event(hub, room, state, &event);
        } else {
            state.reorder_buffer.push(event);
        }
    }
}

/// While the store is away, the first event after a room's long silence cannot be read for certain. A
/// comparison with the log not long ago proves as well that nothing is missing before it.
fn repair_gap_by_age(hub: &Arc<Hub>, room: &Arc<Room>) -> bool {
    let now = hub.clock.now();
    let mut state = lock(&room.state);
    let mut run = WriteBatch::default();
    push_reordered(hub, room, &mut state, &mut run, |state, event| {
        state.is_next(event) || state.is_next_by_age(event, now)
    });
    run.flush(hub, &mut state);
    let filled = state.reorder_buffer.is_empty() && !state.is_behind();
    if filled {
        state.filling = false;
    }
    leave(hub, room, state);
    filled
}

/// Reads and applies the room's events up to `place`, unless that has been done. What cannot be read by
/// this version is passed over.
pub(crate) async fn catch_up_to(
    hub: &Arc<Hub>,
    room: &Arc<Room>,
    place: Seq,
) -> Result<(), ReadError> {
    loop {
        let cursor = {
            let mut state = lock(&room.state);
            match state.last() {
                Some(last) if last < place => {
                    state.observe_head(place);
                    last
                }
                _ => return Ok(()),
            }
        };
        let page = hub
            .timeline
            .events_after(&room.id, cursor, REPAIR_PAGE)
            .await?;
        let state = apply(hub, room, &page);
        leave(hub, room, state);
        if page.events.is_empty() {
            return Ok(());
        }
    }
}

/// Compares the heads of all rooms here with the log's, every so often and whenever something may
/// have been lost, until `stop`.
pub(crate) async fn reconcile_loop(hub: Arc<Hub>, stop: CancellationToken) {
    let mut seen_at = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(RECONCILE_INTERVAL) => {}
            () = hub.losses.recorded() => {}
            () = stop.cancelled() => return,
        }
        let losses = hub.losses.noted();
        match reconcile_all(&hub).await {
            Ok(()) => {
                hub.losses.looked_into(losses);
                hub.blind.store(false, Ordering::Release);
                seen_at = tokio::time::Instant::now();
            }
            Err(error) => {
                hub.blind.store(true, Ordering::Release);
                warn!(
                    error = &error as &dyn std::error::Error,
                    "failed to reconcile heads with the log"
                );
                if seen_at.elapsed() >= LOG_UNREACHABLE_MAX {
                    hub.close_all(CloseCode::StateLost).await;
                }
            }
        }
    }
}

async fn reconcile_all(hub: &Arc<Hub>) -> Result<(), roomcast_ports::event_log::LogError> {
    let now = hub.clock.now();
    let mut rooms = hub.all_rooms();
    rooms.retain(|room| {
        let mut state = lock(&room.state);
        state.evict_idle_cache(now);
        state.has_local_interest()
    });
    if rooms.is_empty() {
        // There is no room to reconcile, but an unavailable log should be detected all the same.
        hub.log.ping().await?;
    }
    reconcile_rooms(hub, &rooms).await
}

/// Compares the heads of these rooms with the log's, and reads what is missing here.
pub(super) async fn reconcile_rooms(
    hub: &Arc<Hub>,
    rooms: &[Arc<Room>],
) -> Result<(), roomcast_ports::event_log::LogError> {
    for batch in rooms.chunks(RECONCILE_BATCH) {
        let room_ids: Vec<RoomId> = batch.iter().map(|room| room.id.clone()).collect();
        let now = hub.clock.now();
        let heads = hub.log.heads(&room_ids).await?;
        for (room, head) in batch.iter().zip(heads) {
            if is_behind(&mut lock(&room.state), head, now) {
                repair_gap(hub, room);
            }
        }
    }
    Ok(())
}

/// Whether the room has events in the log that it lacks here. `head` is the log's, asked at `now`.
fn is_behind(state: &mut RoomState, head: Seq, now: Seconds) -> bool {
    // A room without a known seq has no confirmed member. The log may hold nothing of it.
    if head > Seq::ZERO {
        state.begin(head, now);
    }
    let behind = state.observe_head(head);
    if !behind {
        state.head_checked(now);
    }
    behind
}
