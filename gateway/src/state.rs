//! The state that a gateway's connections share, made of the layers below, and the loops over it.
//!
//! The layers below take their own parts of it, so that none can use a layer above.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::GatewayConfig;
use crate::hub::{self, Hub};
use crate::presence_heartbeat::PresenceReporter;
use crate::publish::OptionalLookups;
use crate::rate_limit::RateLimiter;
use crate::receipts::Receipts;
use crate::revocations::RecentRevocations;
use crate::room_lists::RoomLists;
use crate::subscribe::replay::ReplayLimits;
use crate::timer_wheel::TimerWheel;
use crate::{GatewayPorts, pubsub};

/// One gateway.
pub(crate) struct GatewayState {
    pub(crate) config: GatewayConfig,
    pub(crate) ports: GatewayPorts,
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Clock,
    pub(crate) wheel: TimerWheel,
    pub(crate) presence_reporter: PresenceReporter,
    pub(crate) rates: RateLimiter,
    pub(crate) revocations: RecentRevocations,
    pub(crate) receipts: Receipts,
    pub(crate) replay_limits: ReplayLimits,
    pub(crate) room_lists: RoomLists,
    pub(crate) optional_lookups: OptionalLookups,
    pub(crate) active_sessions: metrics::Gauge,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
    draining: AtomicBool,
}

impl GatewayState {
    pub(crate) fn new(ports: GatewayPorts, config: GatewayConfig) -> Self {
        let (clock, tracker) = (Clock::start(), TaskTracker::new());
        let (log, timeline) = (ports.log.clone(), ports.timeline.clone());
        let (presence, name) = (ports.presence.clone(), config.name.clone());
        let active_sessions = metrics::gauge!("chat_ws_active_sessions");
        active_sessions.set(0.0);
        Self {
            hub: Arc::new(Hub::new(log, timeline, clock, tracker.clone())),
            clock,
            wheel: TimerWheel::new(),
            presence_reporter: PresenceReporter::new(presence, name, config.presence_ttl),
            rates: RateLimiter::default(),
            revocations: RecentRevocations::default(),
            receipts: Receipts::default(),
            replay_limits: ReplayLimits::new(config.replay_max),
            room_lists: RoomLists::new(),
            optional_lookups: OptionalLookups::default(),
            active_sessions,
            tracker,
            stop: CancellationToken::new(),
            draining: AtomicBool::new(false),
            config,
            ports,
        }
    }

    /// Spawns what a gateway does beside its connections.
    pub(crate) fn spawn_loops(self: &Arc<Self>) {
        let live = self.ports.log.subscribe();
        let signals = self.ports.signals.subscribe();
        let revocations = self.ports.signals.subscribe_revocations();
        let (hub, stop, tracker) = (&self.hub, &self.stop, &self.tracker);
        tracker.spawn(hub::fanout::run(hub.clone(), live, stop.clone()));
        tracker.spawn(hub::fanout::reconcile_loop(hub.clone(), stop.clone()));
        tracker.spawn(hub::subscribe_race_check::run(hub.clone(), stop.clone()));
        tracker.spawn(pubsub::run(hub.clone(), signals, stop.clone()));
        let it = self.clone();
        tracker.spawn(async move { it.revocations.run(&it.hub, revocations, &it.stop).await });
        let it = self.clone();
        tracker.spawn(async move { it.presence_reporter.run(&it.hub, &it.stop).await });
        let it = self.clone();
        tracker.spawn(async move { it.receipts.run(&*it.ports.signals, &it.stop).await });
        let it = self.clone();
        tracker.spawn(async move { it.wheel.run(&it.clock, &it.stop).await });
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Refuses new connections from now on.
    pub(crate) fn start_drain(&self) {
        self.draining.store(true, Ordering::Release);
    }
}
