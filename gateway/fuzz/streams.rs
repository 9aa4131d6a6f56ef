//! Client byte streams to order: valid ones from a seed, with what they mean, and broken ones made of
//! them. Written apart from the codec, so that the two can disagree.

use std::borrow::Cow;

use roomcast_gateway::codec::{MESSAGE_BYTES_MAX, Message};

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// SplitMix64: the same numbers for the same seed, everywhere.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound - 1`; 0 if there is none.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let number = usize::try_from(self.number() >> 33).unwrap_or(0);
        number.checked_rem(bound).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.number().to_be_bytes()[0]
    }

    /// A mask, often the one that does nothing: it keeps a payload's structure in mutants' reach.
    pub(crate) fn mask(&mut self) -> [u8; 4] {
        if self.one_in(3) {
            return [0; 4];
        }
        [self.byte(), self.byte(), self.byte(), self.byte()]
    }
}

/// Names the seed of a case that panics, wherever it does.
pub(crate) struct SeedOnPanic(pub(crate) u64);

impl Drop for SeedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the only way to repeat the case")]
            {
                eprintln!("failed with seed {}", self.0);
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ClientFrame {
    pub(crate) fin: bool,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl ClientFrame {
    pub(crate) fn new(fin: bool, opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            fin,
            opcode,
            payload: payload.into(),
        }
    }

    pub(crate) fn write(&self, mask: [u8; 4], stream: &mut Vec<u8>) {
        let length = self.payload.len();
        stream.push(u8::from(self.fin) << 7 | self.opcode);
        if let Ok(short @ 0..126) = u8::try_from(length) {
            stream.push(0x80 | short);
        } else if let Ok(wide) = u16::try_from(length) {
            stream.push(0xfe);
            stream.extend(wide.to_be_bytes());
        } else {
            stream.push(0xff);
            stream.extend((length as u64).to_be_bytes());
        }
        stream.extend(mask);
        stream.extend(self.payload.iter().zip(0..).map(|(b, i)| b ^ mask[i % 4]));
    }
}

/// What a well-behaved client does: its frames, and the items they must be read as.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) frames: Vec<ClientFrame>,
    pub(crate) items: Vec<Message<'static>>,
}

impl Script {
    pub(crate) fn valid(rng: &mut Rng) -> Self {
        let mut script = Self::default();
        for _ in 0..=rng.below(4) {
            match rng.below(4) {
                0 => script.control(rng),
                1 => script.fragments(rng),
                _ => {
                    let text = text(rng);
                    script.push(TEXT, text.clone().into(), Message::Text(text.into()));
                }
            }
        }
        if rng.one_in(6) {
            let code: u16 = rng.pick(&[1000, 1001, 1003, 1007, 1013, 3000, 4401, 4999]);
            let payload = [&code.to_be_bytes(), "bye, größer".as_bytes()].concat();
            script.push(CLOSE, payload, Message::Close(Some(code)));
        } else if rng.one_in(12) {
            script.push(CLOSE, vec![], Message::Close(None));
        }
        script
    }

    fn push(&mut self, opcode: u8, payload: Vec<u8>, item: Message<'static>) {
        self.frames.push(ClientFrame::new(true, opcode, payload));
        self.items.push(item);
    }

    fn control(&mut self, rng: &mut Rng) {
        let bytes = rng.pick(&[0, 1, 4, 8, 125]);
        let payload: Vec<u8> = (0..bytes).map(|_| rng.byte()).collect();
        if rng.one_in(2) {
            self.push(PONG, payload, Message::Pong);
        } else {
            self.push(PING, payload.clone(), Message::Ping(Cow::Owned(payload)));
        }
    }

    /// One message cut anywhere, inside characters too, with control frames between the pieces.
    fn fragments(&mut self, rng: &mut Rng) {
        let text = text(rng);
        let mut rest = text.as_bytes();
        let mut opcode = TEXT;
        for _ in 0..rng.below(4) {
            let (piece, more) = rest.split_at(rng.below(rest.len() + 1));
            self.frames.push(ClientFrame::new(false, opcode, piece));
            (opcode, rest) = (CONTINUATION, more);
            if rng.one_in(3) {
                self.control(rng);
            }
        }
        self.push(opcode, rest.to_vec(), Message::Text(text.into()));
    }

    /// The frames as bytes, and where each begins.
    pub(crate) fn bytes(&self, rng: &mut Rng) -> (Vec<u8>, Vec<usize>) {
        let (mut stream, mut starts) = (Vec::new(), Vec::new());
        for frame in &self.frames {
            starts.push(stream.len());
            frame.write(rng.mask(), &mut stream);
        }
        (stream, starts)
    }
}

fn text(rng: &mut Rng) -> String {
    let bytes = match rng.below(1000) {
        0 => rng.pick(&[65_535, MESSAGE_BYTES_MAX]),
        1..=9 => rng.below(4_000),
        10..=99 => rng.pick(&[0, 124, 125, 126, 127, 128]),
        _ => rng.below(60),
    };
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        let room = bytes - text.len();
        let character = rng.pick(&[
            'a',
            '"',
            '\0',
            'ä',
            'ß',
            '€',
            '\u{feff}',
            '😀',
            '\u{10ffff}',
        ]);
        text.push(if character.len_utf8() <= room {
            character
        } else {
            'x'
        });
    }
    text
}

/// Breaks `stream` in one to four ways, every second time in the head of a frame, where it hurts.
pub(crate) fn mutate(stream: &mut Vec<u8>, starts: &[usize], rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        if stream.is_empty() {
            return;
        }
        let at = if rng.one_in(2) {
            (rng.pick(starts) + rng.below(14)).min(stream.len() - 1)
        } else {
            rng.below(stream.len())
        };
        let end = (at + 1 + rng.below(16)).min(stream.len());
        match rng.below(6) {
            0 => stream[at] ^= 1 << rng.below(8),
            1 => stream[at] = rng.pick(&[0x00, 0x01, 0x02, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff]),
            2 => stream.insert(at, rng.byte()),
            3 => drop(stream.drain(at..end)),
            4 => {
                let copy = stream[at..end].to_vec();
                let into = rng.below(stream.len());
                stream.splice(into..into, copy);
            }
            _ => stream.truncate(at),
        }
    }
}
