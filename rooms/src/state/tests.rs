//! The fold, on logs made from a seed.

use roomcast_protocol::{EventId, RoomId, RoomKind, Timestamp, Visibility};

use super::*;

/// The next of a row of numbers that looks random and is the same for the same seed (SplitMix64).
fn next(seed: &mut u64) -> usize {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap()
}

fn user(number: usize) -> UserId {
    UserId::new(&format!("u{number}")).unwrap()
}

fn users() -> impl Iterator<Item = UserId> {
    (0..6).map(user)
}

fn stored(seq: u64, body: EventBody) -> Arc<StoredEvent> {
    let event = RoomEvent {
        id: EventId::new(&format!("e{seq}")).unwrap(),
        room_id: RoomId::new("r").unwrap(),
        sender_id: user(0),
        client_message_id: None,
        sent_at: Timestamp::from_millis(seq),
        body,
    };
    let (seq, prev) = (Seq::new(seq).unwrap(), Seq::new(seq - 1).unwrap());
    Arc::new(StoredEvent { seq, prev, event })
}

/// A log in which everything that was not allowed is left out, as verbs leave it out.
fn log(seed: &mut u64) -> Vec<Arc<StoredEvent>> {
    use MemberRole::{Admin, Member, Owner};
    let (kind, visibility) = (RoomKind::Group, Some(Visibility::Private));
    let founding = Some(RoomCreation {
        kind,
        visibility,
        name: None,
    });
    let first = EventBody::MemberJoined {
        user_id: user(0),
        role: Owner,
        founding,
    };
    let mut events = vec![stored(1, first)];
    let mut state = RoomSnapshot {
        from_start: true,
        ..RoomSnapshot::default()
    };
    state.apply_all(&events);
    for seq in 2..30 {
        let user_id = user(next(seed) % 6);
        let role = [Member, Admin, Owner][next(seed) % 3];
        let body = match (state.role(&user_id), next(seed) % 8) {
            (_, 0) => EventBody::RoomChanged(RoomChange {
                name: Some(seq.to_string()),
                ..RoomChange::default()
            }),
            (None, 1) => EventBody::MembersAdded {
                user_ids: vec![user_id],
                member_count: 0,
            },
            (None, _) => EventBody::MemberJoined {
                user_id,
                role,
                founding: None,
            },
            (Some(_), 1 | 2) => EventBody::MemberChanged { user_id, role },
            (Some(was), 3..=5) => EventBody::MemberLeft { user_id, role: was },
            (Some(_), 6) if seq > 25 => EventBody::RoomDeleted,
            _ => EventBody::MessageSent(roomcast_protocol::event::Message::default()),
        };
        events.push(stored(seq, body));
        state.apply_all(&events[events.len() - 1..]);
    }
    events
}

/// The state as a store gives it: the roles of all members, and the counts that go with them.
fn snapshot(events: &[Arc<StoredEvent>]) -> RoomSnapshot {
    let mut state = RoomSnapshot {
        from_start: true,
        ..RoomSnapshot::default()
    };
    state.apply_all(events);
    for user_id in users() {
        state.roles.entry(user_id).or_insert(None);
    }
    state.from_start = false;
    state
}

#[test]
fn a_snapshot_with_the_rest_of_the_log_is_the_state_wherever_it_is_split_and_however_far_ahead() {
    for start in 0..200 {
        let mut seed = start;
        let events = log(&mut seed);
        let whole = snapshot(&events);
        for complete in 1..=events.len() {
            let ahead = complete + next(&mut seed) % (events.len() + 1 - complete);
            let mut state = snapshot(&events[..ahead]);
            state.apply_all(&events[complete..]);
            assert_eq!(
                state, whole,
                "seed {start}, complete {complete}, ahead {ahead}"
            );
        }
    }
}

#[test]
fn counts_are_those_of_the_members() {
    for start in 0..200 {
        let mut seed = start;
        let state = snapshot(&log(&mut seed));
        let roles: Vec<_> = state.roles.values().flatten().collect();
        let room = state.room.as_ref().unwrap();
        assert_eq!(room.member_count, roles.len() as u64, "seed {start}");
        let owners = roles
            .iter()
            .filter(|role| ***role == MemberRole::Owner)
            .count();
        assert_eq!(state.owners, owners as u64, "seed {start}");
    }
}

#[test]
fn nothing_happens_after_the_end() {
    let mut seed = 1;
    let mut events = log(&mut seed);
    events.push(stored(30, EventBody::RoomDeleted));
    let mut state = snapshot(&events);
    let ended = state.clone();
    let (user_id, role) = (user(9), MemberRole::Owner);
    state.apply(&stored(
        31,
        EventBody::MemberJoined {
            user_id,
            role,
            founding: None,
        },
    ));
    assert_eq!(state.open(), None);
    assert_eq!(state.role(&user(0)), None);
    assert_eq!((state.room, state.owners), (ended.room, ended.owners));
}
