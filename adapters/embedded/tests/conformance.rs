//! The embedded adapter keeps every promise of the ports.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roomcast_conformance::accounts::AccountHarness;
use roomcast_conformance::dead_letters::DeadLetterHarness;
use roomcast_conformance::directory::DirectoryHarness;
use roomcast_conformance::event_log::LogHarness;
use roomcast_conformance::message_store::MessageHarness;
use roomcast_conformance::presence::PresenceHarness;
use roomcast_conformance::pubsub::SignalsHarness;
use roomcast_conformance::sessions::SessionHarness;
use roomcast_embedded::Embedded;
use roomcast_ports::accounts::{AccountStore, SessionStore};
use roomcast_ports::dead_letters::DeadLetters;
use roomcast_ports::directory::RoomDirectory;
use roomcast_ports::event_log::EventLog;
use roomcast_ports::message_store::{MessageReader, MessageWriter};
use roomcast_ports::presence::PresenceStore;
use roomcast_ports::pubsub::PubSub;
use roomcast_protocol::RoomId;

roomcast_conformance::event_log_conformance!(harness);
roomcast_conformance::partition_read_conformance!(harness);
roomcast_conformance::message_store_conformance!(harness);
roomcast_conformance::directory_conformance!(harness);
roomcast_conformance::account_conformance!(harness);
roomcast_conformance::dead_letter_conformance!(harness);
roomcast_conformance::session_conformance!(harness);
roomcast_conformance::presence_conformance!(paused);
roomcast_conformance::pubsub_conformance!(harness);

/// A directory of a test's own.
struct Harness {
    directory: PathBuf,
    embedded: Option<Embedded>,
}

async fn harness() -> Harness {
    let name = format!("roomcast-contract-{}", RoomId::generate());
    let directory = std::env::temp_dir().join(name);
    let embedded = Embedded::open(&directory).expect("open a fresh directory");
    Harness {
        directory,
        embedded: Some(embedded),
    }
}

/// Presence asks nothing of other threads, so its clock may stand still and jump.
async fn paused() -> Harness {
    tokio::time::pause();
    harness().await
}

impl Harness {
    fn embedded(&self) -> &Embedded {
        self.embedded.as_ref().expect("it is open")
    }

    fn restart(&mut self) {
        drop(self.embedded.take());
        self.embedded = Some(Embedded::open(&self.directory).expect("open the directory again"));
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        drop(self.embedded.take());
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[async_trait]
impl LogHarness for Harness {
    fn log(&self) -> Arc<dyn EventLog> {
        self.embedded().log()
    }

    async fn restart(&mut self) {
        self.restart();
    }
}

impl MessageHarness for Harness {
    fn writer(&self) -> Arc<dyn MessageWriter> {
        self.embedded().messages()
    }

    fn reader(&self) -> Arc<dyn MessageReader> {
        self.embedded().messages()
    }
}

impl DeadLetterHarness for Harness {
    fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        self.embedded().dead_letters()
    }
}

impl DirectoryHarness for Harness {
    fn directory(&self) -> Arc<dyn RoomDirectory> {
        self.embedded().messages()
    }
}

#[async_trait]
impl AccountHarness for Harness {
    fn accounts(&self) -> Arc<dyn AccountStore> {
        self.embedded().accounts()
    }

    async fn restart(&mut self) {
        self.restart();
    }
}

#[async_trait]
impl SessionHarness for Harness {
    fn sessions(&self) -> Arc<dyn SessionStore> {
        self.embedded().sessions()
    }

    async fn restart(&mut self) {
        self.restart();
    }
}

impl PresenceHarness for Harness {
    fn presence(&self) -> Arc<dyn PresenceStore> {
        self.embedded().presence()
    }

    fn tick(&self) -> Duration {
        Duration::from_secs(10)
    }
}

impl SignalsHarness for Harness {
    fn signals(&self) -> Arc<dyn PubSub> {
        self.embedded().signals()
    }
}
