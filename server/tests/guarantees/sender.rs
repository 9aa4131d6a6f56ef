//! A client that sends as fast as it is acknowledged, again and again on new connections, and records
//! every send and every answer for the checker.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use roomcast_checker::history::Disconnect;
use serde_json::{Value, json};

use crate::client::{Client, pause};
use crate::observed::{Log, RecordedClient};
use crate::rng::Rng;

/// Acknowledged messages that are sent again on a new connection.
const REPEATED: usize = 3;

/// How long a patient one waits after a refusal.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// One user's messages, numbered from 0 over all rooms.
pub(crate) struct Sender {
    number: usize,
    client: RecordedClient,
    rooms: Vec<String>,
    window: usize,
    /// What lies between an answer and the next message.
    pub(crate) pace: Duration,
    /// By message: its room.
    sent: Vec<usize>,
    /// Not acknowledged yet, in order.
    waiting: VecDeque<usize>,
    /// What is behind the server may fail: what was refused for a while is sent again.
    pub(crate) is_patient: bool,
    /// Acknowledgements with `duplicate`.
    pub(crate) duplicates: usize,
    chance: Rng,
}

impl Sender {
    pub(crate) fn new(
        number: usize,
        client: RecordedClient,
        rooms: &[String],
        window: usize,
        chance: Rng,
    ) -> Self {
        Self {
            number,
            client,
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

    /// Sends on a connection of its own until the server goes away; or until stopped, and then
    /// until everything has been acknowledged. What was not acknowledged before goes first.
    pub(crate) fn stream(&mut self, address: &str, stop: &AtomicBool) {
        let Ok(mut line) = Client::open(address, &self.client.token) else {
            return;
        };
        let log = self.client.connection(address);
        let end = self.stream_on(&mut line, &log, stop);
        log.ended(end);
    }

    fn stream_on(&mut self, line: &mut Client, log: &Log, stop: &AtomicBool) -> Disconnect {
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
            for frame in &frames {
                log.sent(frame);
            }
            if under_way == 0 {
                return Disconnect::Cut;
            }
            if !frames.is_empty() && !line.send(&frames) {
                return Disconnect::Lost;
            }
            let Some(answer) = line.frame() else {
                return Disconnect::Lost;
            };
            log.received(&answer);
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

    /// Sends every `every`th message again, whenever it was acknowledged.
    pub(crate) fn repeat(&mut self, address: &str, every: usize) {
        let mut line = Client::connect(address, &self.client.token);
        let log = self.client.connection(address);
        let all: Vec<usize> = (0..self.sent.len()).step_by(every).collect();
        for some in all.chunks(self.window) {
            let frames: Vec<Value> = some.iter().map(|message| self.frame(*message)).collect();
            for frame in &frames {
                log.sent(frame);
            }
            assert!(line.send(&frames), "the server has gone");
            let mut answers = 0;
            while answers < some.len() {
                let answer = line.frame().expect("an answer");
                log.received(&answer);
                answers += usize::from(self.take(&answer, self.sent.len()));
            }
        }
        log.ended(Disconnect::Cut);
    }

    fn new_frame(&mut self) -> Value {
        let room = self.chance.below(self.rooms.len());
        let message = self.sent.len();
        self.sent.push(room);
        self.waiting.push_back(message);
        self.frame(message)
    }

    fn frame(&self, message: usize) -> Value {
        json!({
            "type": "SEND_MESSAGE",
            "roomId": self.rooms[self.sent[message]],
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
        assert_eq!(answer["roomId"], self.rooms[self.sent[message]]);
        if let Some(waiting) = self.waiting.iter().position(|it| *it == message) {
            // The checker compares answers of one send; this one compares an answer with the attempts before it.
            let resent = message < fresh_from || self.is_patient;
            assert!(!duplicate || resent, "{client} was not there");
            self.waiting.remove(waiting);
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
