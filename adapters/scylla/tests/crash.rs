//! Nodes that are killed while they are written to: one that forgets what it confirmed last, and one
//! of three, which changes nothing for clients.

use std::sync::Arc;
use std::time::Duration;

use roomcast_ports::StoreError;
use roomcast_ports::accounts::{Account, Registration};
use roomcast_ports::message_store::{
    Checkpoint, MessageReader as _, MessageWriter as _, ResyncRequests,
};
use roomcast_protocol::{Seq, StoredEvent};
use roomcast_scylla::{ScyllaConfig, ScyllaMessages, ScyllaStore};
use roomcast_test_cluster::{Cassandra, CassandraSpec, Sync};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::harness::split;
use crate::sample_log::Log;

const PARTITION: u16 = 5;
/// Timeout of a failing write.
const DEADLINE: Duration = Duration::from_secs(6);

async fn write(messages: &ScyllaMessages, batch: &[Arc<StoredEvent>]) -> Result<(), StoreError> {
    let position = batch[batch.len() - 1].seq.get();
    messages
        .apply(
            batch,
            Some(Checkpoint {
                partition: PARTITION,
                position,
            }),
        )
        .await
}

async fn start(nodes: usize, sync: Sync) -> Cassandra {
    let spec = CassandraSpec {
        nodes,
        sync,
        ..CassandraSpec::default()
    };
    let started = tokio::task::spawn_blocking(move || Cassandra::start(&spec)).await;
    started
        .expect("start a CQL server")
        .expect("start a CQL server")
}

/// Waits until the store reports that a node is away, or that none is.
async fn until_away(requests: &watch::Receiver<ResyncRequests>, expected: bool) {
    let reported = async {
        while requests.borrow().is_any_away() != expected {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let reported = timeout(Duration::from_secs(60), reported).await;
    reported.expect("the store reports whether a node is away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_that_lost_confirmed_writes_is_repaired_by_reading_the_log() {
    let mut cassandra = start(1, Sync::Periodic).await;
    let store = ScyllaStore::connect(ScyllaConfig::new(split(&cassandra.hosts()), "crash")).await;
    let store = store.expect("connect to the CQL server");
    let (messages, log) = (store.messages(), Log::new(77, 2_000));
    let mut setbacks = messages.resync_requests();
    assert!(messages.crash_loss_window().is_some());
    let batches: Vec<&[Arc<StoredEvent>]> = log.events.chunks(20).collect();
    let (first, rest) = batches.split_at(60);
    for batch in first {
        write(&messages, batch).await.expect("write a batch");
    }
    cassandra.kill(0);
    let started = Instant::now();
    match write(&messages, rest[0]).await {
        Err(StoreError::Unavailable(_)) => {}
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < DEADLINE, "{:?}", started.elapsed());
    until_away(&setbacks, true).await;
    let restart = move || cassandra.start_node(0).map(|()| cassandra);
    let restarted = tokio::task::spawn_blocking(restart).await.expect("restart");
    let _cassandra = restarted.expect("the node starts again");
    let noticed = timeout(Duration::from_secs(60), setbacks.changed()).await;
    noticed
        .expect("the node's return is noticed")
        .expect("by somebody");
    until_away(&setbacks, false).await;

    // As ingest does: the checkpoint is read, and the log is read from well before it.
    messages
        .checkpoint(PARTITION)
        .await
        .expect("read the place");
    for batch in &batches {
        while let Err(failure) = write(&messages, batch).await {
            assert!(started.elapsed() < Duration::from_secs(120), "{failure:?}");
            sleep(Duration::from_millis(200)).await;
        }
    }
    for room_id in &log.rooms {
        let events = messages
            .events_after(room_id, Seq::ZERO, 10_000)
            .await
            .expect("read events");
        let expected = log.of(room_id);
        assert_eq!(events.len(), expected.len());
        let applied_seq = messages.applied_seq(room_id).await.expect("read");
        assert_eq!(applied_seq, expected[expected.len() - 1].seq);
        for (stored, expected) in events.iter().zip(&expected) {
            assert_eq!((stored.seq, stored.prev), (expected.seq, expected.prev));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_of_three_nodes_dead_everything_goes_on() {
    let mut cassandra = start(3, Sync::Batch).await;
    assert_copies_are_raised_and_never_lowered(&split(&cassandra.hosts())).await;
    let store = ScyllaStore::connect(ScyllaConfig::new(split(&cassandra.hosts()), "three")).await;
    let store = store.expect("connect to the CQL servers");
    let check = store.check().await.expect("ask the cluster");
    assert_eq!(check.nodes.len(), 3);
    let (messages, log) = (store.messages(), Log::new(78, 400));
    for (number, batch) in log.events.chunks(20).enumerate() {
        if number == 5 {
            cassandra.kill(2);
        }
        let started = Instant::now();
        // What was on its way to the dead node may fail once; ingest writes it again.
        while let Err(failure) = write(&messages, batch).await {
            assert!(started.elapsed() < Duration::from_secs(30), "{failure:?}");
        }
    }
    for room_id in &log.rooms {
        let events = messages.events_after(room_id, Seq::ZERO, 10_000).await;
        assert_eq!(events.expect("read events").len(), log.of(room_id).len());
    }
    let account = Account {
        user_id: roomcast_protocol::UserId::generate(),
        name: "ann".to_owned(),
        display_name: "Ann".to_owned(),
        password_hash: "$argon2id$not-a-real-one".to_owned(),
        created_at: roomcast_protocol::Timestamp::now(),
    };
    let made = store.accounts().create(&account).await;
    assert_eq!(
        made.expect("names are decided by two of three"),
        Registration::Made
    );
}

/// A start that asks for more copies gives them; one that asks for fewer, or for none, takes none away.
async fn assert_copies_are_raised_and_never_lowered(hosts: &[String]) {
    for (asked, kept) in [
        (Some(1), 1),
        (None, 1),
        (Some(3), 3),
        (Some(2), 3),
        (None, 3),
    ] {
        let mut config = ScyllaConfig::new(hosts.to_vec(), "raised");
        config.replication_factor = asked;
        let store = ScyllaStore::connect(config).await;
        let store = store.expect("connect to the CQL servers");
        let check = store.check().await.expect("ask the cluster");
        let copies = |keyspace| format!("{keyspace} datacenter1={kept}");
        assert_eq!(
            check.replication,
            [copies("raised"), copies("raised_lwt")],
            "{asked:?}"
        );
        store.close().await;
    }
}
