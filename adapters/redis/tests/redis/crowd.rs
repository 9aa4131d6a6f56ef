//! Many leases expire together: each change is delivered once, soon, by one of the sweepers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomcast_ports::presence::{Presence, PresenceStore as _};
use roomcast_protocol::{PresenceStatus, Timestamp, UserId};
use roomcast_redis::RedisPresence;
use roomcast_test_cluster::RedisCluster;
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::world::{Offline, Online, SECOND, connect, lease, start};

const USERS: usize = 20_000;
const TTL: Duration = Duration::from_secs(4);
/// As the presence service sweeps.
const EVERY: Duration = Duration::from_millis(250);

/// The changes that a sweeper got, and when.
type Told = Vec<(Presence, Timestamp)>;

async fn sweep_until(presence: Arc<RedisPresence>, end: Instant) -> Told {
    let mut told = Vec::new();
    while Instant::now() < end {
        let changes = presence.sweep().await.expect("sweep");
        let now = Timestamp::now();
        told.extend(changes.into_iter().map(|presence| (presence, now)));
        sleep(EVERY).await;
    }
    told
}

/// Renews all leases once, and returns the changes of two sweepers until long after the last lease.
async fn crowd(url: String) -> [Told; 2] {
    let (one, two) = (connect(url.clone()).await, connect(url).await);
    let leases: Vec<_> = (0..USERS)
        .map(|n| lease(&format!("user-{n}"), "c", Online))
        .collect();
    let touched = Instant::now();
    let touching = async {
        for batch in leases.chunks(4_096) {
            one.renew(batch, TTL).await.expect("touch leases");
        }
        println!("{USERS} leases touched in {:?}", touched.elapsed());
    };
    let end = touched + TTL + 6 * SECOND;
    let (one, two) = (sweep_until(one.clone(), end), sweep_until(two, end));
    let (one, two, ()) = tokio::join!(one, two, touching);
    [one, two]
}

fn check(told: [Told; 2]) {
    assert!(
        told.iter().all(|told| told.len() > USERS / 100),
        "both have a share"
    );
    println!(
        "told by one {}, by the other {}",
        told[0].len(),
        told[1].len()
    );
    let mut by_user: HashMap<UserId, Vec<PresenceStatus>> = HashMap::new();
    let mut late: Vec<u64> = Vec::new();
    let mut told = told.concat();
    told.sort_by_key(|(_, when)| *when);
    for (presence, when) in told {
        if presence.status == Offline {
            let ended = presence.last_seen.expect("they were here").plus(TTL);
            late.push(when.as_millis().saturating_sub(ended.as_millis()));
        }
        by_user
            .entry(presence.user_id)
            .or_default()
            .push(presence.status);
    }
    assert_eq!(by_user.len(), USERS);
    let wrong = by_user
        .iter()
        .find(|(_, told)| ***told != [Online, Offline]);
    assert_eq!(wrong, None, "each is told once");
    late.sort_unstable();
    let (median, p99) = (late[late.len() / 2], late[late.len() * 99 / 100]);
    let most = late[late.len() - 1];
    println!(
        "{} went offline, late by {median} ms (p50), {p99} ms (p99), {most} ms at most",
        late.len()
    );
    // On a machine that does much else; the figures above are the measurement.
    assert!(most < 5_000, "{most} ms late");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_expired_leases_are_each_delivered_once_and_soon() {
    let redis = start();
    check(crowd(redis.url()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_expired_leases_of_a_cluster_are_each_delivered_once_and_soon() {
    let cluster = block_in_place(RedisCluster::start).expect("start a cluster");
    check(crowd(cluster.url()).await);
}
