//! Sockets in, events out; holds nothing that must survive.
//!
//! A client's frame goes from its [`connection`] through the [`session`]'s rules to [`publish`], which
//! gives it to the log; the log's live events come back to the [`hub`], which writes them to
//! every subscribed connection. The other modules support these two paths.

pub mod codec;
pub mod config;
pub mod origin;
pub mod outbound;
pub mod parser_refusals;
pub mod rate_limit;
mod revocations;
pub mod stall;

mod accept;
mod clock;
mod connection;
mod dispatch;
mod drain;
mod handshake;
mod http_publish;
mod hub;
mod lock;
mod membership;
mod port_errors;
mod presence_heartbeat;
mod publish;
mod pubsub;
mod receipts;
mod session;
mod subscribe;
mod task;
mod timer_wheel;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use roomcast_ports::access::{Authenticator, Memberships};
use roomcast_ports::directory::RoomDirectory;
use roomcast_ports::event_log::EventLog;
use roomcast_ports::presence::PresenceStore;
use roomcast_ports::pubsub::PubSub;
use roomcast_ports::timeline::Timeline;
use roomcast_protocol::limits;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::GatewayConfig;
pub use http_publish::HttpPublish;

/// What a gateway asks of the world.
#[derive(Clone)]
#[expect(missing_docs, reason = "each port says what it is")]
pub struct GatewayPorts {
    pub log: Arc<dyn EventLog>,
    pub timeline: Arc<dyn Timeline>,
    pub memberships: Arc<dyn Memberships>,
    pub directory: Arc<dyn RoomDirectory>,
    pub presence: Arc<dyn PresenceStore>,
    pub signals: Arc<dyn PubSub>,
    pub authenticator: Arc<dyn Authenticator>,
}

/// A gateway, running from its making until [`drain`](Gateway::drain). Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<GatewayState>,
}

/// What all of a gateway's tasks share.
pub(crate) struct GatewayState {
    pub(crate) config: GatewayConfig,
    pub(crate) ports: GatewayPorts,
    pub(crate) hub: hub::Hub,
    pub(crate) clock: clock::Clock,
    pub(crate) wheel: timer_wheel::TimerWheel,
    pub(crate) vitals: presence_heartbeat::PresenceReporter,
    pub(crate) rates: rate_limit::RateLimiter,
    pub(crate) revocations: revocations::RecentRevocations,
    pub(crate) receipts: receipts::Receipts,
    /// What each user has had replayed lately.
    pub(crate) replayed: rate_limit::RateLimiter,
    /// Turns to read a page of a replay.
    pub(crate) replay_reads: Semaphore,
    pub(crate) metrics: Metrics,
    pub(crate) tracker: TaskTracker,
    pub(crate) audit_now: Notify,
    /// The last list of a user's rooms could not be read: the next is loaded in the background.
    pub(crate) room_list_failing: AtomicBool,
    /// Turns to read the list of a user's rooms.
    pub(crate) room_list_permits: Semaphore,
    /// Live events that were lost on the way here.
    pub(crate) losses: hub::losses::Losses,
    pub(crate) second_looks: hub::subscribe_race_check::HeadChecks,
    /// Turns to look up what notifications need.
    pub(crate) notification_lookups: Semaphore,
    /// The log did not answer the last time it was asked: what is known here may be old.
    pub(crate) blind: AtomicBool,
    pub(crate) optional_lookups: publish::OptionalLookups,
    stop: CancellationToken,
    draining: AtomicBool,
    /// Events given to the log by this gateway's connections and not answered yet.
    in_flight: AtomicUsize,
}

/// The metrics of the hot path, looked up once.
pub(crate) struct Metrics {
    pub(crate) fanout_latency_ms: metrics::Histogram,
    pub(crate) deliveries: metrics::Counter,
    pub(crate) active_sessions: metrics::Gauge,
}

impl Gateway {
    /// A gateway that does nothing yet: what it sends for others it can send.
    pub fn new(ports: GatewayPorts, config: GatewayConfig) -> Self {
        let shared = Arc::new(GatewayState {
            config,
            ports,
            hub: hub::Hub::new(),
            clock: clock::Clock::start(),
            wheel: timer_wheel::TimerWheel::new(),
            vitals: presence_heartbeat::PresenceReporter::default(),
            rates: rate_limit::RateLimiter::default(),
            revocations: revocations::RecentRevocations::default(),
            receipts: receipts::Receipts::default(),
            replayed: rate_limit::RateLimiter::default(),
            replay_reads: Semaphore::new(limits::REPLAY_READ_CONCURRENCY_MAX),
            metrics: Metrics {
                fanout_latency_ms: metrics::histogram!("chat_messages_fanout_latency_ms"),
                deliveries: metrics::counter!("chat_deliveries_total"),
                active_sessions: metrics::gauge!("chat_ws_active_sessions"),
            },
            tracker: TaskTracker::new(),
            audit_now: Notify::new(),
            room_list_failing: AtomicBool::new(false),
            room_list_permits: Semaphore::new(dispatch::ROOM_LIST_CONCURRENCY_MAX),
            losses: hub::losses::Losses::default(),
            second_looks: hub::subscribe_race_check::HeadChecks::default(),
            notification_lookups: Semaphore::new(hub::notify::LOOKUPS_MAX),
            blind: AtomicBool::new(false),
            optional_lookups: publish::OptionalLookups::default(),
            stop: CancellationToken::new(),
            draining: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
        });
        shared.metrics.active_sessions.set(0.0);
        Self { shared }
    }

    /// Begins to listen to the log and to keep its users' presence. Must be called within a Tokio
    /// runtime, once, before the first connection.
    pub fn start(&self) {
        self.shared.spawn_loops();
    }

    /// Whether the gateway takes new connections.
    pub fn is_ready(&self) -> bool {
        !self.shared.is_draining()
    }
}

impl GatewayState {
    fn spawn_loops(self: &Arc<Self>) {
        let live = self.ports.log.subscribe();
        let signals = self.ports.signals.subscribe();
        let revocations = self.ports.signals.subscribe_revocations();
        let stop = &self.stop;
        self.tracker
            .spawn(hub::fanout::run(self.clone(), live, stop.clone()));
        self.tracker
            .spawn(hub::fanout::reconcile_loop(self.clone(), stop.clone()));
        self.tracker
            .spawn(hub::subscribe_race_check::run(self.clone(), stop.clone()));
        self.tracker
            .spawn(pubsub::run(self.clone(), signals, stop.clone()));
        self.tracker
            .spawn(revocations::run(self.clone(), revocations, stop.clone()));
        self.tracker
            .spawn(presence_heartbeat::run(self.clone(), stop.clone()));
        self.tracker
            .spawn(receipts::run(self.clone(), stop.clone()));
        let (shared, stop) = (self.clone(), stop.clone());
        self.tracker
            .spawn(async move { shared.wheel.run(&shared.clock, &stop).await });
    }

    /// Counts an event given to the log, until the guard is dropped with its answer.
    pub(crate) fn track_in_flight(self: &Arc<Self>) -> InFlightGuard {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlightGuard(self.clone())
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// An event that the log has been given and has not answered.
pub(crate) struct InFlightGuard(Arc<GatewayState>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
