//! Simulated clients of the model: they send, disconnect, reconnect and read history, from a seed. Their
//! observations are a valid history.

use std::collections::{BTreeMap, HashMap};

use crate::rng::Rng;
use roomcast_checker::history::{Disconnect, PageQuery};
use roomcast_protocol::ErrorCode;

use crate::model::Room;
use crate::trace::{Command, StepKind, Trace, seq};

const ROOMS: usize = 3;
const DEVICES: usize = 8;
const REPLAY_MAX: usize = 12;
/// The outcome of an attempt that is refused as not stored.
const NOT_STORED: usize = 3;

/// A device of a user. Some users have two.
struct Device {
    user: String,
    online: Option<Online>,
    /// The last seq received per room.
    last: HashMap<usize, u64>,
    /// Sends that were refused, not confirmed or not answered.
    open: Vec<(usize, String, Command)>,
}

/// An open connection.
struct Online {
    number: usize,
    /// Per room: the index of the next event, and the end of the replay.
    subscriptions: BTreeMap<usize, (usize, usize)>,
    responses: Vec<StepKind>,
}

struct Simulation {
    rng: Rng,
    trace: Trace,
    now_us: u64,
    rooms: Vec<Room>,
    devices: Vec<Device>,
    connections: usize,
    command: usize,
    /// Maximum duration of a step, in microseconds.
    step_us: usize,
    /// Messages that can be edited, deleted and reacted to: room, sender, message.
    messages: Vec<(usize, String, String)>,
}

/// The valid history of `steps` steps.
pub(crate) fn valid_history(seed: u64, steps: usize) -> Trace {
    let mut simulation = Simulation {
        rng: Rng::new(seed, 0),
        trace: Trace::default(),
        now_us: 0,
        rooms: (0..ROOMS)
            .map(|room| Room::new(&format!("r{room}")))
            .collect(),
        devices: Vec::new(),
        connections: 0,
        command: 0,
        // Half of the histories are slow enough for what is judged by time.
        step_us: if seed.is_multiple_of(2) {
            1_000
        } else {
            1_000_000
        },
        messages: Vec::new(),
    };
    for device in 0..DEVICES {
        simulation.devices.push(Device {
            user: format!("u{}", device * 3 / 4),
            online: None,
            last: HashMap::new(),
            open: Vec::new(),
        });
        for room in 0..ROOMS {
            let user = simulation.devices[device].user.clone();
            if (device < 6 || room == 0) && !simulation.rooms[room].members.contains(&user) {
                simulation.rooms[room].member(&user, true, &mut simulation.rng);
            }
        }
    }
    for device in 0..DEVICES {
        simulation.connect(device);
    }
    for _ in 0..steps {
        simulation.step();
    }
    simulation.finish();
    simulation.trace
}

impl Simulation {
    fn step(&mut self) {
        self.now_us += 1 + self.rng.below(self.step_us) as u64;
        let device = self.rng.below(DEVICES);
        let room = self.rng.below(ROOMS);
        match self.rng.below(100) {
            0..30 => self.say(device, room),
            30..70 => {
                let events = 1 + self.rng.below(6);
                self.deliver(device, room, events);
            }
            70..84 => self.answer(device),
            84..86 => self.cut(device),
            86..91 => self.connect(device),
            91..94 => self.read(room),
            94 => self.come_or_go(device, room),
            95 => self.resubscribe(device, room),
            _ => self.say_again(device),
        }
    }

    fn push(&mut self, device: usize, kind: StepKind) {
        if let Some(online) = &self.devices[device].online {
            self.trace.push(self.now_us, online.number, kind);
        }
    }

    fn connect(&mut self, device: usize) {
        if self.devices[device].online.is_some() {
            return;
        }
        let number = self.connections;
        self.connections += 1;
        self.devices[device].online = Some(Online {
            number,
            subscriptions: BTreeMap::new(),
            responses: Vec::new(),
        });
        let kind = StepKind::Connected {
            user: self.devices[device].user.clone(),
            gateway: format!("ws://gateway-{}", self.rng.below(2)),
        };
        self.push(device, kind);
        for room in 0..ROOMS {
            self.subscribe(device, room);
        }
    }

    /// Subscribes from the last seq received, sometimes without `after`.
    fn subscribe(&mut self, device: usize, room: usize) {
        let (this, held) = (&mut self.devices[device], &self.rooms[room]);
        let Some(online) = this
            .online
            .as_mut()
            .filter(|_| held.members.contains(&this.user))
        else {
            return;
        };
        let after = this
            .last
            .get(&room)
            .copied()
            .filter(|_| self.rng.below(8) > 0);
        let (head, length) = (held.head(), held.log.len());
        let missed = after.map_or(0, |after| length - held.after(after));
        let recovered = missed <= REPLAY_MAX;
        let from = after
            .filter(|_| recovered)
            .map_or(length, |after| held.after(after));
        online.subscriptions.insert(room, (from, length));
        if after.is_none() || !recovered {
            this.last.insert(room, head);
        }
        let name = held.name.clone();
        let kind = StepKind::Subscribed {
            room: name,
            after,
            head,
            recovered,
        };
        self.push(device, kind);
        if let (false, Some(after)) = (recovered, after) {
            self.catch_up(device, room, after);
        }
    }

    /// Reads everything after `after`, page by page.
    fn catch_up(&mut self, device: usize, room: usize, mut after: u64) {
        let number = match &self.devices[device].online {
            Some(online) => online.number,
            None => return,
        };
        loop {
            let more = self.page_after(number, room, after);
            match more {
                Some(last) => after = last,
                None => return,
            }
        }
    }

    /// One page of events; returns its last seq when there are more.
    fn page_after(&mut self, connection: usize, room: usize, after: u64) -> Option<u64> {
        let asked_us = self.now_us.saturating_sub(self.rng.below(2_000) as u64);
        let limit = 1 + self.rng.below(9);
        let held = &self.rooms[room];
        let from = held.after(after);
        let until = held.log.len().min(from + limit);
        let events: Vec<_> = (from..until).map(|number| held.replayed(number)).collect();
        let last = events.last().map(|event| event.seq.get());
        let more = until < held.log.len();
        let kind = StepKind::Paged {
            room: held.name.clone(),
            asked_us,
            asked: PageQuery::After(seq(after)),
            head: held.head(),
            more: (from > 0, more),
            events,
        };
        self.trace.push(self.now_us, connection, kind);
        last.filter(|_| more)
    }

    /// A random client reads a page.
    fn read(&mut self, room: usize) {
        let connection = self.reader();
        let held = &self.rooms[room];
        let somewhere = self.rng.below(held.log.len() + 1);
        let somewhere = held
            .log
            .get(somewhere)
            .map_or(held.head(), |event| event.seq.get());
        if self.rng.below(2) == 0 {
            self.page_after(connection, room, somewhere);
            return;
        }
        let newest = self.rng.below(2) == 0;
        let before = if newest { u64::MAX } else { somewhere };
        let mut events = held.messages(before);
        let limit = 1 + self.rng.below(9);
        let hidden = events.len().saturating_sub(limit);
        events.drain(..hidden);
        let kind = StepKind::Paged {
            room: held.name.clone(),
            asked_us: self.now_us.saturating_sub(self.rng.below(2_000) as u64),
            asked: if newest {
                PageQuery::Newest
            } else {
                PageQuery::Before(seq(before))
            },
            head: held.head(),
            more: (hidden > 0, !newest),
            events,
        };
        self.trace.push(self.now_us, connection, kind);
    }

    fn reader(&mut self) -> usize {
        let number = self.connections;
        self.connections += 1;
        let kind = StepKind::Connected {
            user: "reader".to_owned(),
            gateway: "http://history".to_owned(),
        };
        self.trace.push(self.now_us, number, kind);
        number
    }

    fn say(&mut self, device: usize, room: usize) {
        let user = self.devices[device].user.clone();
        self.command += 1;
        let client = format!("c{}", self.command);
        let content = format!("words {}", self.rng.below(1_000_000));
        let about = self.rng.below(3) == 0;
        let known = self.messages.iter().rev().filter(|(of, _, _)| *of == room);
        let known: Vec<_> = known.take(6).cloned().collect();
        let command = match known.get(self.rng.below(6)).filter(|_| about) {
            Some((_, sender, message)) => {
                let message = message.clone();
                match self.rng.below(4) {
                    0 if *sender == user => Command::Edit { message, content },
                    1 if *sender == user => Command::Delete { message },
                    mood => Command::React {
                        message,
                        emoji: "+".to_owned(),
                        remove: mood > 2,
                    },
                }
            }
            None => Command::Message { content },
        };
        self.attempt(device, room, client, command);
    }

    fn say_again(&mut self, device: usize) {
        if self.devices[device].online.is_some() && !self.devices[device].open.is_empty() {
            let (room, client, command) = self.devices[device].open.remove(0);
            self.attempt(device, room, client, command);
        }
    }

    /// Whether the device has a pending refusal in this room, definite or indeterminate.
    fn is_behind_refused(&self, device: usize, name: &str) -> bool {
        let online = self.devices[device].online.iter();
        let mut responses = online.flat_map(|online| &online.responses);
        responses.any(|answer| {
            matches!(answer, StepKind::Refused { room, code, .. }
                if room == name && matches!(code, ErrorCode::LogUnavailable | ErrorCode::Unconfirmed))
        })
    }

    /// One attempt, with a random outcome.
    fn attempt(&mut self, device: usize, room: usize, client: String, command: Command) {
        let user = self.devices[device].user.clone();
        if self.devices[device].online.is_none() || !self.rooms[room].members.contains(&user) {
            return;
        }
        let name = self.rooms[room].name.clone();
        let tried = StepKind::Sent {
            room: name.clone(),
            client: client.clone(),
            command: command.clone(),
        };
        self.push(device, tried);
        let luck = match self.rng.below(40) {
            _ if self.is_behind_refused(device, &name) => NOT_STORED,
            luck => luck,
        };
        let stored = match luck {
            0..4 => Err(ErrorCode::LogUnavailable),
            _ => self.rooms[room].say(&user, &client, &command, &mut self.rng),
        };
        if let (Ok(stored), Command::Message { .. }) = (&stored, &command) {
            self.messages
                .push((room, user.clone(), stored.message.clone()));
        }
        let answer = match (luck, stored) {
            (0 | 4 | 5, _) => Some(Err(ErrorCode::Unconfirmed)),
            (1 | 6 | 7, _) => None,
            (2, _) => Some(Err(ErrorCode::RateLimited)),
            (NOT_STORED, _) => Some(Err(ErrorCode::LogUnavailable)),
            (_, stored) => Some(stored),
        };
        let this = &mut self.devices[device];
        if !matches!(answer, Some(Ok(_))) {
            this.open.push((room, client.clone(), command));
        }
        let answer = match answer {
            Some(Ok(stored)) => StepKind::Acked {
                room: name,
                client,
                message: stored.message,
                seq: stored.seq,
                duplicate: stored.duplicate,
            },
            Some(Err(code)) => StepKind::Refused {
                room: name,
                client,
                code,
            },
            None => return self.cut(device),
        };
        this.online
            .as_mut()
            .expect("it stands")
            .responses
            .push(answer);
    }

    fn answer(&mut self, device: usize) {
        let Some(online) = &mut self.devices[device].online else {
            return;
        };
        if !online.responses.is_empty() {
            let answer = online.responses.remove(0);
            self.push(device, answer);
        }
    }

    /// Delivers up to `events` events to a device; none after a removal.
    fn deliver(&mut self, device: usize, room: usize, events: usize) {
        for _ in 0..events {
            let this = &mut self.devices[device];
            let subscriptions = this.online.as_mut().map(|online| &mut online.subscriptions);
            let Some((next, replay)) = subscriptions.and_then(|all| all.get_mut(&room)) else {
                return;
            };
            let held = &self.rooms[room];
            if *next >= held.log.len() {
                return;
            }
            let replayed = *next < *replay;
            let event = if replayed {
                held.replayed(*next)
            } else {
                held.log[*next].clone()
            };
            *next += 1;
            this.last.insert(room, event.seq.get());
            let name = held.name.clone();
            let leaves = event.kind == roomcast_checker::history::EventKind::MemberLeft;
            let mine = event
                .user_id
                .as_ref()
                .is_some_and(|user| *user.0 == *this.user);
            let kind = StepKind::Delivered {
                room: name.clone(),
                event,
            };
            self.push(device, kind);
            if leaves && mine && !replayed {
                self.push(device, StepKind::Unsubscribed { room: name });
                let online = self.devices[device].online.as_mut().expect("it stands");
                online.subscriptions.remove(&room);
            }
        }
    }

    fn cut(&mut self, device: usize) {
        let end = [
            Disconnect::Cut,
            Disconnect::Lost,
            Disconnect::Closed(4508),
            Disconnect::Closed(1001),
        ][self.rng.below(4)];
        self.push(device, StepKind::Ended(end));
        let this = &mut self.devices[device];
        if let Some(online) = this.online.take() {
            // These are indeterminate; some are resent.
            for answer in online.responses {
                if let StepKind::Acked { room, client, .. } = answer
                    && self.rng.below(2) == 0
                {
                    let tried = self.trace.steps.iter().find_map(|step| match &step.kind {
                        StepKind::Sent {
                            room: its_room,
                            client: its_client,
                            command,
                        } if (its_room, its_client) == (&room, &client) => Some(command.clone()),
                        _ => None,
                    });
                    let number = self.rooms.iter().position(|held| held.name == room);
                    let (number, tried) = (number.expect("a room"), tried.expect("a try"));
                    this.open.push((number, client, tried));
                }
            }
        }
    }

    fn come_or_go(&mut self, device: usize, room: usize) {
        let user = self.devices[device].user.clone();
        let joins = !self.rooms[room].members.contains(&user);
        self.rooms[room].member(&user, joins, &mut self.rng);
        if joins {
            self.subscribe(device, room);
        }
    }

    fn resubscribe(&mut self, device: usize, room: usize) {
        let name = self.rooms[room].name.clone();
        let online = self.devices[device].online.as_mut();
        if self.rng.below(2) == 0
            && online.is_some_and(|online| online.subscriptions.remove(&room).is_some())
        {
            self.push(device, StepKind::Unsubscribed { room: name });
        }
        self.subscribe(device, room);
    }

    /// Delivers all responses and events, and reads every room from its first event.
    fn finish(&mut self) {
        for device in 0..DEVICES {
            for _ in 0..self.devices[device]
                .online
                .as_ref()
                .map_or(0, |on| on.responses.len())
            {
                self.answer(device);
            }
            for room in 0..ROOMS {
                self.deliver(device, room, usize::MAX);
            }
        }
        self.now_us += 10_000;
        let reader = self.reader();
        for room in 0..ROOMS {
            let mut after = Some(0);
            while let Some(from) = after {
                after = self.page_after(reader, room, from);
            }
            self.read(room);
        }
        self.now_us += 20_000_000;
        for device in 0..DEVICES {
            self.push(device, StepKind::Ended(Disconnect::Finished));
        }
    }
}
