//! Concurrent starts create the keyspaces once; those of a later version stay unchanged.

use std::time::Duration;

use futures_util::future::join_all;
use roomcast_scylla::{ConnectError, ScyllaConfig, ScyllaStore, ServerKind};
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
        assert_eq!(store.high_watermarks(1).await.expect("and works"), 0);
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
    assert_eq!(store.high_watermarks(1).await.expect("it works"), 0);
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
async fn cluster_reports_its_version_and_nodes() {
    let store = harness::connect("says", |_| {}).await;
    let check = store.check().await.expect("ask the cluster");
    assert_eq!(check.flavour, ServerKind::Cassandra);
    assert_eq!((check.nodes.len(), check.schema_version), (1, 1));
    assert!(check.nodes[0].connected);
    assert!(check.release.starts_with("5."), "{}", check.release);
    assert_eq!(check.nodes[0].release.as_ref(), Some(&check.release));
}

#[tokio::test]
async fn invalid_configuration_is_refused_before_any_request() {
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

#[tokio::test]
async fn keyspaces_are_not_made_by_a_process_that_only_looks() {
    let mut config = ScyllaConfig::new(hosts().await, "looked_at");
    config.only_looks = true;
    match ScyllaStore::connect(config.clone()).await {
        Err(ConnectError::NotMade) => {}
        other => panic!("{other:?}"),
    }
    let cql = Cql::connect().await;
    let query = "SELECT keyspace_name FROM system_schema.keyspaces
                 WHERE keyspace_name IN ('looked_at', 'looked_at_lwt')";
    assert!(cql.ask(query, ()).await.is_empty());
    harness::connect("looked_at", |_| {}).await.close().await;
    let store = ScyllaStore::connect(config).await.expect("made by now");
    let check = store.check().await.expect("ask the cluster");
    let copies = ["looked_at datacenter1=1", "looked_at_lwt datacenter1=1"];
    assert_eq!(check.replication, copies);
}

#[tokio::test]
async fn copies_are_not_raised_above_the_nodes_there_are() {
    harness::connect("few_nodes", |_| {}).await.close().await;
    let ask_for =
        |replicas| move |config: &mut ScyllaConfig| config.replication_factor = Some(replicas);
    let store = harness::connect("few_nodes", ask_for(3)).await;
    let check = store.check().await.expect("ask the cluster");
    assert_eq!(check.replication[0], "few_nodes datacenter1=1");
    assert_eq!(store.high_watermarks(1).await.expect("it works"), 0);
}

#[tokio::test]
async fn datacenter_that_no_node_is_in_is_refused_by_name() {
    let mut config = ScyllaConfig::new(hosts().await, "nowhere");
    config.datacenter = Some("elsewhere".to_owned());
    let refused = ScyllaStore::connect(config).await;
    let refused = refused.expect_err("no node is there").to_string();
    assert!(
        refused.contains("elsewhere") && refused.contains("datacenter1"),
        "{refused}"
    );
}
