//! Redis' news of expired keys make it sooner, and nothing is wrong without them.

use fred::interfaces::ClientLike as _;
use fred::types::CustomCommand;
use roomcast_ports::presence::PresenceStore as _;
use roomcast_redis::RedisPresence;
use roomcast_test_cluster::RedisCluster;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use crate::world::{Offline, Online, SECOND, connect, lease, named, raw, start, swept, touch};

/// Renews short leases until an expiry event arrives without any sweep: at first the subscription may not be active.
async fn notices(presence: &RedisPresence, name: &str) {
    for _ in 0..10 {
        touch(presence, &[lease(name, "c", Online)], SECOND / 2).await;
        let noticed = timeout(2 * SECOND, presence.next_expired()).await;
        if let Ok(changes) = noticed {
            let changes = named(changes.expect("redis is there"));
            assert!(changes.iter().all(|(user, _)| user == name), "{changes:?}");
            return;
        }
    }
    panic!("the end of a lease was not noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_lease_is_noticed_without_a_sweep_also_after_a_restart() {
    let mut redis = start();
    let presence = connect(redis.url()).await;
    touch(&presence, &[lease("bo", "b1", Online)], 600 * SECOND).await;
    assert_eq!(swept(&presence).await.len(), 1);
    notices(&presence, "ana").await;
    assert!(presence.check().await.expect("check").keyspace_events);
    block_in_place(|| redis.restart()).expect("restart redis");
    while presence.online_users().await.is_err() {
        sleep(SECOND / 10).await;
    }
    notices(&presence, "cy").await;
    assert!(presence.check().await.expect("check").keyspace_events);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_of_a_cluster_is_listened_to() {
    let cluster = block_in_place(RedisCluster::start).expect("start a cluster");
    let presence = connect(cluster.url()).await;
    // Keys of users lie on all nodes: three of these four do.
    for name in ["u1", "u2", "u3", "u4"] {
        notices(&presence, name).await;
    }
    assert!(presence.check().await.expect("check").keyspace_events);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_without_expiry_events_is_swept_all_the_same() {
    let redis = start();
    let raw = raw(&redis).await;
    let rules = [
        "SETUSER", "fleet", "on", ">secret", "~*", "&*", "+@all", "-config",
    ];
    let acl = CustomCommand::new_static("ACL", None, false);
    let _: () = raw.custom(acl, rules.to_vec()).await.expect("make a user");
    let url = redis.url().replace("redis://", "redis://fleet:secret@");
    let presence = connect(url).await;
    touch(&presence, &[lease("ana", "a1", Online)], SECOND / 2).await;
    assert_eq!(swept(&presence).await, [("ana".to_owned(), Online)]);
    let noticed = timeout(2 * SECOND, presence.next_expired()).await;
    assert!(noticed.is_err(), "{noticed:?}");
    assert_eq!(swept(&presence).await, [("ana".to_owned(), Offline)]);
    assert!(!presence.check().await.expect("check").keyspace_events);
}
