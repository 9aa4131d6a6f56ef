//! A subscriber that follows a room from its first event and resumes wherever it was cut off:
//! every event, in order, once, or the test fails.

use std::time::{Duration, Instant};

use roomcast_checker::history::Disconnect;
use serde_json::{Value, json};

use crate::client::{Client, Received, TIMEOUT, is_event, number, pause};
use crate::observed::{Log, RecordedClient};

/// How long a patient one waits after a refusal.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The subscriber and the events it received.
pub(crate) struct Follower {
    token: String,
    /// Records the connections; without it nothing is recorded.
    client: Option<RecordedClient>,
    room: String,
    /// Every event, as text.
    pub(crate) heard: Vec<String>,
    last: u64,
    /// Connections made.
    pub(crate) connections: usize,
    /// What is behind the server may fail: who is refused for a while comes again.
    pub(crate) is_patient: bool,
    heard_at: Option<Instant>,
    /// The longest time in which nothing came, between two events.
    pub(crate) longest_silence: Duration,
}

impl Follower {
    pub(crate) fn new(token: String, room: &str) -> Self {
        Self {
            token,
            client: None,
            room: room.to_owned(),
            heard: Vec::new(),
            last: 0,
            connections: 0,
            is_patient: false,
            heard_at: None,
            longest_silence: Duration::ZERO,
        }
    }

    /// A subscriber whose connections are recorded for the checker.
    pub(crate) fn recorded(client: RecordedClient, room: &str) -> Self {
        let mut follower = Self::new(client.token.clone(), room);
        follower.client = Some(client);
        follower
    }

    /// Follows until the message whose `clientMsgId` is `end`, disconnecting by itself where `leaves` demands.
    pub(crate) fn follow(&mut self, address: &str, end: &str, mut leaves: impl FnMut() -> bool) {
        loop {
            let mut line = Client::connect(address, &self.token);
            self.connections += 1;
            let log = self.client.as_ref().map(|it| it.connection(address));
            let is_over = self.listen(&mut line, log.as_ref(), end, &mut leaves);
            if let Some(log) = log {
                log.ended(if is_over {
                    Disconnect::Finished
                } else {
                    Disconnect::Cut
                });
            }
            if is_over {
                return;
            }
        }
    }

    /// Whether the end has come on this connection.
    fn listen(
        &mut self,
        line: &mut Client,
        log: Option<&Log>,
        end: &str,
        leaves: &mut dyn FnMut() -> bool,
    ) -> bool {
        let subscribe = json!({ "type": "SUBSCRIBE", "roomId": self.room, "after": self.last });
        if !line.send(&[subscribe]) {
            return false;
        }
        let mut subscribed = false;
        loop {
            let frame = match line.next(TIMEOUT) {
                Received::Frame(frame) => frame,
                // It sends nothing itself, which after a while is too long.
                Received::Cut | Received::Closed(1001 | 4408 | 4508) => return false,
                Received::Closed(4500) if self.is_patient => return false,
                other => panic!("{other:?} after {}", self.last),
            };
            if let Some(log) = log {
                log.received(&frame);
            }
            if self.is_patient && frame["retryable"] == true {
                pause(AGAIN_AFTER);
                return false;
            }
            assert_ne!(frame["type"], "ERROR", "{frame}");
            if frame["type"] == "SUBSCRIBED" {
                assert_eq!(frame["recovered"], true, "{frame}");
                assert_eq!(frame["after"], self.last, "{frame}");
                subscribed = true;
            } else if is_event(&frame) && frame["roomId"] == self.room.as_str() {
                assert!(subscribed, "{frame} before SUBSCRIBED");
                if self.hear(&frame) == Some(end) {
                    return true;
                }
                if leaves() {
                    return false;
                }
            }
        }
    }

    /// Gives the event's `clientMsgId`.
    fn hear<'a>(&mut self, event: &'a Value) -> Option<&'a str> {
        assert_eq!(number(event, "prev"), self.last, "{event}");
        assert!(number(event, "seq") > self.last, "{event}");
        self.last = number(event, "seq");
        self.heard.push(event.to_string());
        let now = Instant::now();
        if let Some(before) = self.heard_at.replace(now) {
            self.longest_silence = self.longest_silence.max(now - before);
        }
        event["clientMsgId"].as_str()
    }

    /// The received frames.
    pub(crate) fn log(&self) -> Vec<Value> {
        let parse = |text: &String| serde_json::from_str(text).expect("it was JSON");
        self.heard.iter().map(parse).collect()
    }
}
