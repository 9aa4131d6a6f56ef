//! A stream of records shared by some connections of a process, and the sink of all streams.
//!
//! A stream is self-contained: it defines a number before it uses it. It keeps little in memory: a chunk,
//! the names of rooms and users, and the latest events.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::sync::{Arc, Mutex};

use roomcast_protocol::{ErrorCode, Seq};

use super::event::{Event, View, fingerprint, reaction_fingerprint};
use super::layout::{MAGIC, Tag, put, put_difference, put_fingerprint, put_optional};
use super::{Attempt, Disconnect, MessageAction, Page, PageQuery, lock};

const CHUNK_BYTES: usize = 256 * 1024;
/// Events kept for deduplication; a delivery after eviction writes the event again.
const VIEWS_MAX: usize = 65_536;

/// One stream of records.
pub(super) struct Shard {
    number: u32,
    last_us: u64,
    chunk: Vec<u8>,
    names: HashMap<Box<str>, u32>,
    views: HashMap<View, u32>,
    views_written: u32,
    sink: Arc<Sink>,
}

impl Shard {
    pub(super) fn new(number: u32, sink: Arc<Sink>) -> Self {
        Self {
            number,
            last_us: 0,
            chunk: Vec::new(),
            names: HashMap::new(),
            views: HashMap::new(),
            views_written: 0,
            sink,
        }
    }

    pub(super) fn connected(&mut self, at_us: u64, connection: u32, user: &str, gateway: &str) {
        let (user, gateway) = (self.name(user), self.name(gateway));
        self.begin(Tag::Connected, at_us, connection);
        self.numbers(&[user.into(), gateway.into()]);
        self.end();
    }

    pub(super) fn ended(&mut self, at_us: u64, connection: u32, end: Disconnect) {
        self.begin(Tag::Ended, at_us, connection);
        self.numbers(&[match end {
            Disconnect::Finished => 0,
            Disconnect::Cut => 1,
            Disconnect::Lost => 2,
            Disconnect::Closed(code) => 3 + u64::from(code),
        }]);
        self.end();
    }

    pub(super) fn subscribed(
        &mut self,
        at_us: u64,
        connection: u32,
        room: &str,
        after: Option<Seq>,
        head: Seq,
        recovered: bool,
    ) {
        let room = self.name(room);
        self.begin(Tag::Subscribed, at_us, connection);
        self.numbers(&[room.into()]);
        put_optional(&mut self.chunk, after.map(Seq::get));
        self.numbers(&[head.get(), recovered.into()]);
        self.end();
    }

    pub(super) fn unsubscribed(&mut self, at_us: u64, connection: u32, room: &str) {
        let room = self.name(room);
        self.begin(Tag::Unsubscribed, at_us, connection);
        self.numbers(&[room.into()]);
        self.end();
    }

    pub(super) fn delivered(&mut self, at_us: u64, connection: u32, room: &str, event: &Event<'_>) {
        let view = self.view(room, event);
        self.begin(Tag::Delivered, at_us, connection);
        self.numbers(&[view.into()]);
        self.end();
    }

    pub(super) fn sent(&mut self, at_us: u64, connection: u32, attempt: &Attempt<'_>) {
        let room = self.name(attempt.room_id.as_str());
        self.begin(Tag::Attempt, at_us, connection);
        self.numbers(&[room.into()]);
        let (kind, message, content) = match attempt.action {
            MessageAction::Message { content } => (0, 0, fingerprint(content)),
            MessageAction::Edit {
                message_id,
                content,
            } => (1, fingerprint(message_id), fingerprint(content)),
            MessageAction::Delete { message_id } => (2, fingerprint(message_id), 0),
            MessageAction::React {
                message_id,
                emoji,
                remove,
            } => (
                3,
                fingerprint(message_id),
                reaction_fingerprint(emoji, remove),
            ),
        };
        self.numbers(&[kind]);
        for print in [fingerprint(attempt.client_msg_id), message, content] {
            put_fingerprint(&mut self.chunk, print);
        }
        self.end();
    }

    pub(super) fn acked(
        &mut self,
        at_us: u64,
        connection: u32,
        room: &str,
        client_and_message: [u64; 2],
        seq: Seq,
        duplicate: bool,
    ) {
        let room = self.name(room);
        self.begin(Tag::Acked, at_us, connection);
        self.numbers(&[room.into(), seq.get(), duplicate.into()]);
        for print in client_and_message {
            put_fingerprint(&mut self.chunk, print);
        }
        self.end();
    }

    pub(super) fn refused(
        &mut self,
        at_us: u64,
        connection: u32,
        room: &str,
        client: u64,
        code: ErrorCode,
    ) {
        let room = self.name(room);
        let code = ErrorCode::ALL.iter().position(|known| *known == code);
        self.begin(Tag::Refused, at_us, connection);
        self.numbers(&[room.into(), code.map_or(0, |place| place as u64)]);
        put_fingerprint(&mut self.chunk, client);
        self.end();
    }

    pub(super) fn page<'a>(
        &mut self,
        at_us: u64,
        connection: u32,
        page: &Page<'_>,
        events: impl IntoIterator<Item = &'a Event<'a>>,
    ) {
        let room_name = page.room_id.as_str();
        let views: Vec<u32> = (events.into_iter())
            .map(|event| self.view(room_name, event))
            .collect();
        let room = self.name(room_name);
        self.begin(Tag::Page, at_us, connection);
        put_difference(&mut self.chunk, at_us, page.asked_us);
        let (asked, place) = match page.asked {
            PageQuery::After(seq) => (0, seq.get()),
            PageQuery::Before(seq) => (1, seq.get()),
            PageQuery::Newest => (2, 0),
        };
        let more = u64::from(page.has_more_before) | u64::from(page.has_more_after) << 1;
        let head = page.head.get();
        self.numbers(&[room.into(), asked, place, head, more, views.len() as u64]);
        for view in views {
            put(&mut self.chunk, view.into());
        }
        self.end();
    }

    /// Writes the buffered chunk to the sink.
    pub(super) fn flush(&mut self) {
        if !self.chunk.is_empty() {
            self.sink.keep(self.number, std::mem::take(&mut self.chunk));
        }
    }

    fn begin(&mut self, tag: Tag, at_us: u64, connection: u32) {
        self.chunk.push(tag as u8);
        put_difference(&mut self.chunk, self.last_us, at_us);
        self.last_us = at_us;
        put(&mut self.chunk, connection.into());
    }

    fn numbers(&mut self, numbers: &[u64]) {
        for number in numbers {
            put(&mut self.chunk, *number);
        }
    }

    fn end(&mut self) {
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    fn name(&mut self, text: &str) -> u32 {
        if let Some(number) = self.names.get(text) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("a run has fewer than 2^32 names");
        self.names.insert(text.into(), number);
        self.chunk.push(Tag::Name as u8);
        put(&mut self.chunk, text.len() as u64);
        self.chunk.extend_from_slice(text.as_bytes());
        number
    }

    fn view(&mut self, room: &str, event: &Event<'_>) -> u32 {
        let (room, sender) = (self.name(room), self.name(&event.sender_id.0));
        let view = View::of(room, sender, event);
        if let Some(number) = self.views.get(&view) {
            return *number;
        }
        if self.views.len() == VIEWS_MAX {
            self.views.clear();
        }
        let number = self.views_written;
        self.views_written += 1;
        self.views.insert(view, number);
        self.chunk.push(Tag::View as u8);
        let kind = view.kind as u64;
        self.numbers(&[room.into(), sender.into(), kind, view.deleted.into()]);
        put(&mut self.chunk, view.seq);
        put_optional(&mut self.chunk, event.prev.map(Seq::get));
        for print in [view.subject, view.client, view.content] {
            put_fingerprint(&mut self.chunk, print);
        }
        number
    }
}

/// Receives the chunks of all streams of a process.
pub(super) struct Sink {
    state: Mutex<State>,
}

struct State {
    place: Place,
    failed: Option<io::Error>,
}

enum Place {
    Memory(Vec<Vec<u8>>),
    File(BufWriter<File>),
}

impl Sink {
    pub(super) fn in_memory() -> Self {
        Self::on(Place::Memory(vec![MAGIC.to_vec()]))
    }

    pub(super) fn in_file(mut file: BufWriter<File>) -> io::Result<Self> {
        file.write_all(MAGIC)?;
        Ok(Self::on(Place::File(file)))
    }

    fn on(place: Place) -> Self {
        Self {
            state: Mutex::new(State {
                place,
                failed: None,
            }),
        }
    }

    /// The error is returned by the next [`Sink::flush`], so that clients need not check.
    fn keep(&self, shard: u32, chunk: Vec<u8>) {
        let length = u32::try_from(chunk.len()).expect("a chunk is much smaller than 4 GiB");
        let mut state = lock(&self.state);
        let header = [shard.to_le_bytes(), length.to_le_bytes()].concat();
        let kept = match &mut state.place {
            Place::Memory(chunks) => {
                chunks.extend([header, chunk]);
                Ok(())
            }
            Place::File(file) => file
                .write_all(&header)
                .and_then(|()| file.write_all(&chunk)),
        };
        if let Err(error) = kept {
            state.failed.get_or_insert(error);
        }
    }

    pub(super) fn flush(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        if let Some(error) = state.failed.take() {
            return Err(error);
        }
        match &mut state.place {
            Place::Memory(_) => Ok(()),
            Place::File(file) => file.flush(),
        }
    }

    pub(super) fn copy_to(&self, out: &mut impl Write) -> io::Result<()> {
        self.read(|input| io::copy(input, out).map(drop))
    }

    /// Calls `reader` with everything written, from the first byte.
    pub(super) fn read(
        &self,
        reader: impl FnOnce(&mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        match &mut lock(&self.state).place {
            Place::Memory(chunks) => reader(&mut Chunks { chunks, read: 0 }),
            Place::File(file) => {
                file.seek(SeekFrom::Start(0))?;
                reader(&mut io::BufReader::with_capacity(
                    CHUNK_BYTES,
                    file.get_ref(),
                ))?;
                file.seek(SeekFrom::End(0)).map(drop)
            }
        }
    }
}

/// Chunks in memory, read as one stream.
struct Chunks<'a> {
    chunks: &'a [Vec<u8>],
    read: usize,
}

impl Read for Chunks<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some((first, rest)) = self.chunks.split_first() {
            let left = &first[self.read..];
            if !left.is_empty() {
                let length = left.len().min(out.len());
                out[..length].copy_from_slice(&left[..length]);
                self.read += length;
                return Ok(length);
            }
            (self.chunks, self.read) = (rest, 0);
        }
        Ok(0)
    }
}
