//! Signs of life a second, in batches as gateways send them, and how long Redis is busy with each call:
//! `cargo bench -p roomcast-redis`.
//!
//! Starts a Redis and a cluster of three; both share this machine's cores with the program.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomcast_ports::presence::{Lease, PresenceStore as _};
use roomcast_protocol::{ConnectionId, PresenceStatus, UserId};
use roomcast_redis::{RedisConfig, RedisPresence};
use roomcast_test_cluster::{Redis, RedisCluster};

const USERS: usize = 50_000;
const TTL: Duration = Duration::from_secs(90);
const MEASURED_FOR: Duration = Duration::from_secs(4);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("start a runtime");
    let redis = Redis::start().expect("start redis");
    println!("one Redis");
    runtime.block_on(measure(redis.url(), &[redis.address()]));
    drop(redis);
    let cluster = RedisCluster::start().expect("start a cluster");
    println!("a Redis Cluster of three");
    runtime.block_on(measure(cluster.url(), &cluster.addresses()));
}

async fn measure(url: String, addresses: &[String]) {
    let config = RedisConfig::new(url);
    let presence = RedisPresence::connect(config)
        .await
        .expect("connect to redis");
    let empty = busy(addresses);
    let leases: Vec<Lease> = (0..USERS).map(lease).collect();
    for batch in [1, 16, 512, 4_096] {
        let before = busy(addresses);
        let (touches, took) = touch(&presence, &leases, batch).await;
        let after = busy(addresses);
        #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
        let (rate, script, processor) = (
            touches as f64 / took.as_secs_f64(),
            (after.script_us - before.script_us) / (after.calls - before.calls),
            (after.processor_us - before.processor_us) / touches as f64,
        );
        println!(
            "  batches of {batch:>5}: {rate:>8.0} touches/s, {script:>6.0} µs a call of the script, \
             {processor:>4.1} µs of a processor a touch"
        );
    }
    let (began, mut told) = (Instant::now(), 0);
    while told < USERS {
        told += presence.sweep().await.expect("sweep").len();
    }
    println!("  {told} changes told in {:?}", began.elapsed());
    let mut least = Duration::MAX;
    for _ in 0..50 {
        let began = Instant::now();
        presence.sweep().await.expect("sweep");
        least = least.min(began.elapsed());
    }
    println!("  a sweep that finds nothing: {least:?}");
    let began = Instant::now();
    let online = presence.online_users().await.expect("count");
    println!("  counting {online} users: {:?}", began.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "a count of users")]
    let memory = (busy(addresses).memory_bytes - empty.memory_bytes) / USERS as f64;
    println!("  memory of Redis: {memory:.0} bytes a user");
    presence.close().await;
}

/// Touches one batch after the other for a while.
async fn touch(presence: &Arc<RedisPresence>, leases: &[Lease], batch: usize) -> (usize, Duration) {
    let (began, mut touches) = (Instant::now(), 0);
    for batch in leases.chunks(batch).cycle() {
        presence.renew(batch, TTL).await.expect("touch leases");
        touches += batch.len();
        if began.elapsed() > MEASURED_FOR {
            break;
        }
    }
    (touches, began.elapsed())
}

/// What the servers have done so far.
#[derive(Default)]
struct Busy {
    calls: f64,
    script_us: f64,
    processor_us: f64,
    memory_bytes: f64,
}

fn busy(addresses: &[String]) -> Busy {
    let mut busy = Busy::default();
    for address in addresses {
        let (host, port) = address.rsplit_once(':').expect("a port");
        let output = Command::new("redis-cli")
            .args(["-h", host, "-p", port, "INFO", "all"])
            .output()
            .expect("run redis-cli");
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let figure = |name: &str| -> f64 {
                let (_, rest) = line.split_once(name).expect("a figure");
                let digits = rest.split(',').next().expect("a value");
                digits.parse().expect("a number")
            };
            if line.starts_with("cmdstat_eval") {
                busy.calls += figure("calls=");
                busy.script_us += figure("usec=");
            }
            if line.starts_with("used_cpu_sys:") || line.starts_with("used_cpu_user:") {
                busy.processor_us += 1e6 * figure(":");
            }
            if line.starts_with("used_memory:") {
                busy.memory_bytes += figure(":");
            }
        }
    }
    busy
}

fn lease(n: usize) -> Lease {
    Lease {
        user_id: UserId::new(&format!("user-{n}")).expect("an id"),
        connection_id: ConnectionId::generate(),
        status: PresenceStatus::Online,
        gateway: "gateway-7f9c4d5b8-x2x9z".into(),
    }
}
