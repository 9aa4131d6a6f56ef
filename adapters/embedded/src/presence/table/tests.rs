//! The rules of presence, at exact moments.

use super::*;
use PresenceStatus::{Away, Offline, Online};

fn lease(user: &str, connection: &str, status: PresenceStatus) -> Lease {
    Lease {
        user_id: UserId::new(user).unwrap(),
        connection_id: ConnectionId::new(connection).unwrap(),
        status,
        gateway: "gateway".into(),
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
}

const TTL: Duration = Duration::from_secs(90);

fn told(table: &mut Table, now: Timestamp) -> Vec<(String, PresenceStatus, u64)> {
    let mut told: Vec<_> = table
        .sweep(now)
        .into_iter()
        .map(|transition| {
            let Presence {
                user_id, status, ..
            } = transition.presence;
            (user_id.to_string(), status, transition.version)
        })
        .collect();
    told.sort();
    told
}

#[test]
fn a_lease_ends_at_its_deadline_and_not_before() {
    let (mut table, ann) = (Table::default(), UserId::new("ann").unwrap());
    table.touch(&lease("ann", "desk", Online), TTL, at(0));
    let last = Timestamp::from_millis(at(90).as_millis() - 1);
    assert_eq!(table.read(&ann, last).status, Online);
    assert_eq!(table.read(&ann, at(90)).status, Offline);
    assert_eq!(table.online_users(at(90)), 0);
}

#[test]
fn each_change_is_reported_once_with_the_next_version() {
    let mut table = Table::default();
    table.touch(&lease("ann", "desk", Online), TTL, at(0));
    table.touch(&lease("bob", "phone", Away), TTL, at(0));
    let first = [("ann".to_owned(), Online, 1), ("bob".to_owned(), Away, 1)];
    assert_eq!(told(&mut table, at(1)), first);
    assert_eq!(told(&mut table, at(2)), []);
    table.touch(&lease("bob", "phone", Online), TTL, at(3));
    assert_eq!(told(&mut table, at(4)), [("bob".to_owned(), Online, 2)]);
    assert_eq!(told(&mut table, at(91)), [("ann".to_owned(), Offline, 2)]);
    assert_eq!(told(&mut table, at(93)), [("bob".to_owned(), Offline, 3)]);
}

#[test]
fn change_undone_before_a_sweep_is_not_reported() {
    let mut table = Table::default();
    table.touch(&lease("ann", "desk", Online), TTL, at(0));
    assert_eq!(told(&mut table, at(100)), []);
    table.touch(&lease("ann", "desk", Online), TTL, at(100));
    told(&mut table, at(101));
    table.touch(&lease("ann", "phone", Online), TTL, at(200));
    assert_eq!(
        told(&mut table, at(201)),
        [],
        "gone and back between two sweeps"
    );
}

#[test]
fn a_lease_of_no_time_and_a_release_without_grace_end_at_once() {
    let (mut table, ann) = (Table::default(), UserId::new("ann").unwrap());
    let desk = ConnectionId::new("desk").unwrap();
    table.touch(&lease("ann", "desk", Online), Duration::ZERO, at(0));
    assert_eq!(table.read(&ann, at(0)).status, Offline);
    table.touch(&lease("ann", "desk", Online), TTL, at(1));
    table.release(&ann, &desk, Duration::ZERO, at(2));
    assert_eq!(table.read(&ann, at(2)).status, Offline);
}

#[test]
fn the_longest_gone_are_forgotten_past_the_bound() {
    let mut table = Table::default();
    for number in 0..=OFFLINE_CAPACITY as u64 {
        let connection = lease(&format!("u{number}"), "desk", Online);
        table.touch(&connection, Duration::from_millis(1), at(number));
    }
    let now = at(OFFLINE_CAPACITY as u64 + 1);
    assert_eq!(told(&mut table, now), []);
    assert_eq!(table.users.len(), OFFLINE_CAPACITY);
    assert_eq!(table.read(&UserId::new("u0").unwrap(), now).last_seen, None);
    assert!(
        table
            .read(&UserId::new("u1").unwrap(), now)
            .last_seen
            .is_some()
    );
}
