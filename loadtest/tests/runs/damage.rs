//! Injected faults are reported by the checker; a transparent proxy is not.

use crate::node::{DAMAGED, Node};
use crate::proxy::{Damage, Proxy};
use crate::run::{Ended, loadtest};

fn through(damage: Damage) -> Ended {
    let node = Node::start(&[]);
    let proxy = Proxy::start(&node.address, damage);
    let options = format!(
        "--token-key {} --connections 20 --rooms 2 --rate 60 --duration 3s",
        node.token_key()
    );
    loadtest(proxy.address(), &node.path(""), &options)
}

fn caught(damage: Damage, kinds: &[&str]) {
    let ended = through(damage);
    ended.expect(2);
    let found = ended.violations();
    let kind = kinds.iter().find(|kind| found.contains(kind));
    let kind = kind.unwrap_or_else(|| panic!("{found:?} {}", ended.stdout));
    assert!(
        ended.stdout.contains(kind),
        "the story is told: {}",
        ended.stdout
    );
    assert_eq!(
        ended.report["latencies"],
        serde_json::json!([]),
        "what is wrong has no latency"
    );
}

#[test]
fn checker_reports_a_proxy_that_drops_deliveries() {
    caught(Damage::Drop, &["not-delivered"]);
}

#[test]
fn checker_reports_a_proxy_that_duplicates_deliveries() {
    caught(Damage::Double, &["delivered-twice"]);
}

#[test]
fn checker_reports_a_proxy_that_reorders_deliveries() {
    caught(Damage::Reorder, &["out-of-order"]);
}

#[test]
fn checker_reports_a_proxy_that_invents_deliveries() {
    // The place it is given may be that of the next real one.
    caught(Damage::Invent, &["invented", "one-seq-two-events"]);
}

#[test]
fn checker_reports_nothing_for_a_transparent_proxy() {
    through(Damage::None).expect(0);
}

/// A run against a node whose log has this fault.
fn broken(kind: &str) -> Ended {
    let node = Node::start(&[DAMAGED, kind, "100"]);
    let options = format!(
        "--token-key {} --connections 20 --rooms 2 --senders 4 --rate 60 --duration 8s",
        node.token_key()
    );
    loadtest(&node.address, &node.path(""), &options)
}

#[test]
fn checker_reports_a_log_that_drops_duplicates_reorders_or_invents_messages() {
    for (kind, violation) in [
        ("drop", "acknowledged-lost"),
        ("double", "stored-twice"),
        ("reorder", "senders-order"),
        ("invent", "invented"),
    ] {
        let ended = broken(kind);
        ended.expect(2);
        let found = ended.violations();
        assert!(
            found.contains(&violation),
            "{kind}: {found:?} {}",
            ended.stdout
        );
    }
}
