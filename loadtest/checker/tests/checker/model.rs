//! A model fleet that keeps every guarantee, without I/O: rooms with a log each, and their responses.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::rng::Rng;
use roomcast_checker::history::{Event, EventKind};
use roomcast_protocol::ErrorCode;

use crate::trace::{Command, seq, text};

/// A room: its log and derived state.
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) log: Vec<Event<'static>>,
    pub(crate) members: BTreeSet<String>,
    deleted: HashSet<String>,
    reactions: HashSet<(String, String, String)>,
    known: HashMap<(String, String), Stored>,
    next_seq: u64,
    messages: u64,
}

/// The content of an `ACK`.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) message: String,
    pub(crate) seq: u64,
    pub(crate) duplicate: bool,
}

impl Room {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            log: Vec::new(),
            members: BTreeSet::new(),
            deleted: HashSet::new(),
            reactions: HashSet::new(),
            known: HashMap::new(),
            next_seq: 5,
            messages: 0,
        }
    }

    pub(crate) fn head(&self) -> u64 {
        self.log.last().map_or(0, |event| event.seq.get())
    }

    /// The index of the first event after `after`.
    pub(crate) fn after(&self, after: u64) -> usize {
        self.log.partition_point(|event| event.seq.get() <= after)
    }

    /// Stores a send once, or refuses it.
    pub(crate) fn say(
        &mut self,
        user: &str,
        client: &str,
        command: &Command,
        rng: &mut Rng,
    ) -> Result<Stored, ErrorCode> {
        let name = (user.to_owned(), client.to_owned());
        if let Some(first) = self.known.get(&name) {
            return Ok(Stored {
                duplicate: true,
                ..first.clone()
            });
        }
        let settled = |room: &Self, message: &str| Stored {
            message: message.to_owned(),
            seq: room.head(),
            duplicate: true,
        };
        match command {
            Command::Message { .. } => {}
            Command::Delete { message } if self.deleted.contains(message) => {
                return Ok(settled(self, message));
            }
            Command::Edit { message, .. }
            | Command::Delete { message }
            | Command::React { message, .. } => {
                if self.deleted.contains(message) {
                    return Err(ErrorCode::NotFound);
                }
            }
        }
        if let Command::React {
            message,
            emoji,
            remove,
        } = command
        {
            let reaction = (message.clone(), user.to_owned(), emoji.clone());
            if self.reactions.contains(&reaction) != *remove {
                return Ok(settled(self, message));
            }
            if *remove {
                self.reactions.remove(&reaction);
            } else {
                self.reactions.insert(reaction);
            }
        }
        let mut event = self.event_of(user, command);
        if matches!(command, Command::Message { .. }) {
            event.client_msg_id = Some(text(client));
        }
        let stored = Stored {
            message: event.message_id.clone().unwrap().0.into_owned(),
            seq: self.append(event, rng),
            duplicate: false,
        };
        if let Command::Delete { message } = command {
            self.deleted.insert(message.clone());
        }
        self.known.insert(name, stored.clone());
        Ok(stored)
    }

    /// Adds or removes a member.
    pub(crate) fn member(&mut self, user: &str, joins: bool, rng: &mut Rng) {
        let kind = if joins {
            self.members.insert(user.to_owned());
            EventKind::MemberJoined
        } else {
            self.members.remove(user);
            EventKind::MemberLeft
        };
        let mut event = blank(kind, "host");
        event.user_id = Some(text(user));
        self.append(event, rng);
    }

    /// An event as read later: a deleted message has no content.
    pub(crate) fn replayed(&self, number: usize) -> Event<'static> {
        let mut event = self.log[number].clone();
        let says = matches!(event.kind, EventKind::Message | EventKind::MessageEdited);
        let message = event.message_id.as_ref();
        if says && message.is_some_and(|message| self.deleted.contains(&*message.0)) {
            event.content = None;
            event.deleted = true;
        }
        event
    }

    /// The messages before `before` in their current state, oldest first.
    pub(crate) fn messages(&self, before: u64) -> Vec<Event<'static>> {
        let mut messages = Vec::new();
        for number in 0..self.log.len() {
            let mut event = self.replayed(number);
            if event.kind != EventKind::Message || event.seq.get() >= before {
                continue;
            }
            event.prev = None;
            let mut edits = self.log.iter().filter(|edit| {
                edit.kind == EventKind::MessageEdited && edit.message_id == event.message_id
            });
            if let (Some(edit), false) = (edits.next_back(), event.deleted) {
                event.content.clone_from(&edit.content);
            }
            messages.push(event);
        }
        messages
    }

    fn event_of(&mut self, user: &str, command: &Command) -> Event<'static> {
        match command {
            Command::Message { content } => {
                let mut event = blank(EventKind::Message, user);
                self.messages += 1;
                event.message_id = Some(text(&format!("{}-m{}", self.name, self.messages)));
                event.content = Some(text(content));
                event
            }
            Command::Edit { message, content } => {
                let mut event = blank(EventKind::MessageEdited, user);
                event.message_id = Some(text(message));
                event.content = Some(text(content));
                event
            }
            Command::Delete { message } => {
                let mut event = blank(EventKind::MessageDeleted, user);
                event.message_id = Some(text(message));
                event
            }
            Command::React {
                message,
                emoji,
                remove,
            } => {
                let mut event = blank(EventKind::Reaction, user);
                event.message_id = Some(text(message));
                event.emoji = Some(text(emoji));
                event.removed = *remove;
                event
            }
        }
    }

    /// Appends at the next seq; sometimes in a new incarnation of the log.
    fn append(&mut self, mut event: Event<'static>, rng: &mut Rng) -> u64 {
        let mut prev = self.head();
        if rng.below(200) == 0 {
            self.next_seq = ((self.next_seq >> 40) + 1) << 40 | 1;
            prev = 0;
        }
        event.seq = seq(self.next_seq);
        event.prev = Some(seq(prev));
        self.next_seq += 1 + rng.below(3) as u64;
        let seq = event.seq.get();
        self.log.push(event);
        seq
    }
}

/// An event of this kind without other fields.
pub(crate) fn blank(kind: EventKind, sender: &str) -> Event<'static> {
    Event {
        kind,
        seq: seq(0),
        prev: None,
        sender_id: text(sender),
        user_id: None,
        message_id: None,
        client_msg_id: None,
        content: None,
        emoji: None,
        removed: false,
        deleted: false,
    }
}
