//! Records what the clients of a test observe, and has it checked against the guarantees (`roomcast-checker`).

use std::time::Instant;

use roomcast_checker::history::{
    Attempt, ConnectionLog, Disconnect, Event, MessageAction, Page, PageQuery, Recorder,
};
use roomcast_checker::{Checked, Verdict, check};
use roomcast_protocol::{ErrorCode, RoomId, Seq, UserId};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::client::{Client, is_event, number};
use crate::pages;
use crate::support::node::Node;

/// The history of one test: all its clients on one clock. The rooms must be the test's own, since a message
/// that no recorded client sent counts as invented.
#[derive(Clone)]
pub(crate) struct Observed {
    recorder: Recorder,
    start: Instant,
}

/// A user whose connections are recorded.
#[derive(Clone)]
pub(crate) struct RecordedClient {
    pub(crate) user: String,
    pub(crate) token: String,
    observed: Observed,
}

/// Records one connection, or one reader of history.
pub(crate) struct Log {
    log: ConnectionLog,
    start: Instant,
}

impl Observed {
    pub(crate) fn new() -> Self {
        Self {
            recorder: Recorder::in_memory(),
            start: Instant::now(),
        }
    }

    /// A user with a token of `node`.
    pub(crate) fn client(&self, node: &Node, user: &str) -> RecordedClient {
        RecordedClient {
            user: user.to_owned(),
            token: node.token(user),
            observed: self.clone(),
        }
    }

    /// A new connection of `user` to `address`.
    pub(crate) fn connection(&self, user: &str, address: &str) -> Log {
        let user = UserId::new(user).expect("a user id");
        Log {
            log: self.recorder.connection(micros(self.start), &user, address),
            start: self.start,
        }
    }

    /// The checker's result so far.
    pub(crate) fn verdict(&self) -> Verdict {
        check(&self.recorder.recording().expect("the recording"))
    }

    /// Fails with the counterexamples if a guarantee was broken; gives what was checked.
    pub(crate) fn assert_kept(&self) -> Checked {
        let verdict = self.verdict();
        assert!(verdict.kept(), "{verdict}");
        verdict.checked
    }
}

impl RecordedClient {
    /// A new connection of this user to `address`.
    pub(crate) fn connection(&self, address: &str) -> Log {
        self.observed.connection(&self.user, address)
    }

    /// Connects, sends one message, and disconnects after its `ACK`.
    pub(crate) fn send_one(&self, address: &str, room: &str, client_msg_id: &str) {
        let mut line = Client::connect(address, &self.token);
        let log = self.connection(address);
        let frame = json!({
            "type": "SEND_MESSAGE", "roomId": room, "content": "that is all", "clientMsgId": client_msg_id
        });
        log.sent(&frame);
        log.received(&line.acknowledged(frame));
        log.ended(Disconnect::Cut);
    }
}

impl Log {
    /// Microseconds on the test's clock.
    pub(crate) fn now_us(&self) -> u64 {
        micros(self.start)
    }

    /// Records a `SEND_MESSAGE`; call it before the frame is written.
    pub(crate) fn sent(&self, frame: &Value) {
        let content = frame["content"].as_str().expect("a content");
        self.log.sent(
            self.now_us(),
            &Attempt {
                room_id: &room_of(frame),
                client_msg_id: frame["clientMsgId"].as_str().expect("a clientMsgId"),
                action: MessageAction::Message { content },
            },
        );
    }

    /// Records an answer, a change of a subscription, or an event; other frames are not part of a history.
    pub(crate) fn received(&self, frame: &Value) {
        let (at_us, log) = (self.now_us(), &self.log);
        let client_msg_id = frame["clientMsgId"].as_str();
        match (frame["type"].as_str().expect("a type"), client_msg_id) {
            ("ACK", Some(client)) => {
                let id = frame["messageId"].as_str().expect("a message id");
                let duplicate = frame["duplicate"] == true;
                let seq = seq(number(frame, "seq"));
                log.acked(at_us, &room_of(frame), client, id, seq, duplicate);
            }
            ("ERROR", Some(client)) => {
                let code = ErrorCode::deserialize(&frame["code"]).expect("a known code");
                log.refused(at_us, &room_of(frame), client, code);
            }
            ("SUBSCRIBED", _) => {
                let after = Some(seq(number(frame, "after")));
                let head = seq(number(frame, "head"));
                let recovered = frame["recovered"] == true;
                log.subscribed(at_us, &room_of(frame), after, head, recovered);
            }
            ("UNSUBSCRIBED", _) => log.unsubscribed(at_us, &room_of(frame)),
            _ if is_event(frame) => log.delivered(at_us, &room_of(frame), &event(frame)),
            _ => {}
        }
    }

    /// Records a page of history that was requested at `asked_us`.
    pub(crate) fn page(&self, asked_us: u64, room: &str, asked: PageQuery, page: &pages::Page) {
        let events: Vec<Event<'_>> = page.events.iter().map(event).collect();
        let head = Page {
            asked_us,
            room_id: &RoomId::new(room).expect("a room id"),
            asked,
            head: seq(page.head),
            has_more_before: page.more_before,
            has_more_after: page.more_after,
        };
        self.log.page(self.now_us(), &head, &events);
    }

    /// Records the connection's end.
    pub(crate) fn ended(self, end: Disconnect) {
        self.log.ended(micros(self.start), end);
    }
}

fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).expect("a short test")
}

/// A seq as the checker's type.
pub(crate) fn seq(number: u64) -> Seq {
    Seq::new(number).expect("a seq")
}

fn room_of(frame: &Value) -> RoomId {
    RoomId::new(frame["roomId"].as_str().expect("a room")).expect("a room id")
}

fn event(frame: &Value) -> Event<'_> {
    Event::deserialize(frame).expect("an event of the log")
}
