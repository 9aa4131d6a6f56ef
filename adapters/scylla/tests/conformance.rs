//! The store on a CQL server keeps every promise of the ports: one Apache Cassandra node for all
//! tests of this program, a connection for each.

use std::sync::Arc;

use async_trait::async_trait;
use roomcast_conformance::accounts::AccountHarness;
use roomcast_conformance::dead_letters::DeadLetterHarness;
use roomcast_conformance::directory::DirectoryHarness;
use roomcast_conformance::message_store::MessageHarness;
use roomcast_conformance::sessions::SessionHarness;
use roomcast_ports::accounts::{AccountStore, SessionStore};
use roomcast_ports::dead_letters::DeadLetters;
use roomcast_ports::directory::RoomDirectory;
use roomcast_ports::message_store::{MessageReader, MessageWriter};
use roomcast_scylla::ScyllaStore;

roomcast_conformance::message_store_conformance!(harness);
roomcast_conformance::directory_conformance!(harness);
roomcast_conformance::account_conformance!(harness);
roomcast_conformance::session_conformance!(harness);
roomcast_conformance::dead_letter_conformance!(harness);

/// Partitions of a few events, so that every test crosses some.
const BUCKET_EVENTS: u32 = 5;

struct Harness {
    store: Arc<ScyllaStore>,
}

async fn harness() -> Harness {
    Harness {
        store: connect().await,
    }
}

async fn connect() -> Arc<ScyllaStore> {
    crate::harness::connect("contract", |config| config.bucket_events = BUCKET_EVENTS).await
}

impl MessageHarness for Harness {
    fn writer(&self) -> Arc<dyn MessageWriter> {
        self.store.messages()
    }

    fn reader(&self) -> Arc<dyn MessageReader> {
        self.store.messages()
    }
}

impl DirectoryHarness for Harness {
    fn directory(&self) -> Arc<dyn RoomDirectory> {
        self.store.messages()
    }
}

#[async_trait]
impl AccountHarness for Harness {
    fn accounts(&self) -> Arc<dyn AccountStore> {
        self.store.accounts()
    }

    async fn restart(&mut self) {
        self.store.close().await;
        self.store = connect().await;
    }
}

#[async_trait]
impl SessionHarness for Harness {
    fn sessions(&self) -> Arc<dyn SessionStore> {
        self.store.sessions()
    }

    async fn restart(&mut self) {
        self.store.close().await;
        self.store = connect().await;
    }
}

impl DeadLetterHarness for Harness {
    fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        self.store.dead_letters()
    }
}
