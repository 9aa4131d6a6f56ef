//! What is counted, for how long, and what a crowd of guesses gets.

use std::collections::BTreeMap;

use roomcast_protocol::ErrorCode;

use super::*;

const START_MS: u64 = 1_000_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(START_MS + seconds * 1_000)
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

/// Whether a wrong password was judged.
async fn fails(throttle: &Throttle, name: &str, of: u8, now: Timestamp) -> bool {
    throttle.attempt(name, address(of), now).await.is_ok()
}

async fn failures(throttle: &Throttle, attempts: impl Iterator<Item = (String, u8)>) -> usize {
    let mut judged = 0;
    for (name, of) in attempts {
        judged += usize::from(fails(throttle, &name, of, at(0)).await);
    }
    judged
}

#[tokio::test]
async fn limits_hold_for_a_name_from_an_address_for_an_address_and_for_a_name() {
    let throttle = Throttle::default();
    let one = (0..30).map(|_| ("ana".to_owned(), 1));
    assert_eq!(failures(&throttle, one).await, 10);
    // The same address went on to other names with what was left of its 60.
    let names = (0..80).map(|number| (format!("name-{number}"), 1));
    assert_eq!(failures(&throttle, names).await, 50);
    assert!(throttle.check("ana", address(2), at(0)).is_ok());
    let addresses = (0..200).map(|number| ("ANA".to_owned(), 2 + number / 9));
    assert_eq!(failures(&throttle, addresses).await, 90);
    assert!(throttle.check("ana", address(99), at(0)).is_err());
    assert!(throttle.check("bob", address(99), at(0)).is_ok());
}

#[tokio::test]
async fn refusal_is_the_same_for_right_and_wrong_until_the_minute_is_over() {
    let throttle = Throttle::default();
    for second in 0..10 {
        assert!(fails(&throttle, "ana", 1, at(second)).await);
    }
    let refusal = throttle.check("ana", address(1), at(20)).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::RateLimited);
    assert_eq!(refusal.retry_after_ms, Some(40_000));
    let refused = throttle.attempt("ana", address(1), at(59)).await;
    assert_eq!(refused.err().unwrap().retry_after_ms, Some(1_000));
    assert!(throttle.check("ana", address(1), at(60)).is_ok());
    for _ in 0..10 {
        assert!(fails(&throttle, "ana", 1, at(60)).await);
    }
    assert!(!fails(&throttle, "ana", 1, at(60)).await);
}

#[tokio::test]
async fn right_passwords_count_for_nothing_and_leave_nothing_behind() {
    let throttle = Throttle::default();
    for _ in 0..200 {
        let attempt = throttle.attempt("ana", address(1), at(0)).await;
        attempt.ok().unwrap().forgive();
    }
    assert_eq!(throttle.lock().len(), 0);
}

#[tokio::test]
async fn crowd_of_guesses_at_once_is_judged_no_more_often_than_one_after_the_other() {
    let throttle = Arc::new(Throttle::default());
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..100 {
        let throttle = Arc::clone(&throttle);
        crowd.spawn(async move {
            let attempt = throttle.attempt("ana", address(1), at(0)).await;
            let attempt = attempt.map_err(|_| false)?;
            tokio::task::yield_now().await;
            // Every third one is right.
            if number % 3 == 0 {
                attempt.forgive();
                return Ok(true);
            }
            Err(true)
        });
    }
    let mut results = BTreeMap::new();
    while let Some(result) = crowd.join_next().await {
        *results.entry(result.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(results[&Err(true)], 10, "{results:?}");
}

#[tokio::test]
async fn registrations_of_an_address_are_limited_and_failed_ones_give_their_place_back() {
    let throttle = Throttle::default();
    for _ in 0..50 {
        let failed = throttle.registration(address(1), at(0));
        failed.ok().unwrap().forgive();
    }
    let mut open: Vec<_> = (0..20)
        .map(|_| throttle.registration(address(1), at(0)).ok().unwrap())
        .collect();
    assert!(throttle.registration(address(1), at(0)).is_err());
    open.pop().unwrap().forgive();
    assert!(throttle.registration(address(1), at(0)).is_ok());
    drop(open);
    let refusal = throttle.registration(address(1), at(15)).err().unwrap();
    assert_eq!(refusal.retry_after_ms, Some(45_000));
    assert!(throttle.registration(address(2), at(15)).is_ok());
    assert!(throttle.registration(address(1), at(60)).is_ok());
}

#[tokio::test]
async fn windows_are_bounded_and_the_oldest_go_first() {
    let throttle = Throttle::default();
    let from = |number: u32| IpAddr::from(number.to_be_bytes());
    let count = u32::try_from(THROTTLE_KEYS_MAX).unwrap();
    for number in 0..count + 1_000 {
        let now = Timestamp::from_millis(START_MS + u64::from(number) / 10);
        drop(throttle.registration(from(number), now));
    }
    let windows = throttle.lock();
    assert!(windows.len() <= THROTTLE_KEYS_MAX, "{}", windows.len());
    assert!(!windows.contains_key(&Key::Registrations(from(0))));
    assert!(windows.contains_key(&Key::Registrations(from(count))));
}

#[tokio::test]
async fn windows_that_have_passed_are_forgotten_before_any_other() {
    let throttle = Throttle::default();
    let from = |number: u32| IpAddr::from(number.to_be_bytes());
    let count = u32::try_from(THROTTLE_KEYS_MAX).unwrap();
    for number in 0..count {
        let now = at(if number == 0 { 30 } else { 0 });
        drop(throttle.registration(from(number), now));
    }
    drop(throttle.registration(from(count), at(61)));
    assert_eq!(throttle.lock().len(), 2);
}

#[test]
fn addresses_of_one_ipv6_network_count_as_one() {
    let parse = |text: &str| text.parse::<IpAddr>().unwrap();
    let network = parse("2001:db8:1:2::");
    assert_eq!(counted(parse("2001:db8:1:2:ffff::9")), network);
    assert_ne!(counted(parse("2001:db8:1:3::9")), network);
    assert_eq!(counted(parse("::ffff:192.0.2.1")), address(1));
    assert_eq!(counted(address(1)), address(1));
}
