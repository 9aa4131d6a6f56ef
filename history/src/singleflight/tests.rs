//! Who shares whose read.

use std::sync::atomic::{AtomicUsize, Ordering};

use roomcast_protocol::Seq;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::*;

/// A source that answers when it is let, with how often it has been asked.
struct Source {
    asked: AtomicUsize,
    answers: Semaphore,
}

impl Source {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            asked: AtomicUsize::new(0),
            answers: Semaphore::new(0),
        })
    }

    async fn read(&self) -> Result<usize, ReadError> {
        let asked = 1 + self.asked.fetch_add(1, Ordering::SeqCst);
        self.answers.acquire().await.unwrap().forget();
        Ok(asked)
    }
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_thousand_who_ask_while_one_reads_share_one_more_read() {
    let flights: Arc<SingleFlight<u8, usize>> = Arc::default();
    let source = Source::new();
    let tracker = TaskTracker::new();
    let ask = || {
        let (flights, source) = (Arc::clone(&flights), Arc::clone(&source));
        tracker.spawn(async move { flights.join(1, || source.read()).await.unwrap() })
    };
    let first = ask();
    until(|| source.asked.load(Ordering::SeqCst) == 1).await;
    let others: Vec<_> = (0..1_000).map(|_| ask()).collect();
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
    source.answers.add_permits(2);
    assert_eq!(first.await.unwrap(), 1);
    for other in others {
        assert_eq!(
            other.await.unwrap(),
            2,
            "nobody is given a read from before they asked"
        );
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 2);
    assert!(
        flights.under_way.lock().is_empty(),
        "nothing is kept when all have landed"
    );
}

#[tokio::test]
async fn cancelled_caller_leaves_no_other_caller_waiting() {
    let flights: Arc<SingleFlight<u8, usize>> = Arc::default();
    let source = Source::new();
    let tracker = TaskTracker::new();
    let ask = || {
        let (flights, source) = (Arc::clone(&flights), Arc::clone(&source));
        tracker.spawn(async move { flights.join(1, || source.read()).await.unwrap() })
    };
    let (first, second) = (ask(), ask());
    until(|| source.asked.load(Ordering::SeqCst) == 1).await;
    let third = ask();
    tokio::task::yield_now().await;
    first.abort();
    source.answers.add_permits(3);
    second.await.unwrap();
    third.await.unwrap();
    assert!(flights.under_way.lock().is_empty());
}

#[tokio::test]
async fn a_failure_is_shared_and_keeps_its_kind() {
    let flights: SingleFlight<u8, usize> = SingleFlight::default();
    let fails = || async {
        tokio::task::yield_now().await;
        Err(ReadError::Store(StoreError::Corrupted("a bad row".into())))
    };
    let joined = tokio::join!(flights.join(1, fails), flights.join(1, fails));
    for result in [joined.0, joined.1] {
        assert!(matches!(
            result,
            Err(ReadError::Store(StoreError::Corrupted(_)))
        ));
    }
    let moved = || async { Err(ReadError::Log(LogError::HeadMismatch { head: Seq::ZERO })) };
    assert!(matches!(
        flights.join(1, moved).await,
        Err(ReadError::Log(_))
    ));
}
