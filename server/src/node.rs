//! The services of this process: built from ports, started by role, stopped in order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use roomcast_accounts::{Accounts, DepartureWorker, Issuer, KeyRing};
use roomcast_gateway::{Gateway, GatewayConfig, GatewayPorts};
use roomcast_history::History;
use roomcast_ingest::Ingest;
use roomcast_ports::access::{Authenticator, Memberships};
use roomcast_presence::PresenceService;
use roomcast_rooms::Rooms;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, ChangeBudget, PageMemory, Services};
use crate::backends::Backends;
use crate::config::{Role, Settings, TokenKey};
use crate::listeners::Listeners;
use crate::readiness::Readiness;
use crate::{admin, http_server, telemetry};

/// Everything that is built and not yet running.
pub(crate) struct Node {
    services: Arc<Services>,
    ingest: Ingest,
    departures: DepartureWorker,
    readiness: Arc<Readiness>,
    settings: Settings,
    backends: Backends,
}

/// Everything that runs.
pub(crate) struct RunningNode {
    gateway: Gateway,
    readiness: Arc<Readiness>,
    backends: Backends,
    tasks: TaskTracker,
    stop_calls: CancellationToken,
    stop_loops: CancellationToken,
    stop_admin: CancellationToken,
}

impl Node {
    /// Puts the services together.
    pub(crate) fn build(settings: &Settings, backends: Backends) -> anyhow::Result<Self> {
        let history = History::new(backends.log.clone(), backends.reader.clone());
        let rooms = Arc::new(Rooms::new(
            backends.log.clone(),
            backends.directory.clone(),
            backends.writer.clone(),
            backends.reader.clone(),
        ));
        let issuer = Issuer::open(&settings.data).context("open the signing key")?;
        let sources: Vec<_> = settings.token_keys.iter().map(TokenKey::source).collect();
        let ring =
            KeyRing::open(&issuer, &sources, backends.sessions.clone()).context("--token-key")?;
        let authenticator: Arc<dyn Authenticator> = Arc::new(ring);
        let memberships: Arc<dyn Memberships> = rooms.clone();
        let ports = GatewayPorts {
            log: backends.log.clone(),
            timeline: Arc::new(history.clone()),
            memberships: memberships.clone(),
            directory: backends.directory.clone(),
            presence: backends.presence.clone(),
            signals: backends.signals.clone(),
            authenticator: authenticator.clone(),
        };
        let departure_noted = Arc::default();
        let services = Services {
            authenticator,
            memberships,
            accounts: Accounts::new(
                backends.accounts.clone(),
                backends.sessions.clone(),
                backends.signals.clone(),
                Arc::clone(&departure_noted),
                Arc::new(issuer),
            ),
            trusted_proxies: settings.trusted_proxies.clone(),
            rooms,
            history,
            gateway: Gateway::new(ports, gateway_config(settings)),
            presence: PresenceService::new(backends.presence.clone(), backends.signals.clone()),
            change_budget: ChangeBudget::default(),
            page_memory: PageMemory::default(),
        };
        Ok(Self {
            departures: DepartureWorker::new(
                backends.accounts.clone(),
                services.rooms.clone(),
                departure_noted,
            ),
            services: Arc::new(services),
            ingest: Ingest::new(
                backends.log.clone(),
                backends.writer.clone(),
                backends.dead_letters.clone(),
            ),
            readiness: Arc::new(Readiness::starting(backends.log.clone())),
            settings: settings.clone(),
            backends,
        })
    }

    /// Starts what the roles ask for.
    pub(crate) fn start(self, ports: Listeners, metrics: PrometheusHandle) -> RunningNode {
        let running = RunningNode {
            gateway: self.services.gateway.clone(),
            readiness: self.readiness,
            backends: self.backends,
            tasks: TaskTracker::new(),
            stop_calls: CancellationToken::new(),
            stop_loops: CancellationToken::new(),
            stop_admin: CancellationToken::new(),
        };
        let (tasks, roles) = (&running.tasks, &self.settings.roles);
        if roles.contains(&Role::Ingest) {
            let (ingest, stop) = (self.ingest, running.stop_loops.clone());
            tasks.spawn(async move { ingest.run(stop).await });
        }
        if roles.contains(&Role::Presence) {
            let (presence, stop) = (self.services.presence.clone(), running.stop_loops.clone());
            tasks.spawn(async move { presence.run(stop).await });
        }
        if roles.contains(&Role::Accounts) {
            let (accounts, stop) = (self.services.accounts.clone(), running.stop_loops.clone());
            tasks.spawn(async move { accounts.run(stop).await });
        }
        if roles.contains(&Role::Rooms) {
            let (departures, stop) = (self.departures, running.stop_loops.clone());
            tasks.spawn(async move { departures.run(stop).await });
        }
        tasks.spawn(telemetry::metrics::upkeep_loop(
            metrics.clone(),
            running.stop_admin.clone(),
        ));
        tasks.spawn(http_server::serve(
            ports.admin,
            admin::router(running.readiness.clone(), metrics),
            running.stop_admin.clone(),
            tasks.clone(),
        ));
        let origins = self.settings.allowed_origins.clone();
        let router = api::router(self.services, roles, origins);
        if roles.contains(&Role::Gateway) {
            let gateway = running.gateway.clone();
            gateway.start();
            tasks.spawn(async move { gateway.serve(ports.http, router).await });
        } else {
            let stop = running.stop_calls.clone();
            tasks.spawn(http_server::serve(ports.http, router, stop, tasks.clone()));
        }
        running.readiness.serving();
        running
    }
}

impl RunningNode {
    /// Gives everything back in the order in which it is no longer needed: connections first, what
    /// answers them next, what operators look at last.
    pub(crate) async fn drain(self, within: Duration) {
        self.readiness.draining();
        self.gateway.drain(within).await;
        self.stop_calls.cancel();
        self.stop_loops.cancel();
        self.stop_admin.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.backends.close().await;
    }
}

fn gateway_config(settings: &Settings) -> GatewayConfig {
    GatewayConfig {
        allowed_origins: settings.allowed_origins.clone(),
        token_recheck: settings.token_recheck,
        presence_ttl: settings.presence_ttl,
        replay_max: settings.replay_max,
        sends_per_second: settings.sends_per_second,
        send_burst: settings.send_burst,
        connections_per_user_max: settings.connections_per_user,
        ..GatewayConfig::default()
    }
}
