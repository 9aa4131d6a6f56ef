//! A client that sends as fast as it is acknowledged, again and again on new connections, and records
//! every answer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::line::{Line, number, pause};

/// Acknowledged messages that are sent again on a new connection.
const REPEATED: usize = 3;

/// How long a patient one waits after a refusal.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The content of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acked {
    pub(crate) seq: u64,
    pub(crate) message_id: String,
}

/// One user's messages, numbered from 0 over all rooms.
pub(crate) struct Sender {
    pub(crate) number: usize,
    token: String,
    rooms: Vec<String>,
    window: usize,
    /// What lies between an answer and the next message.
    pub(crate) pace: Duration,
    /// By message: its room, and its first acknowledgement.
    sent: Vec<(usize, Option<Acked>)>,
    /// Not acknowledged yet, in order.
    waiting: VecDeque<usize>,
    /// What is behind the server may fail: what was refused for a while is sent again.
    pub(crate) is_patient: bool,
    /// Acknowledgements with `duplicate`.
    pub(crate) duplicates: usize,
    chance: Chance,
}

impl Sender {
    pub(crate) fn new(
        number: usize,
        token: String,
        rooms: &[String],
        window: usize,
        chance: Chance,
    ) -> Self {
        Self {
            number,
            token,
            rooms: rooms.to_vec(),
            window,
            pace: Duration::ZERO,
            sent: Vec::new(),
            waiting: VecDeque::new(),
            is_patient: false,
            duplicates: 0,
            chance,
        }
    }

    /// Whose `clientMsgId` it is, and which message.
    pub(crate) fn parse(client_msg_id: &str) -> Option<(usize, usize)> {
        let (sender, message) = client_msg_id.strip_prefix("sender-")?.split_once('.')?;
        Some((sender.parse().ok()?, message.parse().ok()?))
    }

    /// How many messages have been sent.
    pub(crate) fn sent(&self) -> usize {
        self.sent.len()
    }

    /// How many still wait for an acknowledgement.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The acknowledged messages: number, room, answer.
    pub(crate) fn acked(&self) -> impl Iterator<Item = (usize, usize, &Acked)> {
        let all = self.sent.iter().enumerate();
        all.filter_map(|(message, (room, acked))| Some((message, *room, acked.as_ref()?)))
    }

    /// Sends on a connection of its own until the server goes away; or until stopped, and then
    /// until everything has been acknowledged. What was not acknowledged before goes first.
    pub(crate) fn stream(&mut self, address: &str, stop: &AtomicBool) {
        let Ok(mut line) = Line::open(address, &self.token) else {
            return;
        };
        let (fresh_from, mut again) = (self.sent.len(), self.waiting.clone());
        for _ in 0..REPEATED.min(fresh_from - again.len()) {
            let message = self.chance.below(fresh_from);
            if !again.contains(&message) {
                again.push_back(message);
            }
        }
        let mut under_way = 0;
        loop {
            let mut frames = Vec::new();
            while under_way + frames.len() < self.window {
                match again.pop_front() {
                    Some(message) => frames.push(self.frame(message)),
                    None if stop.load(Ordering::Relaxed) => break,
                    None => frames.push(self.new_frame()),
                }
            }
            under_way += frames.len();
            if under_way == 0 || !frames.is_empty() && !line.send(&frames) {
                return;
            }
            let Some(answer) = line.frame() else {
                return;
            };
            if self.is_patient && answer["retryable"] == true {
                let refused = answer["clientMsgId"].as_str().and_then(Self::parse);
                again.push_back(refused.expect("a message of ours").1);
                under_way -= 1;
                pause(AGAIN_AFTER);
            } else if self.take(&answer, fresh_from) {
                under_way -= 1;
                pause(self.pace);
            }
        }
    }

    /// Sends every message again, whenever it was acknowledged; each must get its first answer.
    pub(crate) fn repeat(&mut self, address: &str, every: usize) {
        let mut line = Line::connect(address, &self.token);
        let all: Vec<usize> = (0..self.sent.len()).step_by(every).collect();
        for some in all.chunks(self.window) {
            let frames: Vec<Value> = some.iter().map(|message| self.frame(*message)).collect();
            assert!(line.send(&frames), "the server has gone");
            let mut answers = 0;
            while answers < some.len() {
                let answer = line.frame().expect("an answer");
                answers += usize::from(self.take(&answer, self.sent.len()));
            }
        }
    }

    fn new_frame(&mut self) -> Value {
        let room = self.chance.below(self.rooms.len());
        let message = self.sent.len();
        self.sent.push((room, None));
        self.waiting.push_back(message);
        self.frame(message)
    }

    fn frame(&self, message: usize) -> Value {
        json!({
            "type": "SEND_MESSAGE",
            "roomId": self.rooms[self.sent[message].0],
            "clientMsgId": format!("sender-{}.{message}", self.number),
            "content": format!("{message}"),
        })
    }

    /// Takes an answer; messages from `fresh_from` on were first sent on this connection.
    fn take(&mut self, answer: &Value, fresh_from: usize) -> bool {
        if answer["type"] != "ACK" {
            assert_ne!(answer["type"], "ERROR", "{answer}");
            return false;
        }
        let client = answer["clientMsgId"].as_str().expect("a clientMsgId");
        let (sender, message) = Self::parse(client).expect("a clientMsgId of ours");
        assert_eq!(sender, self.number);
        let duplicate = answer["duplicate"] == true;
        self.duplicates += usize::from(duplicate);
        let acked = Acked {
            seq: number(answer, "seq"),
            message_id: answer["messageId"].as_str().expect("an id").to_owned(),
        };
        let (room, first) = &mut self.sent[message];
        assert_eq!(answer["roomId"], self.rooms[*room]);
        match first {
            Some(first) => {
                assert_eq!(*first, acked, "{client} has another place now");
                assert!(duplicate, "{client} was acknowledged twice as new");
            }
            None => {
                let resent = message < fresh_from || self.is_patient;
                assert!(!duplicate || resent, "{client} was not there");
                *first = Some(acked);
                self.waiting.retain(|waiting| *waiting != message);
            }
        }
        true
    }
}

/// Stops all threads on drop, also after a failure.
pub(crate) struct StopAtEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
