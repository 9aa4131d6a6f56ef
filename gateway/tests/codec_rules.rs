//! RFC 6455's rules, one by one, and what the codec promises about memory.

#[path = "../fuzz/invariants.rs"]
#[allow(dead_code, reason = "each test needs its part of it")]
mod invariants;
#[path = "../fuzz/streams.rs"]
#[allow(dead_code, reason = "each test needs its part of it")]
mod streams;

use std::borrow::Cow;

use invariants::{End, Outcome, check, read};
use roomcast_gateway::codec::{
    CONTROL_BYTES_MAX, Decoder, MESSAGE_BYTES_MAX, Message, ProtocolError, encode_close,
    encode_ping, encode_pong, encode_text, encode_text_with, text_header,
};
use streams::{CLOSE, CONTINUATION, ClientFrame, PING, PONG, TEXT};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn stream(frames: &[(bool, u8, &[u8])]) -> Vec<u8> {
    let mut stream = Vec::new();
    for &(fin, opcode, payload) in frames {
        ClientFrame::new(fin, opcode, payload).write(MASK, &mut stream);
    }
    stream
}

fn text(text: &str) -> Message<'static> {
    Message::Text(Cow::Owned(text.to_owned()))
}

/// Streams that break a rule with their last byte and not before.
fn violations() -> Vec<(Vec<u8>, ProtocolError)> {
    let open = stream(&[(false, TEXT, b"first")]);
    let almost_full = stream(&[(false, TEXT, &vec![b'x'; MESSAGE_BYTES_MAX - 1])]);
    let after = |start: &[u8], bytes: &[u8]| [start, bytes].concat();
    vec![
        (vec![0xc1], ProtocolError::ReservedBits),
        (vec![0xa1], ProtocolError::ReservedBits),
        (vec![0x91], ProtocolError::ReservedBits),
        (after(&open, &[0xc0]), ProtocolError::ReservedBits),
        (vec![0x83], ProtocolError::UnknownOpcode),
        (vec![0x8b], ProtocolError::UnknownOpcode),
        (vec![0x8f], ProtocolError::UnknownOpcode),
        (vec![0x82], ProtocolError::Binary),
        (vec![0x02], ProtocolError::Binary),
        (vec![0x80], ProtocolError::NothingToContinue),
        (vec![0x00], ProtocolError::NothingToContinue),
        (after(&open, &[0x81]), ProtocolError::UnfinishedMessage),
        (after(&open, &[0x01]), ProtocolError::UnfinishedMessage),
        (after(&open, &[0x82]), ProtocolError::UnfinishedMessage),
        (vec![0x08], ProtocolError::FragmentedControl),
        (vec![0x09], ProtocolError::FragmentedControl),
        (vec![0x0a], ProtocolError::FragmentedControl),
        (vec![0x81, 0x05], ProtocolError::Unmasked),
        (vec![0x88, 0x00], ProtocolError::Unmasked),
        (vec![0x88, 0xfe], ProtocolError::LongControl),
        (vec![0x89, 0xfe], ProtocolError::LongControl),
        (vec![0x8a, 0xff], ProtocolError::LongControl),
        (vec![0x81, 0xfe, 0, 125], ProtocolError::BadLength),
        (
            vec![0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            ProtocolError::BadLength,
        ),
        (
            vec![0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
            ProtocolError::BadLength,
        ),
        (
            vec![0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1],
            ProtocolError::TooLarge,
        ),
        (
            vec![0x81, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0],
            ProtocolError::TooLarge,
        ),
        (after(&almost_full, &[0x80, 0x82]), ProtocolError::TooLarge),
        (after(&almost_full, &[0x00, 0x82]), ProtocolError::TooLarge),
        (stream(&[(true, CLOSE, &[3])]), ProtocolError::BadClose),
        (
            stream(&[(true, CLOSE, b"\x03\xe8\xff")]),
            ProtocolError::NotUtf8,
        ),
        (stream(&[(true, TEXT, b"\xff")]), ProtocolError::NotUtf8),
        (
            stream(&[(true, TEXT, b"\xed\xa0\x80")]),
            ProtocolError::NotUtf8,
        ),
        (stream(&[(true, TEXT, b"\xc0\x80")]), ProtocolError::NotUtf8),
        (stream(&[(true, TEXT, b"\xe2\x82")]), ProtocolError::NotUtf8),
        (stream(&[(false, TEXT, b"ok \xff")]), ProtocolError::NotUtf8),
        (
            stream(&[(false, TEXT, b"\xe2\x82"), (false, CONTINUATION, b"x")]),
            ProtocolError::NotUtf8,
        ),
        (
            stream(&[(false, TEXT, b"\xe2\x82"), (true, CONTINUATION, b"")]),
            ProtocolError::NotUtf8,
        ),
    ]
}

#[test]
fn every_violation_shows_at_its_first_wrong_byte_and_no_earlier() {
    for (stream, violation) in violations() {
        let start = &stream[..stream.len().min(20)];
        assert_eq!(
            check(&stream, 1).end,
            End::Broken(violation),
            "{start:02x?}"
        );
        let before = check(&stream[..stream.len() - 1], 1).end;
        assert!(
            matches!(before, End::Idle | End::Unfinished),
            "{start:02x?}: {before:?}"
        );
    }
}

#[test]
fn every_violation_is_answered_with_a_code_of_rfc_6455_and_its_own_words() {
    for (_, violation) in violations() {
        let code = match violation {
            ProtocolError::Binary => 1003,
            ProtocolError::NotUtf8 => 1007,
            ProtocolError::TooLarge => 1009,
            _ => 1002,
        };
        assert_eq!(violation.close_code(), code);
        let reason = violation.to_string();
        let answer = encode_close(code, &reason);
        assert_eq!(&answer[4..], reason.as_bytes());
    }
}

#[test]
fn the_items_before_a_violation_are_given_first() {
    let mut bytes = stream(&[(true, TEXT, b"kept"), (true, PING, b"too")]);
    bytes.push(0xff);
    let Outcome { items, end } = check(&bytes, 1);
    assert_eq!(items, [text("kept"), Message::Ping(b"too".into())]);
    assert_eq!(end, End::Broken(ProtocolError::ReservedBits));
}

#[test]
fn a_close_code_is_taken_exactly_if_it_may_be_sent() {
    for code in 0..=u16::MAX {
        let may_be_sent = match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => true,
            0..=2999 | 5000.. => false,
        };
        let expected = if may_be_sent {
            (vec![Message::Close(Some(code))], End::Closed)
        } else {
            (vec![], End::Broken(ProtocolError::BadClose))
        };
        let outcome = read(&stream(&[(true, CLOSE, &code.to_be_bytes())]), |rest| rest);
        assert_eq!((outcome.items, outcome.end), expected, "{code}");
    }
}

#[test]
fn what_follows_a_close_is_not_read() {
    let mut bytes = stream(&[(true, CLOSE, b""), (true, TEXT, b"one more thing")]);
    let mut input = &mut bytes[..];
    let mut decoder = Decoder::new();
    assert_eq!(decoder.next(&mut input), Ok(Some(Message::Close(None))));
    assert_eq!(input.len(), 6 + "one more thing".len());
    assert!(decoder.is_idle());
}

#[test]
fn a_stream_means_the_same_wherever_it_is_cut() {
    let euro = "€".as_bytes();
    let long = "wörter ".repeat(40);
    let bytes = stream(&[
        (true, TEXT, b"{}"),
        (false, TEXT, &euro[..1]),
        (true, PING, b"are you there"),
        (false, CONTINUATION, &euro[1..2]),
        (false, CONTINUATION, b""),
        (true, PONG, b""),
        (true, CONTINUATION, &euro[2..]),
        (true, TEXT, b""),
        (true, TEXT, &[b'x'; 125]),
        (true, TEXT, &[b'x'; 126]),
        (true, TEXT, long.as_bytes()),
        (true, CLOSE, b"\x0f\xa0bye"),
    ]);
    let whole = check(&bytes, 1);
    let expected = [
        text("{}"),
        Message::Ping(b"are you there".into()),
        Message::Pong,
        text("€"),
        text(""),
        text(&"x".repeat(125)),
        text(&"x".repeat(126)),
        text(&long),
        Message::Close(Some(4000)),
    ];
    assert_eq!(whole.items, expected);
    for first in 1..bytes.len() {
        assert_eq!(whole, in_pieces(&bytes, &[first]), "cut at {first}");
    }
    for first in 1..60 {
        for second in 1..60 {
            assert_eq!(whole, in_pieces(&bytes, &[first, second]));
        }
    }
}

fn in_pieces(bytes: &[u8], pieces: &[usize]) -> Outcome {
    let mut pieces = pieces.iter();
    read(bytes, |rest| pieces.next().copied().unwrap_or(rest))
}

#[test]
fn a_message_of_the_limit_is_taken_whole_and_in_single_bytes() {
    let full = "y".repeat(MESSAGE_BYTES_MAX);
    let whole = stream(&[(true, TEXT, full.as_bytes())]);
    assert_eq!(check(&whole, 1).items, [text(&full)]);

    let mut fragments = stream(&[(false, TEXT, b"y")]);
    for _ in 2..MESSAGE_BYTES_MAX {
        fragments.extend(stream(&[(false, CONTINUATION, b"y")]));
    }
    fragments.extend(stream(&[(true, CONTINUATION, b"y")]));
    assert_eq!(check(&fragments, 1).items, [text(&full)]);
}

#[test]
fn a_whole_frame_is_lent_out_of_the_read_buffer() {
    let mut bytes = stream(&[(true, TEXT, "größer".as_bytes()), (true, PING, b"now")]);
    let mut input = &mut bytes[..];
    let mut decoder = Decoder::new();
    let item = decoder.next(&mut input).unwrap().unwrap();
    assert!(matches!(item, Message::Text(Cow::Borrowed("größer"))));
    let item = decoder.next(&mut input).unwrap().unwrap();
    assert!(matches!(item, Message::Ping(Cow::Borrowed(b"now"))));
    assert_eq!(decoder.next(&mut input), Ok(None));
    assert!(decoder.is_idle());
}

#[test]
fn a_connection_between_items_costs_one_pointer() {
    assert_eq!(size_of::<Decoder>(), size_of::<usize>());
    assert_eq!(Decoder::new().held_bytes(), 0);
}

#[test]
fn a_client_that_announces_much_and_sends_little_costs_little() {
    let mut announced = stream(&[(true, TEXT, &vec![b'x'; MESSAGE_BYTES_MAX])]);
    let mut decoder = Decoder::new();
    assert_eq!(decoder.next(&mut &mut announced[..14]), Ok(None));
    assert!(decoder.held_bytes() <= 128, "{}", decoder.held_bytes());
    assert_eq!(decoder.next(&mut &mut announced[14..114]), Ok(None));
    assert!(decoder.held_bytes() <= 228, "{}", decoder.held_bytes());
}

#[test]
fn memory_for_an_unfinished_message_is_given_back_with_its_last_byte() {
    let mut bytes = stream(&[(false, TEXT, &[b'x'; 900]), (true, CONTINUATION, b"yz")]);
    let (most, last) = bytes.split_last_chunk_mut::<1>().unwrap();
    let mut decoder = Decoder::new();
    assert_eq!(decoder.next(&mut &mut *most), Ok(None));
    assert!(decoder.held_bytes() > 900);
    let item = decoder.next(&mut &mut last[..]).unwrap().unwrap();
    assert!(matches!(item, Message::Text(text) if text.len() == 902));
    assert_eq!(decoder.held_bytes(), 0);
}

#[test]
fn a_text_frame_is_the_same_whatever_was_guessed_about_its_length() {
    for length in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
        let payload = vec![b'x'; length];
        let expected = [&text_header(length)[..], &payload].concat();
        assert_eq!(encode_text(&payload), expected);
        for hint in [0, length / 2, length + 100] {
            let written = encode_text_with(hint, |frame| frame.extend_from_slice(&payload));
            assert_eq!(written, expected);
        }
    }
}

#[test]
fn control_frames_never_pass_their_limit_and_a_reason_is_cut_between_characters() {
    let long = "ü".repeat(100);
    assert_eq!(encode_ping(long.as_bytes()).len(), 2 + CONTROL_BYTES_MAX);
    assert_eq!(encode_pong(b"same"), &b"\x8a\x04same"[..]);
    let close = encode_close(4508, &long);
    assert_eq!(close[..4], [0x88, 124, 0x11, 0x9c]);
    assert_eq!(&close[4..], "ü".repeat(61).as_bytes());
}
