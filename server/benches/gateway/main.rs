//! What a delivery and an idle connection cost the gateway process, against a bare loop.
//!
//! The product runs as it ships, with real tokens, membership, the chain, outboxes and metrics on. The
//! floor is a process of ours that keeps the same number of sockets in an epoll set and sends the same
//! number of bytes to each with `send()`, and does nothing else. Each is pinned to the first core and
//! its readers to the second; rounds of both alternate within one run, so that a noisy machine is
//! noisy for both. CPU is what the kernel accounts to the process (`/proc/PID/task/*/schedstat`),
//! memory its anonymous resident pages (`RssAnon`).
//!
//! `cargo bench --profile dist -p roomcast --bench gateway [-- fanout|idle|sends]`

#![expect(clippy::print_stdout, reason = "a program for people to read")]
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark waits and exits as it likes"
)]
#![expect(clippy::cast_precision_loss, reason = "ratios are for people to read")]

mod floor;
mod process;
mod product;
mod reader;

use std::time::Duration;

use process::Peer;
use product::Product;

/// Rounds of each kind; the table shows their median and their spread.
const ROUNDS: usize = 9;
/// Members of the room that is fanned out to.
const MEMBERS: [usize; 2] = [1_000, 10_000];
/// Connections of the idle measurement.
const IDLE: [usize; 3] = [1_000, 5_000, 15_000];
/// Connections made before measuring: the first ones pay for caches that all share.
const WARM: usize = 210;
/// Deliveries in one round, about.
const DELIVERIES: usize = 100_000;
const BURST: usize = 8;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["floor"] => floor::run(),
        ["reader", kind, address] => reader::run(kind, address),
        ["fanout"] => fanout(),
        ["idle"] => idle(),
        ["sends"] => sends(),
        [] => {
            fanout();
            idle();
            sends();
        }
        other => panic!("fanout, idle, sends or nothing; not {other:?}"),
    }
}

/// CPU nanoseconds per delivery in one round of `times` turns of `events` events each.
fn round(server: u32, readers: &mut Peer, members: usize, events: usize) -> f64 {
    let times = (DELIVERIES / members / events).max(3);
    readers.ask("ping");
    let before = process::cpu_nanoseconds(server);
    for _ in 0..times {
        readers.ask(&format!("send {events}"));
        readers.ask(&format!("expect {events}"));
    }
    let spent = process::cpu_nanoseconds(server) - before;
    spent as f64 / (times * events * members) as f64
}

fn fanout() {
    println!("CPU of the process per delivery of a 204-byte event, {ROUNDS} rounds each, in turns");
    println!();
    println!("| members | kind | floor ns | roomcast ns | ratio, median | spread |");
    println!("|---|---|---|---|---|---|");
    for members in MEMBERS {
        let product = Product::start("0");
        product.make_room("fan", 0..members);
        let mut readers = product.readers("fan");
        readers.ask(&format!("connect 0 {members}"));
        let floor = Peer::pinned(0, &["floor"]);
        let mut floor_readers = Peer::pinned(1, &["reader", "floor", floor.first_line()]);
        floor_readers.ask(&format!("connect 0 {members}"));
        for (kind, events) in [("isolated", 1), ("burst of 8", BURST)] {
            let mut pairs = Vec::new();
            for turn in 0..=ROUNDS {
                let bare = round(floor.pid(), &mut floor_readers, members, events);
                let ours = round(product.pid(), &mut readers, members, events);
                // The first warms caches on both sides.
                if turn > 0 {
                    pairs.push((bare, ours));
                }
            }
            print_ratios(members, kind, &pairs);
        }
    }
    println!();
}

fn print_ratios(members: usize, kind: &str, pairs: &[(f64, f64)]) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        (
            values[values.len() / 2],
            values[0],
            values[values.len() - 1],
        )
    };
    let (bare, ..) = median(pairs.iter().map(|pair| pair.0).collect());
    let (ours, ..) = median(pairs.iter().map(|pair| pair.1).collect());
    let (ratio, least, most) = median(pairs.iter().map(|pair| pair.1 / pair.0).collect());
    println!("| {members} | {kind} | {bare:.0} | {ours:.0} | {ratio:.3} | {least:.3}–{most:.3} |");
}

fn idle() {
    println!("User-space memory per idle authenticated connection in three rooms");
    println!();
    println!("| connections | bytes each | after a burst and 10 s of quiet |");
    println!("|---|---|---|");
    for connections in IDLE {
        let product = Product::start("0");
        let rooms = connections.div_ceil(product::IDLE_ROOM_MEMBERS);
        for room in 0..rooms {
            let first = room * product::IDLE_ROOM_MEMBERS;
            for copy in 0..3 {
                let members = first..(first + product::IDLE_ROOM_MEMBERS);
                product.make_room(&format!("idle-{room}-{copy}"), members);
            }
        }
        let mut readers = product.readers("idle");
        readers.ask(&format!("connect 0 {WARM}"));
        std::thread::sleep(Duration::from_secs(2));
        let before = process::anonymous_bytes(product.pid());
        readers.ask(&format!("connect {WARM} {connections}"));
        readers.ask("ping");
        std::thread::sleep(Duration::from_secs(5));
        let held = process::anonymous_bytes(product.pid());
        readers.ask("burst");
        readers.ask("drain 10000");
        let after = process::anonymous_bytes(product.pid());
        let each = |bytes: u64| bytes.saturating_sub(before) as f64 / (connections - WARM) as f64;
        println!(
            "| {connections} | {:.0} | {:.0} ({:.2} ×) |",
            each(held),
            each(after),
            each(after) / each(held)
        );
    }
}

/// Durable sends: acknowledged means on the disk.
fn sends() {
    const EACH: usize = 20_000;
    println!();
    println!(
        "Durable sends a second, 64 unacknowledged over 8 connections, 8 rooms, both cores shared"
    );
    println!();
    let product = Product::start("0-1");
    for user in 0..8 {
        product.make_room(&format!("sends-{user}"), user..user + 1);
    }
    let mut readers = product.readers("sends");
    readers.ask("connect 0 8");
    readers.ask("pump 2000 8");
    println!("| round | sends/s |");
    println!("|---|---|");
    for round in 1..=5 {
        let start = std::time::Instant::now();
        readers.ask(&format!("pump {EACH} 8"));
        println!(
            "| {round} | {:.0} |",
            (8 * EACH) as f64 / start.elapsed().as_secs_f64()
        );
    }
}
