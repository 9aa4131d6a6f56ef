//! What others see: the key of a user, other fleets on the same Redis, the operator's check.

use fred::interfaces::KeysInterface as _;
use roomcast_ports::presence::PresenceStore as _;
use roomcast_redis::{RedisConfig, RedisPresence};
use roomcast_test_cluster::RedisCluster;
use serde_json::Value;
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::world::{
    Away, Offline, Online, SECOND, connect, lease, raw, start, status, swept, touch, user,
};

#[tokio::test(flavor = "multi_thread")]
async fn presence_key_exists_for_every_online_user() {
    let redis = start();
    let (presence, raw) = (connect(redis.url()).await, raw(&redis).await);
    let key = "presence:user:ana";
    let shown = async || {
        let shown: Option<String> = raw.get(key).await.expect("get");
        shown.map(|shown| serde_json::from_str::<Value>(&shown).expect("json"))
    };
    assert_eq!(shown().await, None);
    touch(&presence, &[lease("ana", "a1", Online)], 90 * SECOND).await;
    let read = presence.read(&[user("ana")]).await.expect("read");
    let last_seen = serde_json::to_value(read[0].last_seen).expect("a time");
    let first = shown().await.expect("it is there");
    assert_eq!(
        first,
        serde_json::json!({"status": "ONLINE", "lastSeen": last_seen})
    );
    let ttl: i64 = raw.pttl(key).await.expect("a ttl");
    assert!((85_000..=90_000).contains(&ttl), "{ttl}");

    touch(&presence, &[lease("ana", "a1", Away)], 90 * SECOND).await;
    assert_eq!(shown().await.expect("it is there")["status"], "AWAY");
    let gone = [(user("ana"), lease("ana", "a1", Away).connection_id)];
    presence.shorten(&gone, SECOND).await.expect("release");
    assert_eq!(
        shown().await.expect("there for the grace")["status"],
        "AWAY"
    );
    sleep(SECOND + SECOND / 5).await;
    assert_eq!(shown().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_user_follows_what_a_sweep_finds() {
    let redis = start();
    let (presence, raw) = (connect(redis.url()).await, raw(&redis).await);
    touch(&presence, &[lease("ana", "a1", Online)], SECOND).await;
    touch(&presence, &[lease("ana", "a2", Away)], 60 * SECOND).await;
    swept(&presence).await;
    sleep(SECOND + SECOND / 5).await;
    assert_eq!(swept(&presence).await, [("ana".to_owned(), Away)]);
    let shown: String = raw.get("presence:user:ana").await.expect("get");
    assert!(shown.contains("AWAY"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fleets_with_different_prefixes_know_nothing_of_each_other() {
    let redis = start();
    let ours = connect(redis.url()).await;
    let theirs = RedisConfig {
        prefix: "their:presence".to_owned(),
        ..RedisConfig::new(redis.url())
    };
    let theirs = RedisPresence::connect(theirs)
        .await
        .expect("connect to redis");
    touch(&ours, &[lease("ana", "a1", Online)], 60 * SECOND).await;
    assert_eq!(status(&theirs, "ana").await, Offline);
    assert_eq!(theirs.online_users().await.expect("count"), 0);
    assert_eq!(swept(&theirs).await, []);
    assert_eq!(swept(&ours).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reports_the_servers_settings() {
    let redis = start();
    let checked = connect(redis.url()).await.check().await.expect("check");
    assert!(checked.version.split('.').count() >= 2, "{checked:?}");
    assert_eq!((checked.nodes, checked.keyspace_events), (1, false));
    assert_eq!(checked.eviction.as_deref(), Some("noeviction"));

    let cluster = block_in_place(RedisCluster::start).expect("start a cluster");
    let checked = connect(cluster.url()).await.check().await.expect("check");
    assert_eq!(checked.nodes, 3);
}
