//! Each server starts, answers, is killed, and comes back with its data, or without it.

mod speak;

use std::process::Command;

use roomcast_test_cluster::{
    Cassandra, CassandraSpec, HaProxy, Nats, NatsSpec, Port, Redis, RedisCluster, Sync,
};
use speak::{nats, redis};

#[test]
fn a_killed_nats_server_comes_back_with_its_streams() {
    let mut servers = Nats::start(1).expect("start");
    let made = nats::request(
        servers.address(0),
        "$JS.API.STREAM.CREATE.KEPT",
        r#"{"name":"KEPT","subjects":["kept.>"],"storage":"file","num_replicas":1}"#,
    );
    assert!(!made.contains("error"), "{made}");
    let stored = nats::request(servers.address(0), "kept.one", "hello");
    assert!(stored.contains("\"seq\":1"), "{stored}");

    let first = servers.pid(0).expect("it runs");
    servers.kill(0);
    assert_eq!(servers.pid(0), None);
    assert!(!speak::is_alive(first));
    servers.start_node(0).expect("start again");
    assert_ne!(servers.pid(0), Some(first));

    let info = nats::request(servers.address(0), "$JS.API.STREAM.INFO.KEPT", "");
    assert!(info.contains("\"messages\":1"), "{info}");
}

#[test]
fn three_nats_servers_elect_a_leader_again_when_it_is_killed() {
    let mut servers = Nats::start(3).expect("start");
    assert_eq!(servers.servers().split(',').count(), 3);
    // The servers get our subscription on one route and the request on another: a reply can arrive
    // before its receiver is known. A retry is answered with the same stream.
    let made = speak::until(30, || {
        let stream =
            r#"{"name":"THRICE","subjects":["thrice.>"],"storage":"file","num_replicas":3}"#;
        nats::try_request(servers.address(0), "$JS.API.STREAM.CREATE.THRICE", stream).ok()
    });
    assert!(!made.contains("error"), "{made}");
    let leader = leader(&made);
    let index = servers.node_named(&leader).expect("a name of ours");
    assert_eq!(servers.node_name(index), leader);

    servers.kill(index);
    let other = (index + 1) % 3;
    let next = speak::until(30, || {
        // The stream has no responder before it has a leader.
        let info = nats::try_request(servers.address(other), "$JS.API.STREAM.INFO.THRICE", "");
        info.ok()
            .map(|info| self::leader(&info))
            .filter(|next| !next.is_empty() && *next != leader)
    });
    assert_ne!(next, leader);
    servers.start_node(index).expect("start again");
    servers.wait_until_ready().expect("whole again");
}

/// The leader's name in a stream's information, or nothing.
fn leader(info: &str) -> String {
    let after = info
        .split_once("\"leader\":\"")
        .map_or("", |(_, after)| after);
    after.split('"').next().unwrap_or_default().to_owned()
}

#[test]
fn paused_nats_server_is_silent_until_resumed() {
    let servers = Nats::start(1).expect("start");
    servers.pause(0).expect("pause");
    assert!(servers.monitoring(0, "/healthz").is_err());
    servers.resume(0).expect("resume");
    let healthy = servers.monitoring(0, "/healthz").expect("it goes on");
    assert!(healthy.contains("ok"), "{healthy}");
}

#[test]
fn extra_configuration_reaches_the_nats_server() {
    let spec = NatsSpec {
        nodes: 1,
        extra_config: Some("authorization { user: someone, password: secret }\n".to_owned()),
        ..NatsSpec::default()
    };
    let servers = Nats::start_with(&spec).expect("start");
    let refused = nats::try_request(servers.address(0), "$JS.API.INFO", "");
    let refused = refused.expect_err("nobody comes in without the password");
    assert!(refused.contains("Authorization Violation"), "{refused}");
}

#[test]
fn a_nats_server_that_cannot_read_its_configuration_is_an_error_with_its_words() {
    let spec = NatsSpec {
        nodes: 1,
        extra_config: Some("no_such_block { }\n".to_owned()),
        ..NatsSpec::default()
    };
    let error = Nats::start_with(&spec).expect_err("it must not start");
    assert!(error.to_string().contains("no_such_block"), "{error}");
}

#[test]
fn a_restarted_redis_is_empty() {
    let mut server = Redis::start().expect("start");
    assert_eq!(server.url(), format!("redis://{}", server.address()));
    assert_eq!(redis::ask(&server.address(), "SET here yes"), "+OK");
    assert_eq!(redis::ask(&server.address(), "EXISTS here"), ":1");
    server.restart().expect("restart");
    assert_eq!(redis::ask(&server.address(), "EXISTS here"), ":0");
    server.kill();
    assert!(redis::try_ask(&server.address(), "PING").is_err());
}

#[test]
fn the_three_masters_of_a_redis_cluster_serve_every_slot() {
    let mut cluster = RedisCluster::start().expect("start");
    let addresses = cluster.addresses();
    assert_eq!(
        cluster.url(),
        format!("redis-cluster://{}", addresses.join(","))
    );
    let moved = (0..20)
        .filter(|key| redis::ask(&addresses[0], &format!("GET key{key}")).starts_with("-MOVED"))
        .count();
    assert!(
        (1..20).contains(&moved),
        "{moved} of 20 keys live elsewhere"
    );
    cluster.kill(2);
    cluster.start_node(2).expect("start again");
    cluster.wait_until_ready().expect("whole again");
}

#[test]
fn a_killed_cassandra_node_answers_again_in_its_place() {
    let spec = CassandraSpec {
        nodes: 1,
        sync: Sync::Batch,
        ..CassandraSpec::default()
    };
    let mut cassandra = Cassandra::start(&spec).expect("start");
    assert_eq!(cassandra.hosts(), cassandra.address(0));
    let first = cassandra.pid(0).expect("it runs");
    cassandra.kill(0);
    assert!(!speak::is_alive(first));
    cassandra.start_node(0).expect("start again");
    assert!(cassandra.pid(0).is_some_and(|pid| pid != first));
}

#[test]
fn three_cassandra_nodes_answer_on_one_port_of_three_addresses() {
    let spec = CassandraSpec {
        nodes: 3,
        sync: Sync::Periodic,
        ..CassandraSpec::default()
    };
    let mut cassandra = Cassandra::start(&spec).expect("start");
    let hosts = cassandra.hosts();
    let (ips, ports): (Vec<&str>, Vec<&str>) = hosts
        .split(',')
        .filter_map(|host| host.split_once(':'))
        .unzip();
    assert_eq!(ips, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    assert!(ports.iter().all(|port| *port == ports[0]), "{hosts}");
    cassandra.kill(1);
    cassandra.start_node(1).expect("start again");
}

#[test]
fn haproxy_answers_for_a_configuration_and_refuses_a_wrong_one() {
    let port = Port::free().expect("a port");
    let address = format!("127.0.0.1:{}", port.number());
    let config = format!(
        "defaults\n  mode http\n  timeout client 5s\n  timeout connect 5s\n  timeout server 5s\n\
         frontend edge\n  bind {address}\n  http-request return status 200 content-type text/plain string here\n"
    );
    let _edge = HaProxy::start(&config, &address).expect("start");
    assert!(speak::http(&address, "/any").ends_with("here"));
    let error = HaProxy::start("frontend edge\n  bindd :1\n", &address).expect_err("a wrong word");
    assert!(error.to_string().contains("bindd"), "{error}");
}

#[test]
fn servers_are_gone_when_their_handle_is_dropped() {
    let servers = Nats::start(1).expect("start");
    let (pid, directory) = (
        servers.pid(0).expect("it runs"),
        servers.directory().to_owned(),
    );
    assert!(speak::is_alive(pid) && directory.is_dir());
    drop(servers);
    assert!(!speak::is_alive(pid) && !directory.exists());
}

/// The program that is killed is this one, started again for a test that keeps a server and waits.
#[test]
fn servers_are_gone_when_their_program_was_killed() {
    let mut program = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "keeps_a_server_on_request", "--nocapture"])
        .env("KEEP_A_SERVER", "yes")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("start");
    let mut said = speak::lines(program.stdout.take().expect("its output"));
    let line = said
        .find(|line| line.contains("keeps "))
        .expect("it has started one");
    let words: Vec<&str> = line
        .split("keeps ")
        .nth(1)
        .expect("words")
        .split(' ')
        .collect();
    let pid: u32 = words[0].parse().expect("a process id");
    assert!(speak::is_alive(pid));
    program.kill().expect("kill");
    program.wait().expect("wait");
    speak::until(10, || (!speak::is_alive(pid)).then_some(()));
    speak::until(10, || {
        (!std::path::Path::new(words[1]).exists()).then_some(())
    });
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how the test above says that this is its program"
)]
fn keeps_a_server_on_request() {
    if std::env::var_os("KEEP_A_SERVER").is_none() {
        return;
    }
    let server = Redis::start().expect("start");
    let directory = server.log().parent().expect("a directory").display();
    println!("keeps {} {directory} ", server.pid().expect("it runs"));
    std::thread::park();
}
