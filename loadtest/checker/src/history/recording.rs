//! The recording of a run, merged from the records of all its processes.

use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Range;

use roomcast_protocol::{ErrorCode, Seq};

use super::event::{EventKind, NO_PREV, View};
use super::layout::{MAGIC, Reader, Tag, damaged};
use super::{Disconnect, PageQuery};

/// The observations of all clients of a run. About 20 bytes per delivery.
#[derive(Default)]
pub struct Recording {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) views: Vec<View>,
    /// Deliveries and changes of subscriptions, in order per connection.
    pub(crate) records: Vec<Record>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) attempts: Vec<AttemptRecord>,
    pub(crate) responses: Vec<ResponseRecord>,
    pub(crate) pages: Vec<PageRead>,
    pub(crate) page_views: Vec<u32>,
}

/// A WebSocket connection, or a reader of history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) user: u32,
    pub(crate) gateway: u32,
    pub(crate) ended: Option<(u64, Disconnect)>,
}

/// A delivery, or the start or end of a subscription.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) at_us: u64,
    pub(crate) connection: u32,
    /// The index of a view or, with [`MARK`], of a mark.
    what: u32,
}

const MARK: u32 = 1 << 31;

/// The content of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Observation<'a> {
    /// The index of the view, and the view.
    Delivered(usize, &'a View),
    Subscribed {
        after: Option<u64>,
        head: u64,
        recovered: bool,
    },
    Unsubscribed,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) room: u32,
    subscribed: Option<(Option<u64>, u64, bool)>,
}

/// One attempt of a send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttemptRecord {
    pub(crate) at_us: u64,
    pub(crate) connection: u32,
    pub(crate) room: u32,
    pub(crate) kind: EventKind,
    pub(crate) client: u64,
    /// The message it is about; zero for a new one.
    pub(crate) message: u64,
    pub(crate) content: u64,
}

/// The response to an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseRecord {
    pub(crate) at_us: u64,
    pub(crate) connection: u32,
    pub(crate) room: u32,
    pub(crate) client: u64,
    pub(crate) outcome: Response,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Response {
    Acked {
        message: u64,
        seq: u64,
        duplicate: bool,
    },
    Refused(ErrorCode),
}

/// A page of history; `events` is a range of [`Recording::page_views`].
#[derive(Debug, Clone)]
pub(crate) struct PageRead {
    pub(crate) asked_us: u64,
    pub(crate) at_us: u64,
    pub(crate) connection: u32,
    pub(crate) room: u32,
    pub(crate) asked: PageQuery,
    pub(crate) head: u64,
    pub(crate) has_more_before: bool,
    pub(crate) has_more_after: bool,
    pub(crate) events: Range<usize>,
}

/// Maps the numbers of one stream to indices of the recording.
#[derive(Default)]
struct Stream {
    last_us: u64,
    names: Vec<u32>,
    views: Vec<u32>,
}

impl Recording {
    /// Adds the records of one process.
    pub fn absorb(&mut self, mut input: impl Read) -> io::Result<()> {
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(damaged());
        }
        let mut streams: HashMap<u32, Stream> = HashMap::new();
        let mut connections = HashMap::new();
        let mut chunk = Vec::new();
        let mut header = [0; 8];
        while read_whole(&mut input, &mut header)? {
            let [shard, length] = [0, 4]
                .map(|at| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes of 8")));
            chunk.resize(length as usize, 0);
            input.read_exact(&mut chunk)?;
            let stream = streams.entry(shard).or_default();
            let mut reader = Reader::new(&chunk);
            while !reader.is_empty() {
                self.record(&mut reader, stream, &mut connections)?;
            }
        }
        Ok(())
    }

    /// The number of deliveries.
    pub fn deliveries(&self) -> u64 {
        (self.records.len() - self.marks.len()) as u64
    }

    /// The name with this number.
    pub(crate) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    /// The number of names.
    pub(crate) fn names(&self) -> usize {
        self.names.len()
    }

    /// The content of a record.
    pub(crate) fn saw(&self, record: &Record) -> Observation<'_> {
        if record.what & MARK == 0 {
            let view = record.what as usize;
            return Observation::Delivered(view, &self.views[view]);
        }
        match self.marks[(record.what & !MARK) as usize].subscribed {
            Some((after, head, recovered)) => Observation::Subscribed {
                after,
                head,
                recovered,
            },
            None => Observation::Unsubscribed,
        }
    }

    /// The room of a record.
    pub(crate) fn room_of(&self, record: &Record) -> u32 {
        if record.what & MARK == 0 {
            self.views[record.what as usize].room
        } else {
            self.marks[(record.what & !MARK) as usize].room
        }
    }

    fn record(
        &mut self,
        reader: &mut Reader<'_>,
        stream: &mut Stream,
        connections: &mut HashMap<u32, u32>,
    ) -> io::Result<()> {
        let tag = reader.tag()?;
        match tag {
            Tag::Name => return self.named(reader, stream),
            Tag::View => return self.viewed(reader, stream),
            _ => {}
        }
        let at_us = reader.difference(stream.last_us)?;
        stream.last_us = at_us;
        let number = reader.small()?;
        if tag == Tag::Connected {
            connections.insert(number, number_of(&self.connections)?);
            self.connections.push(Connection {
                user: stream.name(reader)?,
                gateway: stream.name(reader)?,
                ended: None,
            });
            return Ok(());
        }
        let connection = *connections.get(&number).ok_or_else(damaged)?;
        match tag {
            Tag::Ended => {
                self.connections[connection as usize].ended = Some((at_us, read_end(reader)?));
            }
            Tag::Delivered => {
                let what = *stream
                    .views
                    .get(reader.small()? as usize)
                    .ok_or_else(damaged)?;
                self.records.push(Record {
                    at_us,
                    connection,
                    what,
                });
            }
            Tag::Subscribed | Tag::Unsubscribed => {
                let what = MARK | number_of(&self.marks)?;
                self.records.push(Record {
                    at_us,
                    connection,
                    what,
                });
                let room = stream.name(reader)?;
                let subscribed = match tag {
                    Tag::Subscribed => {
                        Some((reader.optional()?, reader.number()?, reader.number()? == 1))
                    }
                    _ => None,
                };
                self.marks.push(Mark { room, subscribed });
            }
            Tag::Attempt => self
                .attempts
                .push(read_attempt(reader, stream, at_us, connection)?),
            Tag::Page => self.paged(reader, stream, at_us, connection)?,
            _ => {
                let response = read_response(reader, stream, tag, at_us, connection)?;
                self.responses.push(response);
            }
        }
        Ok(())
    }

    fn named(&mut self, reader: &mut Reader<'_>, stream: &mut Stream) -> io::Result<()> {
        let length = reader.small()? as usize;
        let text = std::str::from_utf8(reader.bytes(length)?).map_err(|_| damaged())?;
        let number = match self.numbers.get(text) {
            Some(number) => *number,
            None => {
                let number = number_of(&self.names)?;
                self.names.push(text.into());
                self.numbers.insert(text.into(), number);
                number
            }
        };
        stream.names.push(number);
        Ok(())
    }

    fn viewed(&mut self, reader: &mut Reader<'_>, stream: &mut Stream) -> io::Result<()> {
        stream.views.push(number_of(&self.views)?);
        let (room, sender) = (stream.name(reader)?, stream.name(reader)?);
        let kind = EventKind::ALL.get(reader.small()? as usize);
        self.views.push(View {
            room,
            sender,
            kind: *kind.ok_or_else(damaged)?,
            deleted: reader.number()? == 1,
            seq: reader.number()?,
            prev: reader.optional()?.unwrap_or(NO_PREV),
            subject: reader.fingerprint()?,
            client: reader.fingerprint()?,
            content: reader.fingerprint()?,
        });
        Ok(())
    }

    fn paged(
        &mut self,
        reader: &mut Reader<'_>,
        stream: &Stream,
        at_us: u64,
        connection: u32,
    ) -> io::Result<()> {
        let asked_us = reader.difference(at_us)?;
        let room = stream.name(reader)?;
        let asked = reader.number()?;
        let place = Seq::new(reader.number()?).ok_or_else(damaged)?;
        let head = reader.number()?;
        let more = reader.number()?;
        let first = self.page_views.len();
        for _ in 0..reader.small()? {
            let view = stream.views.get(reader.small()? as usize);
            self.page_views.push(*view.ok_or_else(damaged)?);
        }
        self.pages.push(PageRead {
            asked_us,
            at_us,
            connection,
            room,
            asked: match asked {
                0 => PageQuery::After(place),
                1 => PageQuery::Before(place),
                _ => PageQuery::Newest,
            },
            head,
            has_more_before: more & 1 != 0,
            has_more_after: more & 2 != 0,
            events: first..self.page_views.len(),
        });
        Ok(())
    }
}

impl Stream {
    fn name(&self, reader: &mut Reader<'_>) -> io::Result<u32> {
        let number = reader.small()?;
        self.names.get(number as usize).copied().ok_or_else(damaged)
    }
}

/// The index of the next item of a list.
fn number_of<T>(list: &[T]) -> io::Result<u32> {
    let number = u32::try_from(list.len())
        .ok()
        .filter(|number| number & MARK == 0);
    number.ok_or_else(|| io::Error::other("the recording exceeds 2^31 records of one kind"))
}

/// Fills `buffer`; returns `false` at the end of the input.
fn read_whole(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let first = loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    if first > 0 {
        input.read_exact(&mut buffer[first..])?;
    }
    Ok(first > 0)
}

fn read_end(reader: &mut Reader<'_>) -> io::Result<Disconnect> {
    Ok(match reader.number()? {
        0 => Disconnect::Finished,
        1 => Disconnect::Cut,
        2 => Disconnect::Lost,
        code => Disconnect::Closed(u16::try_from(code - 3).map_err(|_| damaged())?),
    })
}

fn read_attempt(
    reader: &mut Reader<'_>,
    stream: &Stream,
    at_us: u64,
    connection: u32,
) -> io::Result<AttemptRecord> {
    Ok(AttemptRecord {
        at_us,
        connection,
        room: stream.name(reader)?,
        kind: *EventKind::ALL
            .get(reader.small()? as usize)
            .ok_or_else(damaged)?,
        client: reader.fingerprint()?,
        message: reader.fingerprint()?,
        content: reader.fingerprint()?,
    })
}

fn read_response(
    reader: &mut Reader<'_>,
    stream: &Stream,
    tag: Tag,
    at_us: u64,
    connection: u32,
) -> io::Result<ResponseRecord> {
    let room = stream.name(reader)?;
    let (client, outcome) = if tag == Tag::Acked {
        let (seq, duplicate) = (reader.number()?, reader.number()? == 1);
        let (client, message) = (reader.fingerprint()?, reader.fingerprint()?);
        let outcome = Response::Acked {
            message,
            seq,
            duplicate,
        };
        (client, outcome)
    } else {
        let code = ErrorCode::ALL.get(reader.small()? as usize);
        let code = *code.ok_or_else(damaged)?;
        (reader.fingerprint()?, Response::Refused(code))
    };
    Ok(ResponseRecord {
        at_us,
        connection,
        room,
        client,
        outcome,
    })
}
