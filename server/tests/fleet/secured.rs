//! Stores that ask who calls, over TLS: Cassandra with passwords, Redis with an access control list, both
//! with client certificates.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomcast_test_cluster::{Cassandra, CassandraSpec, Certificates, Redis};

use crate::support::program::{Ended, roomcast, run};
use crate::support::scratch::Scratch;

/// How long a start that is refused may take (contract §9).
const REFUSED_TIMEOUT: Duration = Duration::from_secs(60);
const PASSWORD: &str = "the password of the fleet";

/// The files of one set of options: who we are, and whom we trust.
struct Files {
    certificates: Arc<Certificates>,
    /// An authority that has signed nothing here.
    other: Certificates,
    scratch: Scratch,
}

impl Files {
    fn make() -> Self {
        Self {
            certificates: Arc::new(Certificates::make().expect("make certificates")),
            other: Certificates::make().expect("make certificates"),
            scratch: Scratch::new(),
        }
    }

    /// The options of one store, all of them right.
    fn options(&self, prefix: &str, user: &str, password: &str) -> Vec<(String, String)> {
        let file = |name| self.certificates.file(name).display().to_string();
        let password = format!(" {password}\n");
        let password_file = self.scratch.write(&format!("{prefix}-password"), &password);
        [
            ("user", user.to_owned()),
            ("password-file", password_file),
            ("ca", file("ca.pem")),
            ("cert", file("client.pem")),
            ("key", file("client-key.pem")),
        ]
        .map(|(name, value)| (format!("--{prefix}-{name}"), value))
        .into()
    }

    /// Starts with these options, one of them replaced; it must be refused.
    fn refused(&self, store: [&str; 2], options: &[(String, String)], but: &str, value: &str) {
        let data = self.scratch.join("refused");
        let mut line = vec!["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        line.extend(["--data", &data]);
        line.extend(store);
        for (name, given) in options {
            let given = if name.ends_with(but) { value } else { given };
            line.extend([name.as_str(), given]);
        }
        let since = Instant::now();
        let ended = run(&line, &[]);
        assert!(since.elapsed() < REFUSED_TIMEOUT, "{:?}", since.elapsed());
        assert_eq!(ended.status, 1, "{but}: {ended:?}");
        assert!(ended.stderr.contains(store[0]), "{but}: {ended:?}");
        assert!(!ended.stderr.contains(PASSWORD), "{but}: {ended:?}");
        let cause = if but == "password-file" {
            "password"
        } else {
            "certificate"
        };
        let stderr = ended.stderr.to_lowercase();
        assert!(stderr.contains(cause), "{but}: {ended:?}");
    }

    /// Every way of not being let in.
    fn refused_each_way(&self, store: [&str; 2], options: &[(String, String)]) {
        let wrong = self.scratch.write("wrong-password", "guessed");
        self.refused(store, options, "password-file", &wrong);
        let other = self.other.file("ca.pem").display().to_string();
        self.refused(store, options, "-ca", &other);
    }
}

/// `roomcast check` with these options.
fn check(scratch: &Scratch, store: [&str; 2], options: &[(String, String)]) -> Ended {
    let data = scratch.join("checked");
    let mut line = vec!["check", "--data", &data];
    line.extend(store);
    for (name, value) in options {
        line.extend([name.as_str(), value]);
    }
    run(&line, &[])
}

/// A process that serves; killed when dropped.
struct Serving(Child);

impl Serving {
    fn start(scratch: &Scratch, store: [&str; 2], options: &[(String, String)]) -> Self {
        use std::io::{BufRead as _, BufReader};
        let mut child = roomcast()
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--data", &scratch.join("data")])
            .args(store)
            .args(options.iter().flat_map(|(name, value)| [name, value]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start roomcast");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its standard output");
        let read = BufReader::new(stdout).read_line(&mut line);
        read.expect("read the ready line");
        assert!(line.contains(r#""event":"ready""#), "{line}");
        Self(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn process_serves_from_a_secured_redis_and_is_refused_by_name_otherwise() {
    let files = Files::make();
    let redis = Redis::start_secured(&files.certificates, "fleet", "secret");
    let redis = redis.expect("start redis");
    let url = redis.url();
    let store = ["--presence-store", url.as_str()];
    let options = files.options("presence-store", "fleet", "secret");
    let serving = Serving::start(&files.scratch, store, &options);
    let checked = check(&files.scratch, store, &options);
    assert_eq!(checked.status, 0, "{checked:?}");
    drop(serving);
    files.refused_each_way(store, &options);
}

#[test]
fn process_serves_from_a_secured_cassandra_and_is_refused_by_name_otherwise() {
    let files = Files::make();
    let spec = CassandraSpec {
        nodes: 1,
        secured: Some(Arc::clone(&files.certificates)),
        ..CassandraSpec::default()
    };
    let cassandra = Cassandra::start(&spec).expect("start a CQL server");
    let url = format!("cql://{}/secured", cassandra.hosts());
    let store = ["--store", url.as_str()];
    let mut options = files.options("store", "cassandra", "cassandra");
    options.push(("--store-datacenter".to_owned(), "datacenter1".to_owned()));
    let empty = check(&files.scratch, store, &options);
    assert_eq!(empty.status, 0, "{empty:?}");
    assert!(empty.stdout.contains("does not exist yet"), "{empty:?}");
    drop(Serving::start(&files.scratch, store, &options));
    let checked = check(&files.scratch, store, &options);
    assert_eq!(checked.status, 0, "{checked:?}");
    let copies = "copies: secured datacenter1=1; secured_lwt datacenter1=1";
    assert!(checked.stdout.contains(copies), "{checked:?}");
    files.refused_each_way(store, &options);
}
