//! All of Roomcast in this process, with ports that fail on command.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use roomcast::api::{self, Services};
use roomcast::config::Role;
use roomcast::deadlines::Bounded;
use roomcast::trusted_proxies::TrustedProxies;
use roomcast_accounts::{Accounts, Issuer};
use roomcast_embedded::Embedded;
use roomcast_gateway::{Gateway, GatewayConfig, GatewayPorts};
use roomcast_history::History;
use roomcast_ingest::Ingest;
use roomcast_ports::directory::RoomDirectory;
use roomcast_ports::event_log::EventLog;
use roomcast_ports::message_store::{MessageReader, MessageWriter};
use roomcast_ports::presence::PresenceStore;
use roomcast_presence::PresenceService;
use roomcast_rooms::Rooms;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::{Client, number, pause};
use crate::faulty_log::FaultyLog;
use crate::faulty_presence::FaultyPresence;
use crate::faulty_store::FaultyStore;
use crate::faulty_tokens::{FaultyTokens, HOST};
use crate::follower::Follower;
use crate::support::http::{Reply, send};
use crate::support::scratch::Scratch;

/// Everything, running until dropped.
pub(crate) struct Fixture {
    pub(crate) address: String,
    pub(crate) log: Arc<FaultyLog>,
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) presence: Arc<FaultyPresence>,
    pub(crate) tokens: Arc<FaultyTokens>,
    gateway: Gateway,
    stop: CancellationToken,
    runtime: Option<Runtime>,
    _scratch: Scratch,
}

/// The faulty ports with the deadlines that the program gives them.
struct BoundedPorts {
    log: Arc<dyn EventLog>,
    reader: Arc<dyn MessageReader>,
    writer: Arc<dyn MessageWriter>,
    directory: Arc<dyn RoomDirectory>,
    presence: Arc<dyn PresenceStore>,
}

impl BoundedPorts {
    fn of(log: &Arc<FaultyLog>, store: &Arc<FaultyStore>, presence: &Arc<FaultyPresence>) -> Self {
        Self {
            log: Arc::new(Bounded::new(log.clone() as Arc<dyn EventLog>)),
            reader: Arc::new(Bounded::new(store.clone() as Arc<dyn MessageReader>)),
            writer: Arc::new(Bounded::new(store.clone() as Arc<dyn MessageWriter>)),
            directory: Arc::new(Bounded::new(store.clone() as Arc<dyn RoomDirectory>)),
            presence: Arc::new(Bounded::new(presence.clone() as Arc<dyn PresenceStore>)),
        }
    }
}

/// Settings under which no limit is met.
pub(crate) fn unlimited() -> GatewayConfig {
    GatewayConfig {
        sends_per_second: 1_000_000,
        send_burst: 1_000_000,
        connections_per_user_max: 1_000,
        replay_max: 100_000,
        ..GatewayConfig::default()
    }
}

impl Fixture {
    pub(crate) fn new(config: GatewayConfig) -> Self {
        let scratch = Scratch::new();
        let runtime = two_threads();
        let backends = Embedded::open(scratch.path()).expect("open the back ends");
        let log = Arc::new(FaultyLog::new(backends.log()));
        let store = Arc::new(FaultyStore::new(backends.messages()));
        let presence = Arc::new(FaultyPresence::new(backends.presence()));
        let (tokens, stop) = (Arc::new(FaultyTokens::default()), CancellationToken::new());
        let within = runtime.enter();
        let bounded = BoundedPorts::of(&log, &store, &presence);
        let history = History::new(bounded.log.clone(), bounded.reader.clone());
        let rooms = Arc::new(Rooms::new(
            bounded.log.clone(),
            bounded.directory.clone(),
            bounded.writer.clone(),
            bounded.reader.clone(),
        ));
        let ports = GatewayPorts {
            log: bounded.log.clone(),
            timeline: Arc::new(history.clone()),
            memberships: rooms.clone(),
            directory: bounded.directory.clone(),
            presence: bounded.presence.clone(),
            signals: backends.signals(),
            authenticator: tokens.clone(),
        };
        let gateway = Gateway::new(ports, config.clone());
        gateway.start();
        let accounts = accounts(&backends, &scratch);
        let who_is_here = PresenceService::new(bounded.presence.clone(), backends.signals());
        let services = Services {
            authenticator: tokens.clone(),
            memberships: rooms.clone(),
            accounts,
            trusted_proxies: TrustedProxies::default(),
            rooms,
            history,
            gateway: gateway.clone(),
            presence: who_is_here.clone(),
            change_budget: api::ChangeBudget::default(),
            page_memory: api::PageMemory::default(),
        };
        let router = api::router(Arc::new(services), &Role::ALL, config.allowed_origins);
        let bound = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = bound.expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let ingest = Ingest::new(bounded.log, bounded.writer, backends.dead_letters());
        let tracker = TaskTracker::new();
        tracker.spawn(log.clone().pass_on());
        let (stopped, again, serving) = (stop.clone(), stop.clone(), gateway.clone());
        tracker.spawn(async move { ingest.run(stopped).await });
        tracker.spawn(async move { who_is_here.run(again).await });
        tracker.spawn(async move {
            serving.serve(listener, router).await;
            // The back ends live as long as they are served.
            drop(backends);
        });
        drop(within);
        Self {
            address,
            log,
            store,
            presence,
            tokens,
            gateway,
            stop,
            runtime: Some(runtime),
            _scratch: scratch,
        }
    }

    /// A greeted connection of this user.
    pub(crate) fn connect(&self, user: &str) -> Client {
        Client::connect(&self.address, user)
    }

    /// A connection of this user, subscribed to the room from now on.
    pub(crate) fn subscribed(&self, user: &str, room: &str) -> Client {
        let mut line = self.connect(user);
        let answer = line.ask(json!({ "type": "SUBSCRIBE", "roomId": room }));
        assert_eq!(answer["type"], "SUBSCRIBED", "{answer}");
        line
    }

    /// One HTTP call.
    pub(crate) fn call(&self, method: &str, path: &str, token: &str, body: Value) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let body = (!body.is_null()).then(|| body.to_string());
        let body = body.as_ref().map(String::as_bytes);
        send(&self.address, method, path, &headers, body)
    }

    /// Has the gateway leave.
    pub(crate) fn drain(&self, within: Duration) {
        let runtime = self.runtime.as_ref().expect("it runs");
        runtime.block_on(self.gateway.drain(within));
    }

    /// Whether the gateway leaves within `most` when it has `within` for it.
    pub(crate) fn drains(&self, within: Duration, most: Duration) -> bool {
        let (gateway, (ended, end)) = (self.gateway.clone(), sync_channel(1));
        let runtime = self.runtime.as_ref().expect("it runs").handle().clone();
        // Not joined: a gateway that never ends keeps the thread.
        std::thread::spawn(move || {
            runtime.block_on(gateway.drain(within));
            let _ = ended.send(());
        });
        end.recv_timeout(most).is_ok()
    }

    /// Runs until it ends or the world does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.as_ref().expect("it runs").spawn(task);
    }

    /// A room with these members.
    pub(crate) fn room(&self, members: &[&str]) -> String {
        let body = json!({ "kind": "GROUP", "memberIds": members });
        let room = self.call("POST", "/v1/rooms", HOST, body).ok(201);
        room["roomId"].as_str().expect("an id").to_owned()
    }

    /// Every event of the room, by its pages.
    pub(crate) fn events(&self, room: &str) -> Vec<Value> {
        let (mut after, mut all) = (0, Vec::new());
        loop {
            let path = format!("/v1/rooms/{room}/messages?after={after}&limit=200");
            let page = self.call("GET", &path, HOST, Value::Null).ok(200);
            all.extend(page["events"].as_array().expect("events").iter().cloned());
            after = all.last().map_or(0, |last| number(last, "seq"));
            if page["hasMoreAfter"] == false {
                return all;
            }
        }
    }

    /// The room's events for a client that connects now and stays until the message `end`.
    pub(crate) fn heard(&self, user: &str, room: &str, end: &str) -> Vec<Value> {
        let mut follower = Follower::new(user.to_owned(), room);
        follower.follow(&self.address, end, || false);
        follower.log()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

fn accounts(backends: &Embedded, scratch: &Scratch) -> Accounts {
    let issuer = Issuer::open(scratch.path()).expect("a signing key");
    Accounts::new(
        backends.accounts(),
        backends.sessions(),
        backends.signals(),
        Arc::default(),
        Arc::new(issuer),
    )
}

fn two_threads() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    builder.build().expect("a runtime")
}

/// A frame that sends a message.
pub(crate) fn message(room: &str, client_msg_id: &str) -> Value {
    json!({
        "type": "SEND_MESSAGE", "roomId": room, "content": client_msg_id, "clientMsgId": client_msg_id
    })
}

/// Asks until it is so.
pub(crate) fn eventually(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        pause(Duration::from_millis(20));
    }
}

/// Holds a refusal against what was asked.
pub(crate) fn assert_refused(answer: &Value, asked: &Value, code: &str) {
    assert_eq!(answer["type"], "ERROR", "{answer}");
    assert_eq!(answer["code"], code, "{answer}");
    assert_eq!(answer["retryable"], true, "{answer}");
    assert_eq!(answer["roomId"], asked["roomId"], "{answer}");
    assert_eq!(answer["clientMsgId"], asked["clientMsgId"], "{answer}");
}
