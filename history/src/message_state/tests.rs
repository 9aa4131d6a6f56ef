//! The fold, on logs made from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use roomcast_protocol::{EventId, MessageId, RoomEvent, RoomId, Seq, Timestamp};

use super::*;

/// The next of a row of numbers that looks random and is the same for the same seed (SplitMix64).
fn next(seed: &mut u64) -> usize {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap()
}

fn stored(seq: usize, sender: usize, body: EventBody) -> Arc<StoredEvent> {
    let event = RoomEvent {
        id: EventId::new(&format!("e{seq}")).unwrap(),
        room_id: RoomId::new("r").unwrap(),
        sender_id: UserId::new(&format!("u{sender}")).unwrap(),
        client_message_id: None,
        sent_at: Timestamp::from_millis(seq as u64),
        body,
    };
    let seq = Seq::new(seq as u64).unwrap();
    Arc::new(StoredEvent {
        seq,
        prev: Seq::ZERO,
        event,
    })
}

/// What happens to the message `e1`, and to others.
fn log(seed: &mut u64) -> Vec<Arc<StoredEvent>> {
    let content = |text: usize| Some(format!("c{text}"));
    let message = Message {
        content: content(1),
        reply_to: Some(MessageId::new("e0").unwrap()),
        mentions: vec![UserId::new("u1").unwrap()],
        ..Message::default()
    };
    let mut events = vec![stored(1, 0, EventBody::MessageSent(message))];
    for seq in 2..24 {
        let message_id = MessageId::new(["e1", "e1", "e1", "other"][next(seed) % 4]).unwrap();
        let emoji = ["+", "-", "*"][next(seed) % 3].to_owned();
        let body = match next(seed) % 12 {
            0 | 1 => EventBody::MessageEdited {
                message_id,
                content: content(seq),
            },
            2 if seq > 12 => EventBody::MessageDeleted { message_id },
            3..=5 => EventBody::ReactionChanged {
                message_id,
                emoji,
                removed: true,
            },
            _ => EventBody::ReactionChanged {
                message_id,
                emoji,
                removed: false,
            },
        };
        events.push(stored(seq, next(seed) % 4, body));
    }
    events
}

fn folded(events: &[Arc<StoredEvent>]) -> MessageState {
    continued(from_sent(&events[0], None).unwrap(), &events[1..])
}

fn continued(mut state: MessageState, events: &[Arc<StoredEvent>]) -> MessageState {
    for stored in events {
        apply(&mut state, stored);
    }
    state
}

/// The state, and each emoji with its holders.
fn unordered(mut state: MessageState) -> (MessageState, BTreeMap<String, Vec<UserId>>) {
    let reactions = std::mem::take(&mut state.reactions);
    let holders = reactions.iter().map(|it| {
        let mut ids: Vec<_> = it.holders.iter().map(|(_, id)| id.clone()).collect();
        ids.sort();
        (it.emoji.clone(), ids)
    });
    (state, holders.collect())
}

#[test]
fn the_state_is_the_same_wherever_the_store_ends_and_the_tail_begins() {
    for start in 0..300 {
        let mut seed = start;
        let events = log(&mut seed);
        let whole = folded(&events);
        for split in 1..events.len() {
            let state = continued(folded(&events[..split]), &events[split..]);
            assert_eq!(state, whole, "seed {start}, split {split}");
        }
    }
}

#[test]
fn what_the_store_has_written_of_the_tail_already_changes_nothing() {
    for start in 0..300 {
        let mut seed = start;
        let events = log(&mut seed);
        let whole = unordered(folded(&events));
        for split in 1..events.len() {
            let ahead = split + next(&mut seed) % (events.len() + 1 - split);
            let state = continued(folded(&events[..ahead]), &events[split..]);
            assert_eq!(
                unordered(state),
                whole,
                "seed {start}, split {split}, ahead {ahead}"
            );
        }
    }
}

#[test]
fn nothing_brings_a_deleted_message_back() {
    for start in 0..300 {
        let mut seed = start;
        let mut events = log(&mut seed);
        let message_id = MessageId::new("e1").unwrap();
        let end = EventBody::MessageDeleted {
            message_id: message_id.clone(),
        };
        events.insert(1 + next(&mut seed) % 20, stored(90, 0, end));
        let content = Some("again".to_owned());
        events.push(stored(
            91,
            0,
            EventBody::MessageEdited {
                message_id,
                content,
            },
        ));
        let state = folded(&events);
        assert!(state.is_deleted(), "seed {start}");
        let left = Message {
            reply_to: state.message.reply_to.clone(),
            ..Message::default()
        };
        assert_eq!(state.message, left, "seed {start}");
        assert!(left.reply_to.is_some());
    }
}

#[test]
fn redacted_log_folds_to_the_same_deleted_message() {
    for start in 0..300 {
        let mut seed = start;
        let mut events = log(&mut seed);
        let message_id = MessageId::new("e1").unwrap();
        events.push(stored(
            90,
            0,
            EventBody::MessageDeleted {
                message_id: message_id.clone(),
            },
        ));
        let whole = folded(&events);
        for stored in &mut events {
            if stored.event.message_id().as_ref() == Some(&message_id) {
                Arc::make_mut(stored).event.redact();
            }
        }
        assert_eq!(folded(&events), whole, "seed {start}");
    }
}
