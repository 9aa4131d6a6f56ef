//! Acknowledged is readable, at once (§2.5).

use serde_json::json;

use crate::UNLIMITED;
use crate::client::{Client, number};
use crate::pages::{Page, Reader};
use crate::support::node::Node;

const SENDERS: usize = 4;
const MESSAGES: usize = 250;

#[test]
fn a_message_is_in_history_as_soon_as_it_is_acknowledged_a_thousand_times_in_a_row() {
    let node = Node::own(UNLIMITED);
    let names: Vec<String> = (0..SENDERS).map(|number| format!("u{number}")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let room = node.room(&members);
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| send_and_look(&node, &room, name));
        }
    });
    let messages = Reader::new(&node, &room).backwards(200);
    assert_eq!(messages.len(), SENDERS * MESSAGES);
}

fn send_and_look(node: &Node, room: &str, name: &str) {
    let mut line = Client::connect(node.http(), &node.token(name));
    let reader = Reader::new(node, room);
    for message in 0..MESSAGES {
        let content = format!("{name} {message}");
        let ack = line.acknowledged(json!({
            "type": "SEND_MESSAGE", "roomId": room, "content": content
        }));
        let (seq, id) = (
            number(&ack, "seq"),
            ack["messageId"].as_str().expect("an id"),
        );
        let is_in = |page: &Page, what: &str| {
            let found = page.events.iter().find(|event| number(event, "seq") == seq);
            let found = found.unwrap_or_else(|| panic!("{seq} is not in {what}"));
            assert_eq!(
                (&found["messageId"], &found["content"]),
                (&json!(id), &json!(content))
            );
            assert!(page.head >= seq, "head {} of {what}", page.head);
        };
        is_in(&reader.page("limit=50"), "the newest page");
        is_in(&reader.page(&format!("after={}&limit=1", seq - 1)), "after");
        is_in(&reader.page(&format!("around={seq}&limit=1")), "around");
        is_in(
            &reader.page(&format!("before={}&limit=1", seq + 1)),
            "before",
        );
        assert_eq!(reader.message(id)["content"], content.as_str());
    }
}
