//! The service over the embedded adapter, on a paused clock.

mod gauge;
mod stores;

use std::sync::Arc;
use std::time::Duration;

use roomcast_embedded::Embedded;
use roomcast_ports::presence::{Lease, Presence, PresenceStore};
use roomcast_ports::pubsub::{EphemeralEvent, EphemeralSubscription, PubSub};
use roomcast_protocol::{ConnectionId, ErrorCode, EventId, PresenceStatus, UserId};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::PresenceService;
use gauge::Gauges;
use stores::{Away, Noticing, Stuck};

const TTL: Duration = Duration::from_secs(90);
const GRACE: Duration = Duration::from_secs(5);

/// Presence and signals, which are in memory: nothing of the directory is used.
fn embedded() -> (Arc<dyn PresenceStore>, Arc<dyn PubSub>) {
    let path = std::env::temp_dir().join(format!("roomcast-presence-{}", EventId::generate()));
    let embedded = Embedded::open(&path).unwrap();
    let ports = (embedded.presence(), embedded.signals());
    drop(embedded);
    std::fs::remove_dir_all(&path).unwrap();
    ports
}

/// A service that runs until the test ends.
struct Running {
    service: PresenceService,
    news: EphemeralSubscription,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    fn start(store: Arc<dyn PresenceStore>, signals: Arc<dyn PubSub>) -> Self {
        let news = signals.subscribe();
        let service = PresenceService::new(store, signals);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (sweeper, stopped) = (service.clone(), stop.clone());
        tasks.spawn(async move { sweeper.run(stopped).await });
        tasks.close();
        Self {
            service,
            news,
            stop,
            tasks,
        }
    }

    /// The next news, and how long it took to come.
    async fn news(&mut self) -> (UserId, PresenceStatus, Duration) {
        let asked = Instant::now();
        match timeout(2 * TTL, self.news.recv()).await.unwrap() {
            Some(EphemeralEvent::Presence {
                user_id, status, ..
            }) => (user_id, status, asked.elapsed()),
            other => panic!("no presence: {other:?}"),
        }
    }

    async fn status(&self, user_id: &UserId) -> PresenceStatus {
        let read = self
            .service
            .read(std::slice::from_ref(user_id))
            .await
            .unwrap();
        assert_eq!(read.users.len(), 1);
        read.users[0].status
    }
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn lease(name: &str, status: PresenceStatus) -> Lease {
    Lease {
        user_id: user(name),
        connection_id: ConnectionId::new(&format!("of-{name}")).unwrap(),
        status,
        gateway: "g".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn each_is_read_in_the_order_asked_whether_known_or_not() {
    let (store, signals) = embedded();
    let service = PresenceService::new(Arc::clone(&store), signals);
    let leases = [
        lease("ana", PresenceStatus::Away),
        lease("bo", PresenceStatus::Online),
    ];
    store.renew(&leases, TTL).await.unwrap();
    let read = service
        .read(&[user("bo"), user("nobody"), user("ana")])
        .await
        .unwrap();
    let read: Vec<_> = read
        .users
        .iter()
        .map(|view| (view.user_id.as_str(), view.status))
        .collect();
    assert_eq!(
        read,
        [
            ("bo", PresenceStatus::Online),
            ("nobody", PresenceStatus::Offline),
            ("ana", PresenceStatus::Away),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn presence_changes_are_published_within_half_a_second() {
    let (store, signals) = embedded();
    let mut running = Running::start(Arc::clone(&store), signals);
    let ana = lease("ana", PresenceStatus::Online);
    store.renew(std::slice::from_ref(&ana), TTL).await.unwrap();
    let (user_id, status, took) = running.news().await;
    assert_eq!((user_id, status), (user("ana"), PresenceStatus::Online));
    assert!(took < Duration::from_millis(500), "{took:?}");

    store
        .shorten(&[(ana.user_id.clone(), ana.connection_id.clone())], GRACE)
        .await
        .unwrap();
    let (user_id, status, took) = running.news().await;
    assert_eq!((user_id, status), (user("ana"), PresenceStatus::Offline));
    assert!(
        (GRACE..GRACE + Duration::from_millis(500)).contains(&took),
        "{took:?}"
    );
    assert_eq!(running.status(&user("ana")).await, PresenceStatus::Offline);
}

#[tokio::test(start_paused = true)]
async fn user_without_renewal_is_offline_when_the_lease_ends() {
    let (store, signals) = embedded();
    let mut running = Running::start(Arc::clone(&store), signals);
    store
        .renew(&[lease("ana", PresenceStatus::Online)], TTL)
        .await
        .unwrap();
    running.news().await;
    let (_, status, took) = running.news().await;
    assert_eq!(status, PresenceStatus::Offline);
    assert!(took <= TTL + Duration::from_millis(500), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn unavailable_store_is_retried_and_its_changes_published() {
    let (store, signals) = embedded();
    let away = Arc::new(Away::new(Arc::clone(&store)));
    let mut running = Running::start(Arc::clone(&away) as _, signals);
    let refusal = running.service.read(&[user("ana")]).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Internal);
    tokio::time::sleep(Duration::from_secs(600)).await;
    store
        .renew(&[lease("ana", PresenceStatus::Online)], 10 * TTL)
        .await
        .unwrap();
    assert!(away.asked() > 100, "asked {} times", away.asked());

    away.come_back();
    let (_, status, took) = running.news().await;
    assert_eq!(status, PresenceStatus::Online);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_given_up_and_asked_again() {
    let (_, signals) = embedded();
    let stuck = Arc::new(Stuck::default());
    let _running = Running::start(Arc::clone(&stuck) as _, signals);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(stuck.asked() > 5, "asked {} times", stuck.asked());
}

#[tokio::test(start_paused = true)]
async fn expired_lease_is_published_before_a_sweep() {
    let (_, signals) = embedded();
    let noticed = Presence {
        user_id: user("ana"),
        status: PresenceStatus::Offline,
        last_seen: None,
    };
    let store = Noticing(Some(noticed).into());
    let mut running = Running::start(Arc::new(store), signals);
    let (user_id, status, took) = running.news().await;
    assert_eq!((user_id, status), (user("ana"), PresenceStatus::Offline));
    assert!(took < Duration::from_millis(250), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn sweep_ends_on_stop() {
    let (store, signals) = embedded();
    let running = Running::start(store, signals);
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.stop.cancel();
    timeout(Duration::from_millis(1), running.tasks.wait())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn gauge_counts_online_and_away_users() {
    let gauges = Gauges::default();
    let _installed = metrics::set_default_local_recorder(&gauges);
    let (store, signals) = embedded();
    let _running = Running::start(Arc::clone(&store), signals);
    let leases = [
        lease("ana", PresenceStatus::Away),
        lease("bo", PresenceStatus::Online),
    ];
    store.renew(&leases, TTL).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(gauges.read("presence_online_users"), Some(2.0));
    tokio::time::sleep(TTL).await;
    assert_eq!(gauges.read("presence_online_users"), Some(0.0));
}
