//! A fleet that is damaged on purpose, in each way, is found out; the same way without damage is not.

use crate::node::Node;
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

fn caught(damage: Damage, kind: &str) {
    let ended = through(damage);
    ended.expect(2);
    assert!(
        ended.violations().contains(&kind),
        "{:?} {}",
        ended.violations(),
        ended.stdout
    );
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
fn a_fleet_that_drops_one_message_in_five_hundred_is_found_out() {
    caught(Damage::Drop, "not-delivered");
}

#[test]
fn a_fleet_that_doubles_one_message_in_five_hundred_is_found_out() {
    caught(Damage::Double, "delivered-twice");
}

#[test]
fn a_fleet_that_swaps_one_message_in_five_hundred_with_the_next_is_found_out() {
    caught(Damage::Reorder, "out-of-order");
}

#[test]
fn a_fleet_that_invents_one_message_in_five_hundred_is_found_out() {
    caught(Damage::Invent, "invented");
}

#[test]
fn the_way_through_the_proxy_breaks_nothing_by_itself() {
    through(Damage::None).expect(0);
}
