//! Records are read back as written, from memory and from files of several processes.

use std::fs::File;

use super::recording::Observation;
use super::*;

fn event<'a>(seq: u64, prev: u64, content: &'a str) -> Event<'a> {
    let text = |text: &'a str| Some(Text(text.into()));
    Event {
        kind: EventKind::Message,
        seq: Seq::new(seq).unwrap(),
        prev: Seq::new(prev),
        sender_id: Text("u1".into()),
        user_id: None,
        message_id: text("m"),
        client_msg_id: text("c"),
        content: text(content),
        emoji: None,
        removed: false,
        deleted: false,
    }
}

fn write_some(recorder: &Recorder, deliveries: u64) {
    let room = RoomId::new("r1").unwrap();
    for user in ["u1", "u2", "u3"] {
        let log = recorder.connection(5, &UserId::new(user).unwrap(), "ws://a");
        log.subscribed(6, &room, None, Seq::ZERO, true);
        for seq in 1..=deliveries {
            log.delivered(10 + seq, &room, &event(seq, seq - 1, "hello"));
        }
        log.unsubscribed(8, &room);
        let page = Page {
            asked_us: 20,
            room_id: &room,
            asked: PageQuery::Before(Seq::MAX),
            head: Seq::new(9).unwrap(),
            has_more_before: false,
            has_more_after: true,
        };
        log.page(21, &page, &[event(1, 0, "hello"), event(2, 1, "hello")]);
        log.refused(22, &room, "c", ErrorCode::Unconfirmed);
        log.ended(30, Disconnect::Closed(4508));
    }
}

fn assert_holds(recording: &Recording, processes: usize, deliveries: usize) {
    assert_eq!(recording.connections.len(), 3 * processes);
    assert_eq!(recording.deliveries(), (3 * processes * deliveries) as u64);
    for (number, connection) in (0u32..).zip(&recording.connections) {
        assert_eq!(connection.ended, Some((30, Disconnect::Closed(4508))));
        assert_eq!(recording.name(connection.gateway), "ws://a");
        let mine = recording
            .records
            .iter()
            .filter(|record| record.connection == number);
        let seen: Vec<_> = mine
            .map(|record| (record.at_us, recording.saw(record)))
            .collect();
        assert_eq!(seen.len(), deliveries + 2);
        assert!(matches!(
            seen[0],
            (
                6,
                Observation::Subscribed {
                    after: None,
                    head: 0,
                    recovered: true
                }
            )
        ));
        assert!(matches!(
            seen[deliveries + 1],
            (8, Observation::Unsubscribed)
        ));
        for (seq, (at_us, saw)) in (1..).zip(&seen[1..=deliveries]) {
            let Observation::Delivered(_, view) = saw else {
                panic!("{saw:?} instead of the delivery of {seq}");
            };
            assert_eq!((*at_us, view.seq, view.prev), (10 + seq, seq, seq - 1));
            assert_eq!(view.content, fingerprint("hello"));
            assert_eq!(recording.name(view.sender), "u1");
        }
    }
    let page = &recording.pages[0];
    assert_eq!((page.asked_us, page.at_us, page.head), (20, 21, 9));
    assert_eq!((page.has_more_before, page.has_more_after), (false, true));
    assert_eq!(page.asked, PageQuery::Before(Seq::MAX));
    assert_eq!(page.events.len(), 2);
}

#[test]
fn what_is_written_is_read_back_in_the_order_of_each_connection() {
    let recorder = Recorder::in_memory();
    write_some(&recorder, 3);
    assert_holds(&recorder.recording().unwrap(), 1, 3);
}

#[test]
fn a_file_is_read_back_and_files_of_several_processes_make_one_recording() {
    let directory = std::env::temp_dir();
    let path =
        |number: u32| directory.join(format!("roomcast-record-{}-{number}", std::process::id()));
    let mut all = Recording::default();
    for number in 0..2 {
        let recorder = Recorder::in_file(&path(number)).unwrap();
        write_some(&recorder, 50_000);
        let mut copy = Vec::new();
        recorder.write_to(&mut copy).unwrap();
        assert_eq!(copy, std::fs::read(path(number)).unwrap());
        all.absorb(File::open(path(number)).unwrap()).unwrap();
        std::fs::remove_file(path(number)).unwrap();
    }
    assert_holds(&all, 2, 50_000);
}

#[test]
fn a_delivery_takes_about_ten_bytes() {
    let recorder = Recorder::in_memory();
    let room = RoomId::new("r1").unwrap();
    let user = UserId::new("u1").unwrap();
    let logs: Vec<_> = (0..1000)
        .map(|_| recorder.connection(0, &user, "ws://a"))
        .collect();
    for seq in 1..=100 {
        for log in &logs {
            log.delivered(1_000_000 * seq, &room, &event(seq, seq - 1, "hello"));
        }
    }
    let mut written = Vec::new();
    recorder.write_to(&mut written).unwrap();
    assert!(written.len() < 10 * 100_000, "{} bytes", written.len());
}

#[test]
fn a_recording_that_was_cut_short_or_changed_is_refused() {
    let recorder = Recorder::in_memory();
    write_some(&recorder, 3);
    let mut written = Vec::new();
    recorder.write_to(&mut written).unwrap();
    let mut chunk_ends = vec![layout::MAGIC.len()];
    while *chunk_ends.last().unwrap() < written.len() {
        let header = &written[*chunk_ends.last().unwrap()..][4..8];
        let length = u32::from_le_bytes(header.try_into().unwrap()) as usize;
        chunk_ends.push(chunk_ends.last().unwrap() + 8 + length);
    }
    for length in 0..written.len() {
        let read = Recording::default().absorb(&written[..length]);
        assert_eq!(
            read.is_ok(),
            chunk_ends.contains(&length),
            "cut at {length}"
        );
    }
    written[0] ^= 1;
    assert!(Recording::default().absorb(&*written).is_err());
}
