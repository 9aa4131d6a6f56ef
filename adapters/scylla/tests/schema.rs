//! The keyspaces are made once, whoever comes, and those of a later version are left alone.

use std::time::Duration;

use futures_util::future::join_all;
use roomcast_scylla::{ConnectError, Flavour, ScyllaConfig, ScyllaStore};
use scylla::value::CqlValue;
use tokio::time::Instant;

use crate::harness::{self, Cql, hosts};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_who_start_at_once_on_an_empty_cluster_make_one_schema() {
    let hosts = hosts().await;
    let starts = (0..5).map(|_| ScyllaStore::connect(ScyllaConfig::new(hosts.clone(), "at_once")));
    let stores = join_all(starts).await;
    for store in &stores {
        let store = store.as_ref().expect("every one of them starts");
        assert_eq!(store.seen_to(1).await.expect("and works"), 0);
    }
    let cql = Cql::connect().await;
    let steps = cql
        .ask("SELECT step FROM at_once_lwt.schema_steps", ())
        .await;
    assert_eq!(steps.len(), 1);
    let locks = cql
        .ask("SELECT holder FROM at_once_lwt.schema_lock", ())
        .await;
    assert!(locks.is_empty(), "the lock was given back: {locks:?}");
}

#[tokio::test]
async fn a_lock_whose_holder_died_is_taken_over_when_its_lease_ends() {
    let cql = Cql::connect().await;
    let replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
    let keyspace = format!("CREATE KEYSPACE died_lwt WITH replication = {replication}");
    cql.ask(&keyspace, ()).await;
    let table = "CREATE TABLE died_lwt.schema_lock (kind text PRIMARY KEY, holder text)";
    cql.ask(table, ()).await;
    let lock = "INSERT INTO died_lwt.schema_lock (kind, holder) VALUES ('schema', 'who died')
                IF NOT EXISTS USING TTL 4";
    cql.ask(lock, ()).await;
    let started = Instant::now();
    let store = harness::connect("died", |_| {}).await;
    assert!(
        started.elapsed() > Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(store.seen_to(1).await.expect("it works"), 0);
}

#[tokio::test]
async fn keyspaces_of_a_later_version_are_refused_and_left_as_they_are() {
    let store = harness::connect("later", |_| {}).await;
    store.close().await;
    let cql = Cql::connect().await;
    cql.ask(
        "INSERT INTO later_lwt.schema_steps (kind, step) VALUES ('step', 99)",
        (),
    )
    .await;
    match ScyllaStore::connect(ScyllaConfig::new(hosts().await, "later")).await {
        Err(ConnectError::NewerSchema {
            found: 99,
            known: 1,
        }) => {}
        other => panic!("{other:?}"),
    }
    let steps = cql.ask("SELECT step FROM later_lwt.schema_steps", ()).await;
    let steps: Vec<_> = steps
        .into_iter()
        .map(|row| row.columns[0].clone())
        .collect();
    assert_eq!(steps, [Some(CqlValue::Int(1)), Some(CqlValue::Int(99))]);
}

#[tokio::test]
async fn the_cluster_says_what_it_is() {
    let store = harness::connect("says", |_| {}).await;
    let check = store.check().await.expect("ask the cluster");
    assert_eq!(check.flavour, Flavour::Cassandra);
    assert_eq!((check.nodes.len(), check.schema_version), (1, 1));
    assert!(check.nodes[0].connected);
    assert!(check.release.starts_with("5."), "{}", check.release);
    assert_eq!(check.nodes[0].release.as_ref(), Some(&check.release));
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anybody_is_asked() {
    let nobody = vec!["127.0.0.1:1".to_owned()];
    let config = || ScyllaConfig::new(nobody.clone(), "fine");
    for (of, config) in [
        ("keyspace", ScyllaConfig::new(nobody.clone(), "Not; fine")),
        ("hosts", ScyllaConfig::new(Vec::new(), "fine")),
        (
            "replication",
            ScyllaConfig {
                replication_factor: Some(0),
                ..config()
            },
        ),
        (
            "datacenter",
            ScyllaConfig {
                datacenter: Some("it's".to_owned()),
                ..config()
            },
        ),
    ] {
        match ScyllaStore::connect(config).await {
            Err(ConnectError::Misconfigured(what)) => assert!(what.starts_with(of), "{what}"),
            other => panic!("{of}: {other:?}"),
        }
    }
    match ScyllaStore::connect(config()).await {
        Err(ConnectError::Unreachable(_)) => {}
        other => panic!("{other:?}"),
    }
}
