//! Everything may be done twice: a call whose answer was lost is simply made again.

use std::collections::{BTreeMap, HashMap};

use fred::clients::Client;
use fred::interfaces::{HashesInterface as _, SortedSetsInterface as _, StreamsInterface as _};
use roomcast_ports::presence::PresenceStore as _;
use tokio::time::sleep;

use crate::world::{Away, Offline, Online, SECOND, connect, lease, raw, start, swept, touch, user};

/// The keys of ana, who is of this shard.
const ANAS: &str = "presence:{133}:";

/// All that is kept of ana, but for the times.
async fn kept(raw: &Client) -> (BTreeMap<String, String>, Vec<String>, Vec<String>) {
    let sessions: BTreeMap<String, String> = raw
        .hgetall(format!("{ANAS}sessions:ana"))
        .await
        .expect("read a hash");
    assert!(!sessions.is_empty(), "another shard");
    let without_time = |value: String| value.split_once(' ').expect("a time").1.to_owned();
    let sessions = sessions
        .into_iter()
        .map(|(field, value)| (field, without_time(value)))
        .collect();
    let members = async |name| {
        let key = format!("{ANAS}{name}");
        raw.zrange(key, 0, -1, None, false, None, false)
            .await
            .expect("read a set")
    };
    (
        sessions,
        members("last_deadline").await,
        members("pending").await,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn touching_and_releasing_twice_is_as_good_as_once() {
    let redis = start();
    let (presence, raw) = (connect(redis.url()).await, raw(&redis).await);
    let leases = [lease("ana", "a1", Online), lease("ana", "a2", Away)];
    touch(&presence, &leases, 30 * SECOND).await;
    let once = kept(&raw).await;
    touch(&presence, &leases, 30 * SECOND).await;
    assert_eq!(kept(&raw).await, once);

    let gone = [(user("ana"), leases[0].connection_id.clone())];
    let until = async || {
        presence.shorten(&gone, 5 * SECOND).await.expect("release");
        let connections = presence.connections(&[user("ana")]).await.expect("read");
        let released = connections[0]
            .iter()
            .find(|it| it.connection_id == gone[0].1);
        released.expect("it counts for the grace").until
    };
    let first = until().await;
    sleep(SECOND / 10).await;
    assert_eq!(
        until().await,
        first,
        "the grace begins with the first release"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_sweep_delivers_once_and_writes_once() {
    let redis = start();
    let (presence, raw) = (connect(redis.url()).await, raw(&redis).await);
    touch(&presence, &[lease("ana", "a1", Online)], SECOND / 2).await;
    assert_eq!(swept(&presence).await, [("ana".to_owned(), Online)]);
    assert_eq!(swept(&presence).await, []);
    sleep(SECOND).await;
    assert_eq!(swept(&presence).await, [("ana".to_owned(), Offline)]);
    assert_eq!(swept(&presence).await, []);
    let transitions: Vec<(String, HashMap<String, String>)> = raw
        .xrange_values(format!("{ANAS}transitions"), "-", "+", None)
        .await
        .expect("read");
    let [(_, came), (_, went)] = &*transitions else {
        panic!("{transitions:?}");
    };
    assert_eq!((&*came["status"], &*went["status"]), ("ONLINE", "OFFLINE"));
    assert!(came["version"].parse::<u64>().unwrap() < went["version"].parse::<u64>().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn change_of_a_dead_sweeper_is_redelivered_and_an_acknowledged_one_is_not() {
    let redis = start();
    let (dies, lives) = (connect(redis.url()).await, connect(redis.url()).await);
    touch(&lives, &[lease("ana", "a1", Online)], 60 * SECOND).await;
    assert_eq!(swept(&dies).await, [("ana".to_owned(), Online)]);
    // The next sweep acknowledges the first.
    assert_eq!(swept(&dies).await, []);
    touch(&lives, &[lease("bo", "b1", Away)], 60 * SECOND).await;
    assert_eq!(swept(&dies).await, [("bo".to_owned(), Away)]);
    drop(dies);
    assert_eq!(swept(&lives).await, []);
    sleep(5 * SECOND + SECOND / 2).await;
    assert_eq!(swept(&lives).await, [("bo".to_owned(), Away)]);
    sleep(5 * SECOND + SECOND / 2).await;
    assert_eq!(swept(&lives).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_sweeper_leaves_nothing_to_redeliver() {
    let redis = start();
    let (closes, lives) = (connect(redis.url()).await, connect(redis.url()).await);
    touch(&lives, &[lease("ana", "a1", Online)], 60 * SECOND).await;
    assert_eq!(swept(&closes).await, [("ana".to_owned(), Online)]);
    closes.close().await;
    sleep(5 * SECOND + SECOND / 2).await;
    assert_eq!(swept(&lives).await, []);
}
