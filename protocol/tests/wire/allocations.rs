//! What reading and writing cost, counted by an allocator that counts.

use std::hint::black_box;

use allocation_counter::measure;
use roomcast_protocol::{ParsedFrame, Seq, StoredEvent};

use crate::cases;
use crate::random::Random;

fn allocations(of: impl FnOnce()) -> u64 {
    measure(of).count_total
}

#[test]
fn reading_a_frame_without_escapes_or_lists_allocates_nothing() {
    for case in cases::client::cases() {
        let (reference, frame) = &case.value;
        let text = frame.to_json(*reference);
        if text.contains('\\') || text.contains('[') {
            continue;
        }
        let count = allocations(|| drop(black_box(ParsedFrame::parse(black_box(&text)))));
        assert_eq!(count, 0, "{text}");
    }
}

#[test]
fn reading_a_list_of_ids_allocates_the_list_and_not_the_ids() {
    let mentions = |count: usize| {
        let ids = vec![r#""u-ben""#; count].join(",");
        let text = format!(
            r#"{{"type":"SEND_MESSAGE","roomId":"R88","content":"hello","mentions":[{ids}]}}"#
        );
        allocations(|| drop(black_box(ParsedFrame::parse(black_box(&text)))))
    };
    // A list that grows does so by doubling.
    assert!(mentions(50) <= 6, "{}", mentions(50));
}

#[test]
fn writing_an_event_frame_costs_one_allocation() {
    let of = |stored: &StoredEvent| {
        allocations(|| {
            drop(black_box(black_box(stored).frame().to_json()));
        })
    };
    for case in cases::events::cases() {
        let stored = StoredEvent {
            seq: Seq::MAX,
            prev: Seq::ZERO,
            event: case.value,
        };
        assert_eq!(of(&stored), 1, "{stored:?}");
    }
    for seed in 0..500 {
        let stored = Random::new(seed).stored_event();
        assert_eq!(of(&stored), 1, "seed {seed}: {stored:?}");
    }
}

#[test]
fn the_buffer_of_a_frame_has_no_byte_too_many() {
    for seed in 0..500 {
        let stored = Random::new(seed).stored_event();
        let json = stored.frame().to_json();
        assert_eq!(json.len(), json.capacity(), "seed {seed}");
    }
}
