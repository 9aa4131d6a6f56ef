//! A fleet of stand-ins: everything around `roomcast` is real.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use roomcast_test_cluster::cluster::{Cluster, ClusterSpec};

mod arguments;
mod routes;

const STAND_IN: &str = env!("CARGO_BIN_EXE_cluster-stand-in");

fn small() -> ClusterSpec {
    ClusterSpec {
        nats_nodes: 1,
        edges: 2,
        ..ClusterSpec::new(STAND_IN)
    }
}

/// The status and the body of the answer.
fn call(url: &str, method: &str, path: &str) -> (u16, String) {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("connect to the edge");
    let timeout = Some(Duration::from_secs(10));
    stream.set_read_timeout(timeout).expect("set a bound");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer
        .split(' ')
        .nth(1)
        .expect("a status")
        .parse()
        .expect("a number");
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    (status, body.to_owned())
}

#[test]
fn every_call_reaches_a_process_of_its_role_and_the_loss_of_a_gateway_is_not_seen() {
    let mut fleet = Cluster::start(&small()).expect("start");
    let url = fleet.url();
    for route in routes::all() {
        let (status, role) = call(&url, &route.method, &route.path);
        assert_eq!((status, &*role), (200, &*route.role), "{route:?}");
    }
    for (method, path) in [
        ("DELETE", "/v1/rooms/a/messages"),
        ("POST", "/v1/rooms/a/messages/b"),
    ] {
        let answer = call(&url, method, path);
        assert_eq!(answer, (200, "history".to_owned()), "{method} {path}");
    }
    for page in [
        "/",
        "/js/client.js",
        "/v1/ws",
        "/v1/roomsandmore",
        "/v1/meadow",
    ] {
        assert_eq!(
            call(&url, "GET", page),
            (200, "gateway".to_owned()),
            "{page}"
        );
    }

    fleet.part_mut("gateway-1").expect("it is there").kill();
    for _ in 0..50 {
        assert_eq!(call(&url, "GET", "/"), (200, "gateway".to_owned()));
    }
    fleet.part_mut("gateway-2").expect("it is there").kill();
    let (status, body) = call(&url, "GET", "/");
    assert_eq!(status, 503);
    assert!(body.contains("\"code\":\"UNAVAILABLE\""), "{body}");
    fleet
        .part_mut("gateway-2")
        .expect("it is there")
        .start()
        .expect("start");
    let deadline = Instant::now() + Duration::from_secs(5);
    while call(&url, "GET", "/").0 != 200 {
        assert!(Instant::now() < deadline, "a gateway that is back is used");
    }
}

fn fleet(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cluster"))
        .args(arguments)
        .arg("--directory")
        .arg(directory)
        .output()
        .expect("run fleet")
}

fn text(output: &Output) -> String {
    let text = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// The process ids in the table.
fn pids(table: &str) -> Vec<u32> {
    let rows = table.lines().filter(|line| line.contains(" runs "));
    rows.filter_map(|row| row.split_whitespace().rev().nth(1)?.parse().ok())
        .collect()
}

/// A zombie counts as gone.
fn is_alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mut lines = status.lines();
    lines.any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// Ends what the test below leaves running, also when it fails.
struct Stop(PathBuf);

impl Drop for Stop {
    fn drop(&mut self) {
        let output = fleet(&["clean"], &self.0);
        assert!(
            output.status.success() || std::thread::panicking(),
            "{}",
            text(&output)
        );
    }
}

#[test]
fn a_fleet_in_the_background_is_found_again_and_ends_whole_with_its_data_kept() {
    let directory = std::env::temp_dir().join(format!("roomcast-fleet-{}", std::process::id()));
    let _stop = Stop(directory.clone());
    let none = fleet(&["status"], &directory);
    assert!(text(&none).contains("nothing runs here"), "{}", text(&none));

    let port = roomcast_test_cluster::Port::free()
        .expect("a port")
        .number()
        .to_string();
    let start = [
        "start",
        "--edges",
        "1",
        "--program",
        STAND_IN,
        "--port",
        &port,
    ];
    let started = fleet(&start, &directory);
    let table = text(&started);
    assert!(started.status.success(), "{table}");
    // Two gateways, two ingest, four more roles, an edge, three nats-servers, Cassandra, Redis.
    let first = pids(&table);
    assert_eq!(first.len(), 14, "{table}");
    assert!(first.iter().copied().all(is_alive));
    assert_eq!(call(&format!("127.0.0.1:{port}"), "GET", "/v1/me").0, 200);

    let again = text(&fleet(&start, &directory));
    assert!(again.contains("runs already"), "{again}");
    assert_eq!(pids(&again), first);

    let killed = Command::new("kill")
        .args(["-9", &first[0].to_string()])
        .status();
    assert!(killed.expect("kill").success());
    let deadline = Instant::now() + Duration::from_secs(5);
    while is_alive(first[0]) {
        assert!(Instant::now() < deadline, "what is killed ends");
        std::thread::yield_now();
    }
    let broken = fleet(&["status"], &directory);
    assert!(
        !broken.status.success() && text(&broken).contains("DEAD"),
        "{}",
        text(&broken)
    );
    let whole = fleet(&start, &directory);
    let second = pids(&text(&whole));
    assert_eq!(second.len(), 14, "{}", text(&whole));
    assert!(!first.iter().copied().any(is_alive) && second.iter().copied().all(is_alive));

    let stopped = fleet(&["stop"], &directory);
    assert!(stopped.status.success(), "{}", text(&stopped));
    assert!(!second.iter().copied().any(is_alive));
    assert!(directory.join("nats").is_dir() && directory.join("cassandra").is_dir());

    let three = [&start[..], &["--nodes", "3"]].concat();
    let refused = fleet(&three, &directory);
    assert!(
        text(&refused).contains("was written by 1"),
        "{}",
        text(&refused)
    );
}
