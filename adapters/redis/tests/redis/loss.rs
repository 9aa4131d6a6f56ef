//! Redis is killed, emptied, stopped: calls fail soon, and all is whole when it is back.

use std::time::{Duration, Instant};

use fred::interfaces::ClientLike as _;
use roomcast_ports::StoreError;
use roomcast_ports::presence::PresenceStore as _;
use roomcast_redis::{ConnectError, RedisConfig, RedisPresence};
use roomcast_test_cluster::RedisCluster;
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use crate::world::{
    Offline, Online, SECOND, connect, lease, raw, start, status, swept, touch, user,
};

/// Waits until the store requests a resync; returns how long it took.
async fn set_back(setbacks: &mut watch::Receiver<u64>) -> Duration {
    let since = Instant::now();
    let changed = timeout(10 * SECOND, setbacks.changed()).await;
    changed
        .expect("a setback within 10 s")
        .expect("the store lives");
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_redis_fails_calls_immediately_and_gets_all_leases_again_after_its_restart() {
    let mut redis = start();
    let presence = connect(redis.url()).await;
    let mut setbacks = presence.resync_requests();
    let leases = [lease("ana", "a1", Online), lease("bo", "b1", Online)];
    touch(&presence, &leases, 60 * SECOND).await;
    assert_eq!(swept(&presence).await.len(), 2);

    block_in_place(|| redis.kill());
    sleep(SECOND / 5).await;
    let asked = Instant::now();
    let answer = presence.read(&[user("ana")]).await;
    assert!(
        matches!(answer, Err(StoreError::Unavailable(_))),
        "{answer:?}"
    );
    assert!(asked.elapsed() < SECOND, "{:?}", asked.elapsed());
    assert!(!setbacks.has_changed().expect("the store lives"));

    block_in_place(|| redis.restart()).expect("restart redis");
    let took = set_back(&mut setbacks).await;
    println!("known to have forgotten {took:?} after it was back");
    assert!(took < 3 * SECOND, "{took:?}");
    assert_eq!(status(&presence, "ana").await, Offline);
    // As the gateways do.
    touch(&presence, &leases[..1], 60 * SECOND).await;
    assert_eq!(status(&presence, "ana").await, Online);
    assert_eq!(swept(&presence).await, [("ana".to_owned(), Online)]);
    assert_eq!(presence.online_users().await.expect("count"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_is_noticed_although_no_connection_broke() {
    let redis = start();
    let (presence, raw) = (connect(redis.url()).await, raw(&redis).await);
    let mut setbacks = presence.resync_requests();
    touch(&presence, &[lease("ana", "a1", Online)], 60 * SECOND).await;
    sleep(2 * SECOND).await;
    assert!(
        !setbacks.has_changed().expect("the store lives"),
        "nothing was lost"
    );
    let _: () = raw.flushall(false).await.expect("flush");
    let took = set_back(&mut setbacks).await;
    assert!(took < 2 * SECOND, "{took:?}");
    sleep(2 * SECOND).await;
    assert!(
        !setbacks.has_changed().expect("the store lives"),
        "it was lost once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_redis_fails_calls_in_time_and_serves_them_when_it_goes_on() {
    let redis = start();
    let config = RedisConfig {
        answer_within: SECOND,
        ..RedisConfig::new(redis.url())
    };
    let presence = RedisPresence::connect(config)
        .await
        .expect("connect to redis");
    touch(&presence, &[lease("ana", "a1", Online)], 60 * SECOND).await;
    redis.pause().expect("pause redis");
    let asked = Instant::now();
    let answer = presence.read(&[user("ana")]).await;
    assert!(
        matches!(answer, Err(StoreError::Unavailable(_))),
        "{answer:?}"
    );
    assert!(asked.elapsed() < 2 * SECOND, "{:?}", asked.elapsed());
    redis.resume().expect("resume redis");
    let since = Instant::now();
    while presence.read(&[user("ana")]).await.is_err() {
        assert!(since.elapsed() < 10 * SECOND, "it goes on");
        sleep(SECOND / 10).await;
    }
    println!("served {:?} after it went on", since.elapsed());
    assert_eq!(status(&presence, "ana").await, Online);
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_node_restarted_empty_is_detected_and_gets_its_leases_again() {
    let mut cluster = block_in_place(RedisCluster::start).expect("start a cluster");
    let presence = connect(cluster.url()).await;
    let mut setbacks = presence.resync_requests();
    let leases: Vec<_> = (0..300)
        .map(|n| lease(&format!("u{n}"), "c", Online))
        .collect();
    touch(&presence, &leases, 60 * SECOND).await;
    assert_eq!(presence.online_users().await.expect("count"), 300);
    block_in_place(|| cluster.kill(1));
    sleep(SECOND).await;
    block_in_place(|| {
        cluster
            .start_node(1)
            .and_then(|()| cluster.wait_until_ready())
    })
    .expect("start the node again");
    let took = set_back(&mut setbacks).await;
    println!("known to have forgotten {took:?} after the cluster was whole");
    let since = Instant::now();
    while presence.renew(&leases, 60 * SECOND).await.is_err() {
        assert!(
            since.elapsed() < 10 * SECOND,
            "the cluster takes leases again"
        );
        sleep(SECOND / 10).await;
    }
    println!("and took all leases {:?} later", since.elapsed());
    assert_eq!(presence.online_users().await.expect("count"), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_there_is_an_error_of_connecting() {
    let mut redis = start();
    let url = redis.url();
    block_in_place(|| redis.kill());
    let refused = RedisPresence::connect(RedisConfig::new(url)).await.err();
    assert!(
        matches!(refused, Some(ConnectError::Unreachable(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_may_begin_without_redis_and_take_it_up_when_it_comes() {
    let mut redis = start();
    block_in_place(|| redis.kill());
    let config = RedisConfig {
        may_be_away: true,
        ..RedisConfig::new(redis.url())
    };
    let presence = RedisPresence::connect(config)
        .await
        .expect("begin without redis");
    let mut setbacks = presence.resync_requests();
    let leases = [lease("ana", "a1", Online)];
    let touched = presence.renew(&leases, 60 * SECOND).await;
    assert!(
        matches!(touched, Err(StoreError::Unavailable(_))),
        "{touched:?}"
    );
    block_in_place(|| redis.restart()).expect("restart redis");
    set_back(&mut setbacks).await;
    touch(&presence, &leases, 60 * SECOND).await;
    assert_eq!(status(&presence, "ana").await, Online);
    presence.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_refuses_us_is_an_error_even_if_it_may_be_away() {
    let redis = start();
    let config = RedisConfig {
        may_be_away: true,
        ..RedisConfig::new(redis.url().replace("redis://", "redis://me:wrong@"))
    };
    let refused = RedisPresence::connect(config).await.err();
    assert!(
        matches!(refused, Some(ConnectError::Refused(_))),
        "{refused:?}"
    );
}
