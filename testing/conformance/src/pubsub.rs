//! The promises of [`PubSub`].

use std::sync::Arc;

use roomcast_protocol::{RoomId, SessionId, UserId};

use super::sample::user;
use super::within_timeout;
use roomcast_ports::pubsub::{
    EphemeralEvent, EphemeralSubscription, PubSub, Revocation, RevocationSubscription,
};

/// Signals to test.
pub trait SignalsHarness: Send {
    /// The signals, as one process has them.
    fn signals(&self) -> Arc<dyn PubSub>;
}

async fn next_in(stream: &mut EphemeralSubscription, room: &RoomId) -> EphemeralEvent {
    loop {
        let signal = within_timeout("a signal", stream.recv())
            .await
            .expect("signals have not ended");
        if matches!(&signal, EphemeralEvent::Typing { room_id, .. } if room_id == room) {
            return signal;
        }
    }
}

/// Every subscriber gets published events in order; the publisher as well.
pub async fn every_listener_gets_signals_in_order(harness: &mut impl SignalsHarness) {
    let (signals, room_id) = (harness.signals(), RoomId::generate());
    let mut listeners = [signals.subscribe(), signals.subscribe()];
    let typing: Vec<EphemeralEvent> = (0..20)
        .map(|_| EphemeralEvent::Typing {
            room_id: room_id.clone(),
            user_id: user(),
        })
        .collect();
    for signal in &typing {
        signals
            .publish(signal.clone())
            .await
            .expect("publish a signal");
    }
    for listener in &mut listeners {
        for signal in &typing {
            assert_eq!(next_in(listener, &room_id).await, *signal);
        }
    }
}

/// Publishing without a listener is no fault, and who listens later does not get it.
pub async fn a_signal_without_listeners_is_gone(harness: &mut impl SignalsHarness) {
    let (signals, room_id) = (harness.signals(), RoomId::generate());
    let typing = |user_id| EphemeralEvent::Typing {
        room_id: room_id.clone(),
        user_id,
    };
    signals
        .publish(typing(user()))
        .await
        .expect("publish a signal");
    let mut late = signals.subscribe();
    let second = typing(user());
    signals
        .publish(second.clone())
        .await
        .expect("publish a signal");
    assert_eq!(next_in(&mut late, &room_id).await, second);
}

async fn next_of(stream: &mut RevocationSubscription, user: &UserId) -> SessionId {
    loop {
        let revocation = within_timeout("a revocation", stream.recv())
            .await
            .expect("revocations have not ended");
        match revocation {
            Revocation::SessionEnded {
                session_id,
                user_id,
            } if user_id == *user => return session_id,
            Revocation::SessionEnded { .. } => {}
            Revocation::Missed => panic!("a revocation was lost"),
        }
    }
}

/// Every listener gets every revocation, also one that does not keep up with a flood of signals.
pub async fn revocations_are_not_lost_in_a_flood_of_signals(harness: &mut impl SignalsHarness) {
    let (signals, room_id, user_id) = (harness.signals(), RoomId::generate(), user());
    let mut listeners = [
        signals.subscribe_revocations(),
        signals.subscribe_revocations(),
    ];
    // It never reads, so signals pile up and are lost.
    let _behind = signals.subscribe();
    let session_ids: Vec<SessionId> = (0..3).map(|_| SessionId::generate()).collect();
    for session_id in &session_ids {
        for _ in 0..10_000 {
            let typing = EphemeralEvent::Typing {
                room_id: room_id.clone(),
                user_id: user_id.clone(),
            };
            signals.publish(typing).await.expect("publish a signal");
        }
        let revoked = signals.revoke(session_id.clone(), user_id.clone()).await;
        revoked.expect("publish a revocation");
    }
    for listener in &mut listeners {
        for session_id in &session_ids {
            assert_eq!(next_of(listener, &user_id).await, *session_id);
        }
    }
}

/// Makes a test of every promise of signals; `$make` is an async function that gives a harness.
#[macro_export]
macro_rules! pubsub_conformance {
    ($make:ident) => {
        $crate::conformance_tests!(
            $make,
            pubsub,
            [
                every_listener_gets_signals_in_order,
                a_signal_without_listeners_is_gone,
                revocations_are_not_lost_in_a_flood_of_signals,
            ]
        );
    };
}
