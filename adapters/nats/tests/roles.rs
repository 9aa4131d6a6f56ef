//! What each role's key may do, by the files that are shipped in `deploy/nats`, over TLS.

mod servers;

#[path = "roles/certificates.rs"]
mod certificates;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_nats::ConnectOptions;
use certificates::Certificates;
use nkeys::KeyPair;
use roomcast_conformance::sample::{event, said, user};
use roomcast_conformance::within_timeout;
use roomcast_nats::{ConnectError, NatsConfig, NatsLog, partition_of};
use roomcast_ports::event_log::Append;
use roomcast_ports::live::LiveEvent;
use roomcast_ports::pubsub::EphemeralEvent;
use roomcast_protocol::{RoomId, Seq};
use roomcast_test_cluster::{Nats, NatsSpec};
use servers::{blocking, client, open};
use tokio::sync::mpsc;

const ROLES: [&str; 7] = [
    "gateway", "rooms", "history", "presence", "accounts", "ingest", "all",
];

/// A server that knows each role's key and speaks TLS only.
struct Guarded {
    nats: Nats,
    keys: Vec<KeyPair>,
    certificates: Certificates,
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/nats")
        .join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(shipped(name)).expect("read a file of deploy/nats")
}

/// The variables of the files, with keys and certificates for them.
fn variables(keys: &[KeyPair], certificates: &Certificates) -> Vec<(String, String)> {
    let name = |role: &&str| format!("ROOMCAST_NKEY_{}", role.to_uppercase());
    let keys = keys.iter().map(KeyPair::public_key);
    let mut variables: Vec<_> = ROLES.iter().map(name).zip(keys).collect();
    for (name, file) in [
        ("NATS_TLS_CERT", &certificates.server),
        ("NATS_TLS_KEY", &certificates.server_key),
        ("NATS_TLS_CA", &certificates.authority),
    ] {
        variables.push((name.to_owned(), file.display().to_string()));
    }
    variables
}

async fn guarded() -> Guarded {
    let start = || {
        let keys: Vec<KeyPair> = ROLES.iter().map(|_| KeyPair::new_user()).collect();
        let certificates = Certificates::make();
        let mut config = String::new();
        let files = text("roles.conf") + &text("tls.conf");
        for (name, value) in variables(&keys, &certificates) {
            if files.contains(&format!("${name}\n")) {
                config.extend([&*name, ": \"", &value, "\"\n"]);
            }
        }
        let spec = NatsSpec {
            nodes: 1,
            extra_config: Some(config + &files),
            ..NatsSpec::default()
        };
        Guarded {
            nats: Nats::start_with(&spec).expect("start nats-server"),
            keys,
            certificates,
        }
    };
    blocking(start).await
}

impl Guarded {
    fn seed(&self, role: &str) -> String {
        let index = ROLES.iter().position(|it| *it == role).expect("a role");
        self.keys[index].seed().expect("a pair has its seed")
    }

    fn config(&self, role: &str) -> NatsConfig {
        NatsConfig {
            inbox_prefix: format!("_INBOX_{role}"),
            key: Some(self.seed(role)),
            ca: Some(self.certificates.authority.clone()),
            manages_streams: role == "ingest" || role == "all",
            uses_streams: role != "presence" && role != "accounts",
            ..client(&self.nats)
        }
    }

    async fn open(&self, role: &str) -> Arc<NatsLog> {
        open(self.config(role)).await
    }

    /// A bare connection with the role's key, and what the server complains about.
    async fn bare(&self, role: &str) -> (async_nats::Client, mpsc::Receiver<String>) {
        let (sender, complaints) = mpsc::channel(16);
        let options = ConnectOptions::with_nkey(self.seed(role))
            .add_root_certificates(self.certificates.authority.clone())
            .require_tls(true)
            .event_callback(move |event| {
                let sender = sender.clone();
                async move {
                    if let async_nats::Event::ServerError(error) = event {
                        let _ = sender.send(error.to_string()).await;
                    }
                }
            });
        let connected = options.connect(self.nats.servers()).await;
        (connected.expect("connect"), complaints)
    }

    fn violations(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.nats.log(0)).expect("read the server's log");
        let lines = log.lines().filter(|line| line.contains("Violation"));
        lines.map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_roles_key_is_enough_for_all_that_the_role_does() {
    let servers = guarded().await;
    let ingest = servers.open("ingest").await;
    let (gateway, rooms) = (servers.open("gateway").await, servers.open("rooms").await);
    let history = servers.open("history").await;
    let (presence, accounts) = (
        servers.open("presence").await,
        servers.open("accounts").await,
    );
    let room_id = RoomId::generate();
    let mut live = gateway.log().subscribe();
    let mut places = Vec::new();
    for writer in [&gateway, &rooms] {
        let event = event(&room_id, &user(), said("x"));
        let append = || writer.log().append(Append::new(event.clone()));
        places.push(append().await.expect("append").seq);
        assert!(append().await.expect("append again").duplicate);
    }
    let mut nudges = 0;
    let mut heard = Vec::new();
    while heard.len() < 2 || nudges < 2 {
        match within_timeout("live events and nudges", live.next()).await {
            Some(LiveEvent::Event(event)) => heard.push(event.seq),
            Some(LiveEvent::HeadAdvanced(room, _)) if room == room_id => nudges += 1,
            _ => {}
        }
    }
    assert_eq!(heard, places);
    let read = history.log().read(&room_id, Seq::ZERO, 10).await;
    assert_eq!(read.expect("read").len(), 2);
    assert_eq!(history.log().head(&room_id).await.expect("head"), places[1]);
    signals_reach(&gateway, [&gateway, &rooms, &presence, &accounts], &room_id).await;
    let claim = within_timeout("a claim", ingest.log().claim(partition_of(&room_id))).await;
    let mut feed = claim.expect("claim").open(0).await.expect("begin");
    let mut fed = Vec::new();
    while fed.len() < 2 {
        let batch = within_timeout("a batch", feed.next(10)).await;
        let batch = batch.expect("read the feed");
        feed.acknowledge(batch.position).await.expect("acknowledge");
        fed.extend(batch.events.iter().map(|event| event.seq));
    }
    assert_eq!(fed, places);
    let partition = partition_of(&room_id);
    let log = ingest.log();
    log.trim(partition, places[1].get()).await.expect("trim");
    may_purge(&servers, partition).await;
    drop(feed);
    assert_eq!(gateway.check().await.expect("look").streams.len(), 32);
    ingest.close().await;
    has_all_roles(&servers, &room_id).await;
    assert!(
        servers.violations().is_empty(),
        "{:?}",
        servers.violations()
    );
}

/// What each sender signals reaches the gateway, and each sender is ready.
async fn signals_reach(gateway: &NatsLog, senders: [&Arc<NatsLog>; 4], room_id: &RoomId) {
    let mut signals = gateway.signals().subscribe();
    for sender in senders {
        let typing = EphemeralEvent::Typing {
            room_id: room_id.clone(),
            user_id: user(),
        };
        sender
            .signals()
            .publish(typing.clone())
            .await
            .expect("signal");
        assert_eq!(
            within_timeout("a signal", signals.recv()).await,
            Some(typing)
        );
        sender.ready().await.expect("the log answers");
    }
}

/// Ingest deletes what is in the store: what the key does not allow shows as a violation.
async fn may_purge(servers: &Guarded, partition: u16) {
    let (bus, _) = servers.bare("ingest").await;
    let purge = format!("$JS.API.STREAM.PURGE.CHAT_{partition}");
    bus.publish_with_reply(purge, "_INBOX_ingest.answer", r#"{"seq":1}"#.into())
        .await
        .expect("it goes out");
    bus.flush().await.expect("the server has it");
}

/// A process with all roles does all of it.
async fn has_all_roles(servers: &Guarded, room_id: &RoomId) {
    let all = servers.open("all").await;
    let log = all.log();
    let claim = log.claim(partition_of(room_id));
    log.append(Append::new(event(room_id, &user(), said("x"))))
        .await
        .expect("append");
    let mut feed = within_timeout("a claim", claim)
        .await
        .expect("claim")
        .open(0)
        .await
        .expect("begin");
    feed.next(10).await.expect("read the feed");
    all.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_publishes_live_events_or_receives_another_roles_replies() {
    let servers = guarded().await;
    let _ingest = servers.open("ingest").await;
    let gateway = servers.open("gateway").await;
    let mut live = gateway.log().subscribe();
    let room_id = RoomId::generate();
    let partition = partition_of(&room_id);
    let forged = roomcast_protocol::event::encode(&event(&room_id, &user(), said("forged")));
    for role in ROLES {
        let (bus, mut complaints) = servers.bare(role).await;
        let subject = format!("live.local.{partition}.{room_id}");
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Sequence", "1099511627777");
        headers.insert("Nats-Last-Sequence", "0");
        let published = bus.publish_with_headers(subject, headers, forged.clone().into());
        published.await.expect("it goes out");
        let complaint = within_timeout("a complaint", complaints.recv())
            .await
            .expect("one");
        assert!(
            complaint.contains("Permissions Violation for Publish"),
            "{complaint}"
        );
        let foreign = if role == "history" {
            "gateway"
        } else {
            "history"
        };
        let answers = bus.subscribe(format!("_INBOX_{foreign}.>")).await;
        let _answers = answers.expect("it goes out");
        let complaint = within_timeout("a complaint", complaints.recv())
            .await
            .expect("one");
        assert!(
            complaint.contains("Permissions Violation for Subscription"),
            "{complaint}"
        );
    }
    let violations = servers.violations();
    assert!(violations.len() >= 2 * ROLES.len(), "{violations:?}");
    // Everything forged would have come before what is true.
    let truth = event(&room_id, &user(), said("true"));
    gateway
        .log()
        .append(Append::new(truth.clone()))
        .await
        .expect("append");
    match within_timeout("a live event", live.next()).await {
        Some(LiveEvent::Event(heard)) => assert_eq!(heard.event, truth),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_and_accounts_keys_neither_read_nor_append_messages() {
    let servers = guarded().await;
    let ingest = servers.open("ingest").await;
    let room_id = RoomId::generate();
    let rooms = servers.open("rooms").await;
    let secret = event(&room_id, &user(), said("secret"));
    let appended = rooms.log().append(Append::new(secret)).await;
    let place = appended.expect("append").seq;
    for role in ["presence", "accounts"] {
        neither_reads_nor_appends(&servers, role, &room_id, place).await;
    }
    ingest.close().await;
}

/// A process of the role is ready, and what its key must not do is denied.
async fn neither_reads_nor_appends(servers: &Guarded, role: &str, room_id: &RoomId, place: Seq) {
    let partition = partition_of(room_id);
    let before = servers.violations();
    let process = servers.open(role).await;
    process.log().ping().await.expect("the log answers");
    process.ready().await.expect("the process is ready");
    assert!(process.check().await.expect("check").streams.is_empty());
    process.close().await;
    assert_eq!(servers.violations(), before);
    let (bus, mut complaints) = servers.bare(role).await;
    let stream = format!("CHAT_{partition}");
    let by_place = format!(r#"{{"seq":{place}}}"#);
    for (subject, question) in [
        (format!("$JS.API.DIRECT.GET.{stream}"), &*by_place),
        (
            format!("$JS.API.DIRECT.GET.{stream}.chat.{partition}.{room_id}"),
            "",
        ),
        (format!("$JS.API.STREAM.MSG.GET.{stream}"), &by_place),
        (
            format!("$JS.API.STREAM.INFO.{stream}"),
            r#"{"subjects_filter":">"}"#,
        ),
        (format!("$JS.API.CONSUMER.CREATE.{stream}"), "{}"),
        (
            format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.ingest"),
            r#"{"batch":1}"#,
        ),
        (format!("in.local.{partition}.{room_id}"), "forged"),
    ] {
        let reply = format!("_INBOX_{role}.answer");
        bus.publish_with_reply(subject.clone(), reply, question.to_owned().into())
            .await
            .expect("it goes out");
        let complaint = within_timeout("a complaint", complaints.recv())
            .await
            .expect("one");
        let denied = complaint.contains("Permissions Violation for Publish");
        assert!(denied && complaint.contains(&subject), "{complaint}");
    }
    for subject in [
        "live.>",
        "chat.>",
        "in.>",
        "head.>",
        "observed.*",
        "ephemeral.>",
        ">",
    ] {
        let _subscriber = bus.subscribe(subject).await.expect("it goes out");
        let complaint = within_timeout("a complaint", complaints.recv())
            .await
            .expect("one");
        let denied = complaint.contains("Permissions Violation for Subscription");
        assert!(denied && complaint.contains(subject), "{complaint}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_without_a_key_or_with_a_foreign_certificate_is_refused() {
    let servers = guarded().await;
    let refused = async |config: NatsConfig, why: &str| {
        let connected =
            tokio::time::timeout(Duration::from_secs(20), NatsLog::connect(config)).await;
        match connected.expect("an answer in time") {
            Err(ConnectError::Unreachable(_)) => {}
            other => panic!("{why}: {other:?}"),
        }
    };
    let keyless = NatsConfig {
        key: None,
        ..servers.config("gateway")
    };
    refused(keyless, "without a key").await;
    let stranger = NatsConfig {
        key: KeyPair::new_user().seed().ok(),
        ..servers.config("gateway")
    };
    refused(stranger, "with a key that nobody knows").await;
    let other = blocking(Certificates::make).await;
    let deceived = NatsConfig {
        ca: Some(other.authority.clone()),
        ..servers.config("gateway")
    };
    refused(deceived, "by an authority that did not sign").await;
}

#[tokio::test]
async fn the_shipped_configuration_is_one_the_server_accepts() {
    let servers = guarded().await;
    let check = move || {
        let pid = servers.nats.pid(0).expect("it runs");
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).expect("its program");
        Command::new(program)
            .args(["-t", "--config"])
            .arg(shipped("nats.conf"))
            .env("NATS_NAME", "nats-1")
            .envs(variables(&servers.keys, &servers.certificates))
            .output()
            .expect("run nats-server")
    };
    let checked = blocking(check).await;
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success(), "{said}");
}
