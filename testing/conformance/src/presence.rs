//! The promises of [`PresenceStore`].
//!
//! Time is counted in ticks of the harness: long on a paused clock, short on a server's.

use std::sync::Arc;
use std::time::Duration;

use roomcast_protocol::{ConnectionId, PresenceStatus, UserId};

use super::sample::user;
use roomcast_ports::presence::{Lease, Presence, PresenceStore};

use PresenceStatus::{Away, Offline, Online};

/// A presence store to test.
pub trait PresenceHarness: Send {
    /// The store.
    fn presence(&self) -> Arc<dyn PresenceStore>;

    /// A span that is long against how exactly the store keeps time.
    fn tick(&self) -> Duration;
}

/// A store with a clock.
struct Here {
    store: Arc<dyn PresenceStore>,
    tick: Duration,
}

impl Here {
    fn of(harness: &impl PresenceHarness) -> Self {
        Self {
            store: harness.presence(),
            tick: harness.tick(),
        }
    }

    async fn touch(&self, connection: &(UserId, ConnectionId), status: PresenceStatus, ticks: u32) {
        let lease = Lease {
            user_id: connection.0.clone(),
            connection_id: connection.1.clone(),
            status,
            gateway: "gateway".into(),
        };
        self.store
            .renew(&[lease], self.tick * ticks)
            .await
            .expect("touch a lease");
    }

    async fn release(&self, connection: &(UserId, ConnectionId), ticks: u32) {
        let grace = self.tick * ticks;
        self.store
            .shorten(std::slice::from_ref(connection), grace)
            .await
            .expect("release a connection");
    }

    async fn status(&self, user_id: &UserId) -> PresenceStatus {
        self.read(user_id).await.status
    }

    async fn read(&self, user_id: &UserId) -> Presence {
        let mut read = self
            .store
            .read(std::slice::from_ref(user_id))
            .await
            .expect("read presence");
        assert_eq!(read.len(), 1);
        read.remove(0)
    }

    /// The user's changes in a sweep.
    async fn swept(&self, user_id: &UserId) -> Vec<PresenceStatus> {
        let swept = self.store.sweep().await.expect("sweep");
        swept
            .into_iter()
            .filter(|p| p.user_id == *user_id)
            .map(|p| p.status)
            .collect()
    }

    async fn pass(&self, ticks: u32) {
        tokio::time::sleep(self.tick * ticks).await;
    }
}

fn connection() -> (UserId, ConnectionId) {
    (user(), ConnectionId::generate())
}

/// A lease counts for its time from the last touch, and not longer.
pub async fn a_lease_counts_for_its_time_from_the_last_touch(harness: &mut impl PresenceHarness) {
    let (here, connection) = (Here::of(harness), connection());
    assert_eq!(here.status(&connection.0).await, Offline);
    here.touch(&connection, Online, 4).await;
    here.pass(2).await;
    assert_eq!(here.status(&connection.0).await, Online);
    here.touch(&connection, Online, 4).await;
    here.pass(3).await;
    assert_eq!(here.status(&connection.0).await, Online);
    here.pass(2).await;
    assert_eq!(here.status(&connection.0).await, Offline);
}

/// Online when any connection is, away when all are.
pub async fn a_user_is_online_when_any_connection_is(harness: &mut impl PresenceHarness) {
    let (here, desk) = (Here::of(harness), connection());
    let phone = (desk.0.clone(), ConnectionId::generate());
    here.touch(&desk, Away, 10).await;
    assert_eq!(here.status(&desk.0).await, Away);
    here.touch(&phone, Online, 3).await;
    assert_eq!(here.status(&desk.0).await, Online);
    here.pass(4).await;
    assert_eq!(here.status(&desk.0).await, Away);
    here.touch(&desk, Online, 10).await;
    assert_eq!(here.status(&desk.0).await, Online);
}

/// A closed connection counts for the grace, or until its lease is over if that is sooner.
pub async fn a_released_connection_counts_for_the_grace(harness: &mut impl PresenceHarness) {
    let (here, long, short) = (Here::of(harness), connection(), connection());
    here.touch(&long, Online, 50).await;
    here.touch(&short, Online, 2).await;
    here.release(&long, 4).await;
    here.release(&short, 40).await;
    here.release(&connection(), 4).await;
    here.pass(3).await;
    assert_eq!(here.status(&long.0).await, Online);
    assert_eq!(here.status(&short.0).await, Offline);
    here.pass(2).await;
    assert_eq!(here.status(&long.0).await, Offline);
}

/// A user who reconnects within the grace period was never offline.
pub async fn coming_back_within_the_grace_is_no_change(harness: &mut impl PresenceHarness) {
    let (here, before) = (Here::of(harness), connection());
    here.touch(&before, Online, 20).await;
    assert_eq!(here.swept(&before.0).await, [Online]);
    here.release(&before, 3).await;
    here.pass(1).await;
    here.touch(&(before.0.clone(), ConnectionId::generate()), Online, 20)
        .await;
    here.pass(4).await;
    assert_eq!(here.swept(&before.0).await, []);
    assert_eq!(here.status(&before.0).await, Online);
}

/// A sweep gives each change once.
pub async fn a_sweep_gives_each_change_once(harness: &mut impl PresenceHarness) {
    let (here, connection) = (Here::of(harness), connection());
    here.touch(&connection, Online, 4).await;
    assert_eq!(here.swept(&connection.0).await, [Online]);
    here.touch(&connection, Online, 4).await;
    assert_eq!(here.swept(&connection.0).await, []);
    here.touch(&connection, Away, 4).await;
    assert_eq!(here.swept(&connection.0).await, [Away]);
    here.pass(5).await;
    assert_eq!(here.status(&connection.0).await, Offline);
    assert_eq!(here.swept(&connection.0).await, [Offline]);
    assert_eq!(here.swept(&connection.0).await, []);
}

/// Of many concurrent sweeps, one returns a change.
pub async fn of_many_sweeps_at_once_one_gives_a_change(harness: &mut impl PresenceHarness) {
    let (here, connection) = (Here::of(harness), connection());
    here.touch(&connection, Online, 40).await;
    let sweeps = (0..8).map(|_| here.swept(&connection.0));
    let told = futures_util::future::join_all(sweeps).await.concat();
    assert_eq!(told, [Online]);
}

/// Reads return users in the given order, and are right without a sweep.
pub async fn reads_are_in_the_order_asked(harness: &mut impl PresenceHarness) {
    let (here, one, two, stranger) = (Here::of(harness), connection(), connection(), user());
    here.touch(&one, Online, 40).await;
    here.touch(&two, Away, 40).await;
    let asked = [two.0.clone(), stranger, one.0.clone(), two.0.clone()];
    let read = here.store.read(&asked).await.expect("read presence");
    assert_eq!(
        read.iter().map(|p| p.user_id.clone()).collect::<Vec<_>>(),
        asked
    );
    assert_eq!(
        read.iter().map(|p| p.status).collect::<Vec<_>>(),
        [Away, Offline, Online, Away]
    );
}

/// The last sign of life stays when the user has gone; a stranger has none.
pub async fn the_last_sign_of_life_stays(harness: &mut impl PresenceHarness) {
    let (here, connection) = (Here::of(harness), connection());
    assert_eq!(here.read(&connection.0).await.last_seen, None);
    here.touch(&connection, Online, 4).await;
    let first = here
        .read(&connection.0)
        .await
        .last_seen
        .expect("a sign of life");
    here.pass(2).await;
    here.touch(&connection, Online, 4).await;
    let last = here
        .read(&connection.0)
        .await
        .last_seen
        .expect("a sign of life");
    assert!(last > first);
    here.pass(6).await;
    here.store.sweep().await.expect("sweep");
    let gone = here.read(&connection.0).await;
    assert_eq!((gone.status, gone.last_seen), (Offline, Some(last)));
}

/// Users are counted once however many connections they have, and not when they are gone.
pub async fn online_users_are_counted_once(harness: &mut impl PresenceHarness) {
    let (here, one, two) = (Here::of(harness), connection(), connection());
    let before = here.store.online_users().await.expect("count users");
    here.touch(&one, Online, 4).await;
    here.touch(&(one.0.clone(), ConnectionId::generate()), Away, 4)
        .await;
    here.touch(&two, Away, 40).await;
    assert_eq!(
        here.store.online_users().await.expect("count users"),
        before + 2
    );
    here.pass(5).await;
    assert_eq!(
        here.store.online_users().await.expect("count users"),
        before + 1
    );
}

/// Makes a test of every promise of presence; `$make` is an async function that gives a harness.
#[macro_export]
macro_rules! presence_conformance {
    ($make:ident) => {
        $crate::conformance_tests!(
            $make,
            presence,
            [
                a_lease_counts_for_its_time_from_the_last_touch,
                a_user_is_online_when_any_connection_is,
                a_released_connection_counts_for_the_grace,
                coming_back_within_the_grace_is_no_change,
                a_sweep_gives_each_change_once,
                of_many_sweeps_at_once_one_gives_a_change,
                reads_are_in_the_order_asked,
                the_last_sign_of_life_stays,
                online_users_are_counted_once,
            ]
        );
    };
}
