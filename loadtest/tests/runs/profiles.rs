//! Every profile at a small scale: it runs as documented, and the product keeps every guarantee.

use rustix::process::Signal;

use crate::node::{Node, pause};
use crate::run::{Ended, loadtest};

/// A run against its own node that must be met.
fn met(options: &str) -> Ended {
    let node = Node::start(&[]);
    let key = node.token_key();
    let ended = loadtest(
        &node.address,
        &node.path(""),
        &format!("--token-key {key} {options}"),
    );
    ended.expect(0);
    ended
}

#[test]
fn steady_delivers_every_message_to_every_member() {
    let ended = met("--connections 60 --rooms 6 --rate 60 --duration 4s --seed 11 --workers 2");
    let sends = ended.checked("sends");
    assert!((150..350).contains(&sends), "60 a second for 4 s: {sends}");
    assert_eq!(ended.checked("deliveries"), 10 * sends);
    assert_eq!(ended.checked("acknowledged"), sends);
    assert_eq!(
        ended.report["settings"][15]["value"], "11",
        "{}",
        ended.report["settings"]
    );
    assert_eq!(ended.report["latencies"][0]["count"], 10 * sends);
    assert!(ended.stdout.lines().count() > 3, "{}", ended.stdout);
    assert!(
        ended.stderr.contains("delivered/s"),
        "plain lines while it runs: {}",
        ended.stderr
    );
}

#[test]
fn steady_runs_with_zipf_rooms() {
    let ended = met(
        "--connections 40 --rooms 8 --rooms-per-connection 3 --popularity zipf --room-sizes zipf:1.2 \
         --arrivals constant --content-bytes 1..2000 --rate 50 --duration 3s",
    );
    let sends = ended.checked("sends");
    assert!(
        (140..=150).contains(&sends),
        "evenly 50 a second for 3 s: {sends}"
    );
}

#[test]
fn spike_sends_ten_times_the_rate_for_a_while() {
    let ended = met("--profile spike --connections 60 --rooms 6 --rate 15 --duration 6s");
    let sends = ended.checked("sends");
    assert!(
        (270..450).contains(&sends),
        "15 a second for 4 s and 150 for 2 s: {sends}"
    );
}

#[test]
fn stampede_recovers_all_clients() {
    let ended = met("--profile stampede --connections 150 --rooms 15 --rate 50 --duration 4s");
    assert_eq!(ended.checked("resumes"), 150, "each comes back once");
    let after = ended.seen("recovery after the disconnection");
    assert!((0.01..20.0).contains(&after), "{after} s");
}

#[test]
fn churn_disconnects_and_resumes_clients_during_the_run() {
    let ended = met("--profile churn --connections 200 --rooms 20 --rate 40 --duration 5s");
    assert!(
        ended.checked("resumes") >= 3,
        "2 % of 200 a second: {}",
        ended.stdout
    );
}

#[test]
fn broadcast_measures_the_last_member_of_one_large_room() {
    let ended = met("--profile broadcast --connections 300 --rate 2 --duration 4s");
    assert_eq!(ended.checked("deliveries"), 300 * ended.checked("sends"));
    assert!(ended.seen("the last member, 99 of 100 messages") > 0.0);
}

#[test]
fn idle_holds_connections_and_sends_nothing() {
    let ended = met("--profile idle --connections 300 --duration 2s --ramp 500");
    assert_eq!(ended.checked("sends"), 0);
    assert!(ended.checked("connections") >= 300);
    assert!(ended.seen("connections lost").abs() < 0.5);
}

#[test]
fn slow_readers_are_closed_and_resume_without_a_gap() {
    let ended = met(
        "--profile slow-readers --connections 20 --rooms 1 --rate 200 --content-bytes 6000 --duration 6s",
    );
    assert!(ended.errors("close 4508") >= 1, "{}", ended.stdout);
    assert!(ended.checked("resumes") >= 1);
}

#[test]
fn soak_is_steady_for_the_given_duration() {
    let ended = met("--profile soak --connections 20 --rooms 2 --rate 20 --duration 3s");
    assert!(ended.checked("sends") > 20);
}

#[test]
fn reload_disconnects_all_clients_and_they_recover() {
    let run = reload(Signal::TERM);
    assert!(
        run.checked("resumes") >= 60,
        "each comes back: {}",
        run.stdout
    );
}

#[test]
fn fleet_killed_during_the_run_keeps_its_guarantees_to_clients_that_resend() {
    let run = reload(Signal::KILL);
    assert!(
        run.checked("resumes") >= 60,
        "each comes back: {}",
        run.stdout
    );
    assert!(
        run.errors("connection lost") >= 60,
        "without a goodbye: {}",
        run.stdout
    );
}

#[test]
fn clients_that_missed_too_much_read_it_from_history() {
    let node = Node::start(&["--replay-max", "3"]);
    let options = format!(
        "--token-key {} --profile stampede --connections 20 --rooms 1 --rate 100 --duration 4s",
        node.token_key()
    );
    let ended = loadtest(&node.address, &node.path(""), &options);
    ended.expect(0);
    assert!(ended.checked("notRecovered") >= 1, "{}", ended.stdout);
}

/// A run during which the node is stopped by `signal` and restarted.
fn reload(signal: Signal) -> Ended {
    let mut node = Node::start(&["--drain-within", "2s"]);
    let (please, done) = (node.path("please"), node.path("done"));
    let command = node.path("reload.sh");
    let wait = format!("until test -e {}; do sleep 0.05; done", done.display());
    std::fs::write(
        &command,
        format!("#!/bin/sh\ntouch {}; {wait}\n", please.display()),
    )
    .expect("write the command");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&command, executable).expect("make it a command");
    let options = format!(
        "--token-key {} --profile reload --connections 60 --rooms 6 --rate 30 --duration 6s --reload-command {}",
        node.token_key(),
        command.display()
    );
    let (address, scratch) = (node.address.clone(), node.path(""));
    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| loadtest(&address, &scratch, &options));
        while !please.exists() && !run.is_finished() {
            pause();
        }
        node.restart(signal);
        std::fs::write(&done, "").expect("say that it is done");
        run.join().expect("the run")
    });
    run.expect(0);
    run
}
