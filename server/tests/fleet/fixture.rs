//! The fleet that the tests share, and who speaks to it.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use roomcast_test_cluster::Sync;
use roomcast_test_cluster::cluster::{Cluster, ClusterSpec};
use serde_json::{Value, json};

use crate::client::pause;
use crate::support::node::Node;
use crate::support::scratch::Scratch;

/// Gateways: a room's members are spread over all of them.
pub(crate) const GATEWAYS: usize = 5;
/// The secret shared with every process.
const SECRET: &str = "a secret that only these tests and their fleet know";

/// A fleet.
pub(crate) struct Fixture {
    pub(crate) fleet: Cluster,
    /// The edge, as clients reach it.
    pub(crate) edge: Node,
    _scratch: Scratch,
}

impl Fixture {
    /// The fleet, for one test at a time. It is whole again when the test before has ended well.
    pub(crate) fn shared() -> MutexGuard<'static, Self> {
        static WORLD: OnceLock<Mutex<Fixture>> = OnceLock::new();
        let fixture = WORLD.get_or_init(|| Mutex::new(Self::start()));
        fixture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start() -> Self {
        let scratch = Scratch::new();
        let key = scratch.write("hs256", SECRET);
        let arguments: Vec<String> = [
            "--token-key",
            &format!("hs256:{key}"),
            "--sends-per-second",
            "1000000",
            "--send-burst",
            "1000000",
            "--connections-per-user",
            "1000",
            "--replay-max",
            "100000",
        ]
        .map(str::to_owned)
        .into();
        let mut spec = ClusterSpec::new(env!("CARGO_BIN_EXE_roomcast"));
        spec.gateways = GATEWAYS;
        // What this setting forgets when its node is killed has to come back from the log.
        spec.sync = Sync::Periodic;
        spec.arguments = arguments;
        let fleet = Cluster::start(&spec).expect("start a fleet");
        let edge = fleet.url().trim_start_matches("http://").to_owned();
        let admin = fleet
            .role("gateway")
            .next()
            .expect("a gateway")
            .admin()
            .to_owned();
        Self {
            edge: Node::of(&edge, &admin, SECRET.as_bytes()),
            fleet,
            _scratch: scratch,
        }
    }

    /// The front doors of the gateways themselves.
    pub(crate) fn gateways(&self) -> Vec<String> {
        let gateways = self.fleet.role("gateway");
        gateways.map(|part| part.address().to_owned()).collect()
    }

    /// The room in the user's list, once it is there.
    pub(crate) fn listed(&self, user: &str, room: &str) -> Option<Value> {
        let path = "/v1/rooms?limit=200";
        let reply = self
            .edge
            .call("GET", path, &self.edge.token(user), Value::Null);
        if reply.status != 200 {
            return None;
        }
        let list = reply.ok(200);
        let rooms = list["rooms"].as_array().expect("a list");
        rooms
            .iter()
            .find(|listed| listed["roomId"] == room)
            .cloned()
    }

    /// The options of a process on this fleet's log and presence, with a keyspace of its own.
    pub(crate) fn back_ends(&self, role: &str, keyspace: &str) -> Vec<String> {
        let options = [
            ("--role", role.to_owned()),
            ("--log-key", self.fleet.key(role).display().to_string()),
            ("--log", format!("nats://{}", self.fleet.nats().servers())),
            (
                "--store",
                format!("cql://{}/{keyspace}", self.fleet.cassandra().hosts()),
            ),
            ("--presence-store", self.fleet.redis().url()),
        ];
        options
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect()
    }

    /// Removes what the log's servers, which have ended, kept in this directory.
    pub(crate) fn forget_the_log(&self, directory: &std::path::Path) {
        for node in 0..self.fleet.nats().nodes() {
            let kept = directory.join(format!("{}-data", self.fleet.nats().node_name(node)));
            std::fs::remove_dir_all(&kept)
                .unwrap_or_else(|error| panic!("{}: {error}", kept.display()));
        }
    }

    /// The value of a metric of a process, over all its labels.
    pub(crate) fn metric(&self, part: &str, name: &str) -> f64 {
        let part = self.fleet.parts().iter().find(|it| it.name() == part);
        let metrics = part.expect("a part").metrics().expect("its metrics");
        metrics
            .lines()
            .filter(|line| line.starts_with(name) && !line.starts_with('#'))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

/// A frame that sends a message.
pub(crate) fn message(room: &str, client_msg_id: &str) -> Value {
    json!({
        "type": "SEND_MESSAGE", "roomId": room, "content": client_msg_id, "clientMsgId": client_msg_id
    })
}

/// Asks until it is so; gives how long that took.
pub(crate) fn eventually(
    what: &str,
    within: Duration,
    mut is_so: impl FnMut() -> bool,
) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < within, "not within {within:?}: {what}");
        pause(Duration::from_millis(50));
    }
    began.elapsed()
}
