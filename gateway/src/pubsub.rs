//! Publishes ephemeral events, and delivers those of other gateways and services to local connections.

use std::sync::Arc;

use roomcast_ports::pubsub::{EphemeralEvent, EphemeralSubscription, PubSub};
use roomcast_protocol::ServerFrame;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::connection;
use crate::hub::{Hub, notify};
use crate::lock::lock;

/// Passes signals on to those here whom they concern, until `stop`.
pub(crate) async fn run(
    hub: Arc<Hub>,
    mut signals: EphemeralSubscription,
    stop: CancellationToken,
) {
    loop {
        let signal = tokio::select! {
            signal = signals.recv() => signal,
            () = stop.cancelled() => return,
        };
        match signal {
            Some(signal) => deliver(&hub, &signal),
            None => return,
        }
    }
}

fn deliver(hub: &Hub, signal: &EphemeralEvent) {
    let now = hub.clock.now();
    match signal {
        EphemeralEvent::Typing { room_id, user_id } => {
            let Some(room) = hub.room(room_id) else {
                return;
            };
            let frame = connection::encode(&ServerFrame::Typing {
                room_id: room_id.clone(),
                user_id: user_id.clone(),
            });
            lock(&room.state).broadcast_ephemeral(&frame, Some(user_id), now);
        }
        EphemeralEvent::Receipt {
            room_id,
            user_id,
            marks,
            read,
            delivered,
        } => {
            let room = hub.room(room_id);
            if *read && let Some(user) = hub.user(user_id) {
                let state = room.as_ref().map(|room| lock(&room.state));
                notify::read(state.as_deref(), &user, room_id, marks.read, now);
            }
            let Some(room) = room else {
                return;
            };
            let frame = connection::encode(&ServerFrame::Receipt {
                room_id: room_id.clone(),
                user_id: user_id.clone(),
                read: read.then_some(marks.read),
                delivered: delivered.then_some(marks.delivered),
            });
            lock(&room.state).broadcast_ephemeral(&frame, None, now);
        }
        EphemeralEvent::Presence {
            user_id,
            status,
            last_seen,
        } => {
            hub.watchers.notify(user_id, *status, *last_seen, now);
        }
    }
}

/// Publishes what may be lost; the log knows when it was.
pub(crate) async fn publish_signal(signals: &dyn PubSub, signal: EphemeralEvent) {
    if let Err(error) = signals.publish(signal).await {
        debug!(
            error = &error as &dyn std::error::Error,
            "failed to publish an ephemeral event"
        );
    }
}
