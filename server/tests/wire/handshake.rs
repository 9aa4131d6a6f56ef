//! §3: from an HTTP request to a greeted connection.

use serde_json::json;

use crate::support::node::{Node, unique};
use crate::support::socket::{Bring, Socket};

#[test]
fn a_token_is_taken_from_a_header_a_subprotocol_or_a_first_frame() {
    let node = Node::shared();
    let user = unique("user");
    for way in [Bring::Header, Bring::Subprotocol, Bring::FirstFrame] {
        let mut socket = Socket::ungreeted(way, &node, &node.token(&user));
        assert_eq!(socket.expect("WELCOME")["userId"], json!(user), "{way:?}");
    }
}
