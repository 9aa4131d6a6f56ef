//! Who gets the next turn, and who has to come again.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;

type Taking = Pin<Box<dyn Future<Output = Result<Turn, Full>>>>;

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

/// Asks for a turn, and waits for it as far as that goes without the others.
fn asks(turns: &Arc<Turns>, of: u8) -> Taking {
    let turns = Arc::clone(turns);
    let mut taking: Taking = Box::pin(async move { turns.take(address(of)).await });
    assert!(poll(&mut taking).is_none(), "it has to wait");
    taking
}

fn poll(taking: &mut Taking) -> Option<Result<Turn, Full>> {
    match taking
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

fn refused(taking: &mut Taking) -> bool {
    matches!(poll(taking), Some(Err(Full)))
}

fn granted(taking: &mut Taking) -> Option<Turn> {
    poll(taking)?.ok()
}

#[tokio::test]
async fn addresses_take_turns_however_many_places_one_of_them_holds() {
    let turns = Turns::new(1);
    let mut running = turns.take(address(1)).await.ok();
    let mut crowd: Vec<_> = (0..10).map(|_| asks(&turns, 1)).collect();
    let mut late = asks(&turns, 2);
    running = {
        drop(running);
        granted(&mut crowd[0])
    };
    assert!(running.is_some(), "the first comes first");
    drop(running);
    let running = granted(&mut late);
    assert!(running.is_some(), "then the other address");
    drop(running);
    assert!(granted(&mut crowd[1]).is_some());
}

#[tokio::test]
async fn caller_of_another_address_displaces_the_last_of_the_address_with_the_most_places() {
    let turns = Turns::new(1);
    let running = turns.take(address(1)).await.ok();
    let places = PASSWORD_CHECK_QUEUE_MAX;
    let mut crowd: Vec<_> = (0..places).map(|_| asks(&turns, 1)).collect();
    assert!(turns.take(address(1)).await.is_err(), "its share is used");
    let mut late = asks(&turns, 2);
    assert!(refused(&mut crowd[places - 1]));
    assert_eq!(turns.waiting(), places);
    drop(running);
    let first = granted(&mut crowd[0]);
    assert!(first.is_some());
    drop(first);
    assert!(granted(&mut late).is_some());
}

#[tokio::test]
async fn places_of_as_many_addresses_as_there_are_places_are_not_displaced() {
    let turns = Turns::new(1);
    let _running = turns.take(address(0)).await.ok();
    let places = u8::try_from(PASSWORD_CHECK_QUEUE_MAX).unwrap();
    let mut crowd: Vec<_> = (0..places).map(|of| asks(&turns, of)).collect();
    assert!(turns.take(address(200)).await.is_err());
    assert!(crowd.iter_mut().all(|taking| !refused(taking)));
}

#[tokio::test]
async fn caller_that_goes_away_gives_up_its_place_and_its_turn() {
    let turns = Turns::new(1);
    let running = turns.take(address(1)).await.ok();
    let (gone, granted_and_gone, mut last) = (asks(&turns, 1), asks(&turns, 2), asks(&turns, 3));
    drop(gone);
    assert_eq!(turns.waiting(), 2);
    drop(running);
    assert!(!refused(&mut last));
    drop(granted_and_gone);
    assert!(granted(&mut last).is_some());
    assert_eq!((turns.waiting(), turns.lock().running), (0, 0));
    assert!(turns.lock().queues.is_empty() && turns.lock().order.is_empty());
    assert!(turns.take(address(1)).await.is_ok());
}
