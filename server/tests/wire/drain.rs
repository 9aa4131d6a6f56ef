//! §9: leaving well.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::fixture::{Fixture, contents, number};
use crate::support::node::Node;
use crate::support::socket::Socket;
use crate::support::socket::handshake::Handshake;

#[test]
fn a_node_that_is_asked_to_leave_sends_every_connection_away_and_ends_with_0() {
    let node = Node::own(&[]);
    let mut sockets: Vec<Socket> = (0..20)
        .map(|n| Socket::connect(&node, &node.token(&format!("user-{n}"))))
        .collect();
    assert_eq!(node.probe("/readyz").status, 200);
    // A connection that has not authenticated gets it as well.
    sockets.push(Handshake::new(&node).socket());
    let since = Instant::now();
    node.ask_to_leave();
    let first = sockets[0].expect("RECONNECT");
    // While a client has not closed its side, there is time to look.
    assert_eq!(node.probe("/readyz").status, 503);
    let refused = Handshake::new(&node).bearer(&node.token("late")).refusal();
    assert_eq!((refused.status, &*refused.refused()), (503, "UNAVAILABLE"));
    assert_eq!(refused.json()["retryable"], true);
    let seconds = refused.header("retry-after").map(str::parse::<u64>);
    assert!(matches!(seconds, Some(Ok(1..=10))), "{refused:?}");
    for (number_of, socket) in sockets.iter_mut().enumerate() {
        let reconnect = if number_of == 0 {
            first.clone()
        } else {
            socket.expect("RECONNECT")
        };
        assert_eq!(reconnect["reason"], "draining");
        assert!(number(&reconnect["afterMs"]) <= 10_000, "{reconnect}");
        assert_eq!(socket.closed().0, 1001);
    }
    assert_eq!(node.ended(), 0);
    assert!(
        since.elapsed() < Duration::from_secs(17),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(node.rest_of_stdout(), [] as [String; 0]);
}

#[test]
fn what_was_sent_before_a_node_leaves_is_acknowledged_or_not_kept() {
    let node = Node::own(&["--sends-per-second=1000", "--send-burst=1000"]);
    let fixture = Fixture::on(&node, &["ann"]);
    let mut ann = fixture.connect("ann");
    for n in 0..50 {
        ann.send(fixture.message_frame(&format!("message {n}")));
    }
    ann.expect("ACK");
    node.ask_to_leave();
    ann.closed();
    let acked = 1 + ann
        .waiting()
        .iter()
        .filter(|frame| frame["type"] == "ACK")
        .count();
    assert_eq!(node.ended(), 0);
    node.restart();
    let kept = contents(&fixture.log("ann")).len();
    assert!(kept >= acked, "{acked} acknowledged, {kept} kept");
}

#[test]
fn a_client_that_does_not_answer_does_not_keep_a_node_from_leaving() {
    let node = Node::own(&["--drain-within=3s"]);
    let mut silent = Socket::connect(&node, &node.token("silent"));
    let mut half = Socket::open(node.http());
    half.send_raw(b"GET /v1/ws HTTP/1.1\r\n");
    silent.send(json!({ "type": "PING" }));
    silent.expect("PONG");
    let since = Instant::now();
    assert_eq!(node.terminate(), 0);
    assert!(
        since.elapsed() < Duration::from_secs(8),
        "{:?}",
        since.elapsed()
    );
}
