//! A running Roomcast to talk to: a process of our own, or one that runs already.
//!
//! A node of our own has a scratch directory, free ports and a shared secret with which a test mints
//! whatever token it needs. With `ROOMCAST_TEST_URL`, `ROOMCAST_TEST_ADMIN_URL` and
//! `ROOMCAST_TEST_HS256` (a file) set, nodes without arguments are that fleet instead.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::http::{self, Reply};
use super::program::roomcast;
use super::scratch::Scratch;

/// How long a start and an end may take.
const TIMEOUT: Duration = Duration::from_secs(40);
/// The secret shared with nodes of our own.
const SECRET: &str = "a secret that only these tests and their nodes know";

/// One Roomcast. Clones speak to the same one; it is killed when the last is dropped.
#[derive(Clone)]
pub(crate) struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    http: String,
    admin: String,
    secret: Vec<u8>,
    own: Option<Own>,
}

/// A process of our own.
struct Own {
    arguments: Vec<String>,
    process: Mutex<Process>,
    scratch: Scratch,
}

struct Process {
    child: Child,
    stdout: Receiver<String>,
}

impl Node {
    /// A fresh node with these arguments beside the harness's own; without any, the fleet that the
    /// environment names, if it names one.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        match remote() {
            Some(inner) if arguments.is_empty() => Self { inner },
            _ => Self::own(arguments),
        }
    }

    /// The node with the default settings that tests share which keep to rooms and users of their own.
    pub(crate) fn shared() -> Self {
        static SHARED: Mutex<Weak<Inner>> = Mutex::new(Weak::new());
        let mut shared = lock(&SHARED);
        if let Some(inner) = shared.upgrade() {
            return Self { inner };
        }
        let node = Self::start(&[]);
        *shared = Arc::downgrade(&node.inner);
        node
    }

    /// A process of its own, whatever the environment has: for tests that restart or end it.
    pub(crate) fn own(arguments: &[&str]) -> Self {
        let scratch = Scratch::new();
        let arguments = arguments.iter().map(|&text| text.to_owned()).collect();
        let (process, http, admin) = spawn(&scratch, &arguments, "127.0.0.1:0", "127.0.0.1:0");
        Self {
            inner: Arc::new(Inner {
                http,
                admin,
                secret: SECRET.into(),
                own: Some(Own {
                    arguments,
                    process: Mutex::new(process),
                    scratch,
                }),
            }),
        }
    }

    /// An external node, which shares this secret.
    pub(crate) fn of(http: &str, admin: &str, secret: &[u8]) -> Self {
        Self {
            inner: Arc::new(Inner {
                http: http.to_owned(),
                admin: admin.to_owned(),
                secret: secret.to_owned(),
                own: None,
            }),
        }
    }

    /// `host:port` of the front door.
    pub(crate) fn http(&self) -> &str {
        &self.inner.http
    }

    /// `host:port` of the operators' door.
    pub(crate) fn admin(&self) -> &str {
        &self.inner.admin
    }

    /// Whether it is external, perhaps behind an edge.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.inner.own.is_none()
    }

    /// The secret whose HS256 tokens the node takes.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.inner.secret
    }

    /// The scratch directory of a node of our own.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.inner.own().scratch
    }

    /// Its standard error so far.
    pub(crate) fn stderr(&self) -> String {
        stderr_of(self.scratch())
    }

    /// A token of this user, good for an hour.
    pub(crate) fn token(&self, sub: &str) -> String {
        self.token_for(sub, 3_600)
    }

    /// A token of this user that ends in so many seconds from now.
    pub(crate) fn token_for(&self, sub: &str, seconds: i64) -> String {
        self.mint(&json!({ "sub": sub, "exp": unix_seconds() + seconds }))
    }

    /// A token of the host product's server.
    pub(crate) fn admin_token(&self) -> String {
        self.mint(&json!({ "sub": "host", "scope": "admin", "exp": unix_seconds() + 3_600 }))
    }

    /// A token with any claims.
    pub(crate) fn mint(&self, claims: &Value) -> String {
        let key = EncodingKey::from_secret(self.secret());
        let header = Header::new(Algorithm::HS256);
        jsonwebtoken::encode(&header, claims, &key).expect("sign a token")
    }

    /// One HTTP call; an empty `token` sends none, a `null` body neither.
    pub(crate) fn call(&self, method: &str, path: &str, token: &str, body: Value) -> Reply {
        let authorization = format!("Bearer {token}");
        let mut headers = Vec::new();
        if !token.is_empty() {
            headers.push(("Authorization", authorization.as_str()));
        }
        let body = (!body.is_null()).then(|| body.to_string());
        if body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        let body = body.as_ref().map(String::as_bytes);
        http::send(self.http(), method, path, &headers, body)
    }

    /// `GET` on the operators' door.
    pub(crate) fn probe(&self, path: &str) -> Reply {
        http::send(self.admin(), "GET", path, &[], None)
    }

    /// A room made by the host product with these members, the first its owner. Gives its id.
    pub(crate) fn room(&self, members: &[&str]) -> String {
        let body = json!({ "kind": "GROUP", "visibility": "PRIVATE", "memberIds": members });
        let reply = self.call("POST", "/v1/rooms", &self.admin_token(), body);
        let room = reply.ok(201);
        room["roomId"].as_str().expect("a room id").to_owned()
    }

    /// The memory that the node's process has in use, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let pid = lock(&self.inner.own().process).child.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        let status = status.expect("read the node's status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        1_024 * kib.expect("VmRSS in KiB")
    }

    /// A figure of the metrics, all its labels together; 0 if it is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.probe("/metrics").text();
        let figures = text.lines().filter_map(|line| {
            let (found, figure) = line.rsplit_once(' ')?;
            let bare = found.split('{').next()?;
            (bare == name).then(|| figure.parse::<f64>().ok())?
        });
        figures.sum()
    }

    /// Ends it without a warning, as a power cut would.
    pub(crate) fn kill9(&self) {
        let mut process = lock(&self.inner.own().process);
        process.child.kill().expect("kill the node");
        process.child.wait().expect("wait for the node");
    }

    /// Starts it again on the same data and the same ports; kills it first if it still runs.
    pub(crate) fn restart(&self) {
        self.kill9();
        let own = self.inner.own();
        let (process, _, _) = spawn(&own.scratch, &own.arguments, self.http(), self.admin());
        *lock(&own.process) = process;
    }

    /// Asks it to leave (SIGTERM), and does not wait.
    pub(crate) fn ask_to_leave(&self) {
        let process = lock(&self.inner.own().process);
        let pid = Pid::from_child(&process.child);
        kill_process(pid, Signal::TERM).expect("signal the node");
    }

    /// Waits for its end; gives the exit status.
    pub(crate) fn ended(&self) -> i32 {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            let ended = lock(&self.inner.own().process).child.try_wait();
            if let Some(status) = ended.expect("ask for the node's end") {
                return status.code().expect("no signal ended it");
            }
            pause(Duration::from_millis(10));
        }
        panic!("the node did not end within {TIMEOUT:?}");
    }

    /// Asks it to leave and waits for its end; gives the exit status.
    pub(crate) fn terminate(&self) -> i32 {
        self.ask_to_leave();
        self.ended()
    }

    /// The standard output of an ended node after its first line.
    pub(crate) fn rest_of_stdout(&self) -> Vec<String> {
        let process = lock(&self.inner.own().process);
        process.stdout.iter().collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(own) = &self.inner.own
            && std::thread::panicking()
        {
            show(&stderr_of(&own.scratch));
        }
    }
}

impl Inner {
    fn own(&self) -> &Own {
        self.own.as_ref().expect("this test needs Node::own")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut process = lock(&self.process);
        let _ = process.child.kill();
        let _ = process.child.wait();
    }
}

fn spawn(
    scratch: &Scratch,
    arguments: &Vec<String>,
    listen: &str,
    admin: &str,
) -> (Process, String, String) {
    let key = scratch.write("hs256", SECRET);
    let log = File::options()
        .create(true)
        .append(true)
        .open(scratch.join("stderr"))
        .expect("open a file for standard error");
    let mut child = roomcast()
        .args(["--listen", listen, "--admin", admin])
        .args(["--data", &scratch.join("data")])
        .args(["--token-key", &format!("hs256:{key}")])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("start roomcast");
    let stdout = child.stdout.take().expect("its standard output");
    let (lines, said) = sync_channel(64);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let Ok(ready) = said.recv_timeout(TIMEOUT) else {
        let _ = child.kill();
        panic!("roomcast did not get ready: {}", stderr_of(scratch));
    };
    let ready: Value = serde_json::from_str(&ready).expect("the ready line is JSON");
    assert_eq!(ready["event"], "ready", "{ready}");
    let address = |name: &str| host_and_port(ready[name].as_str().expect("an address"));
    let (http, admin) = (address("http"), address("admin"));
    (
        Process {
            child,
            stdout: said,
        },
        http,
        admin,
    )
}

fn host_and_port(url: &str) -> String {
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("{url} is not http://host:port"));
    rest.trim_end_matches('/').to_owned()
}

fn stderr_of(scratch: &Scratch) -> String {
    std::fs::read_to_string(scratch.join("stderr")).unwrap_or_default()
}

/// The fleet that the environment names.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests says with variables what they run against"
)]
fn remote() -> Option<Arc<Inner>> {
    static REMOTE: OnceLock<Option<Arc<Inner>>> = OnceLock::new();
    let read = || {
        let url = std::env::var("ROOMCAST_TEST_URL").ok()?;
        let of = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let secret = std::fs::read(of("ROOMCAST_TEST_HS256")).expect("read the shared secret");
        Some(Arc::new(Inner {
            http: host_and_port(&url),
            admin: host_and_port(&of("ROOMCAST_TEST_ADMIN_URL")),
            secret: secret.trim_ascii().to_vec(),
            own: None,
        }))
    };
    REMOTE.get_or_init(read).clone()
}

/// A name that is unused on this node, also in earlier runs: `alice-…`.
pub(crate) fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = since_epoch();
    format!(
        "{name}-{:x}-{:x}-{count}",
        now.as_micros(),
        std::process::id()
    )
}

/// Now, in the time format of tokens.
pub(crate) fn unix_seconds() -> i64 {
    i64::try_from(since_epoch().as_secs()).expect("the clock is right")
}

fn since_epoch() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("the clock is after 1970")
}

/// Lets time pass, where time itself is what the test is about.
#[expect(
    clippy::disallowed_methods,
    reason = "these tests are clients in threads of their own"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[expect(
    clippy::print_stderr,
    reason = "a failed test shows what its node said"
)]
fn show(stderr: &str) {
    let lines: Vec<&str> = stderr.lines().collect();
    let last = &lines[lines.len().saturating_sub(60)..];
    eprintln!(
        "---- the node's standard error, its end ----\n{}",
        last.join("\n")
    );
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
