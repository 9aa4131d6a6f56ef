//! A Roomcast process per test, on free ports, with its data in a scratch directory.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(40);
const SECRET: &str = "a secret that only this test and its node know";

/// A running Roomcast.
pub(crate) struct Node {
    child: Child,
    scratch: PathBuf,
    arguments: Vec<String>,
    /// `host:port` of its HTTP server.
    pub(crate) address: String,
}

impl Node {
    /// Starts a process with these arguments added to those of the harness.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let scratch = scratch();
        std::fs::write(scratch.join("key"), SECRET).expect("write the key");
        let arguments: Vec<String> = arguments.iter().map(|&one| one.to_owned()).collect();
        let (child, address) = spawn(&scratch, &arguments, "127.0.0.1:0");
        Self {
            child,
            scratch,
            arguments,
            address,
        }
    }

    /// The token key of the process and of `loadtest`.
    pub(crate) fn token_key(&self) -> String {
        format!("hs256:{}", self.scratch.join("key").display())
    }

    /// A path in its scratch directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Sends it this signal, waits for its end and starts it again on the same port and data.
    pub(crate) fn restart(&mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signal the node");
        let deadline = Instant::now() + TIMEOUT;
        while self.child.try_wait().expect("ask for its end").is_none() {
            assert!(
                Instant::now() < deadline,
                "the node did not end within {TIMEOUT:?}"
            );
            pause();
        }
        let (child, address) = spawn(&self.scratch, &self.arguments, &self.address);
        assert_eq!(address, self.address);
        self.child = child;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

fn spawn(scratch: &Path, arguments: &[String], listen: &str) -> (Child, String) {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(scratch.join("stderr"));
    // Instead of the program that users run: another with the same options behind its own words.
    let (program, arguments) = match arguments.split_first() {
        Some((first, rest)) if first == DAMAGED => (damaged(), rest),
        _ => (roomcast(), arguments),
    };
    let own = arguments.iter().take_while(|word| !word.starts_with("--"));
    let own: Vec<&String> = own.collect();
    let mut child = Command::new(program)
        .args(&own)
        .args(["--listen", listen, "--admin", "127.0.0.1:0", "--data"])
        .arg(scratch.join("data"))
        .arg("--token-key")
        .arg(format!("hs256:{}", scratch.join("key").display()))
        .args(&arguments[own.len()..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log.expect("open a file for standard error"))
        .spawn()
        .expect("start roomcast");
    let stdout = child.stdout.take().expect("its standard output");
    let (say, said) = sync_channel(1);
    std::thread::spawn(move || {
        let first = BufReader::new(stdout).lines().next();
        let _ = say.send(first.and_then(Result::ok));
    });
    let Ok(Some(ready)) = said.recv_timeout(TIMEOUT) else {
        let _ = child.kill();
        let stderr = std::fs::read_to_string(scratch.join("stderr")).unwrap_or_default();
        panic!("roomcast did not get ready: {stderr}");
    };
    let ready: Value = serde_json::from_str(&ready).expect("the ready line is JSON");
    let http = ready["http"].as_str().expect("an address");
    (child, http.trim_start_matches("http://").to_owned())
}

/// The program in the same directory: the same command builds both.
fn roomcast() -> PathBuf {
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_loadtest"));
    let path = ours.with_file_name("roomcast");
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo build -p roomcast`, or run `cargo test --workspace`",
        path.display()
    );
    path
}

/// The program with a broken log: `DAMAGED drop 100`.
pub(crate) const DAMAGED: &str = "damaged";

/// The example in the same target directory.
fn damaged() -> PathBuf {
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_loadtest"));
    let path = ours.with_file_name("examples").join(DAMAGED);
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo build -p roomcast --example damaged`, or run `cargo test --workspace`",
        path.display()
    );
    path
}

fn scratch() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!(
        "roomcast-loadtest-test-{}-{count}",
        std::process::id()
    ));
    std::fs::create_dir_all(&path).expect("make a scratch directory");
    path
}

#[expect(
    clippy::disallowed_methods,
    reason = "this test is a process's parent, in a thread of its own"
)]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}
