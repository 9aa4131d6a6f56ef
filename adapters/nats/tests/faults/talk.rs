//! A workload during faults, and the check of every acknowledgement it got.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use roomcast_conformance::sample::{event, said, user};
use roomcast_ports::event_log::{Append, Appended, EventLog, LogError};
use roomcast_protocol::limits::APPEND_TIMEOUT;
use roomcast_protocol::{EventBody, EventId, RoomId, Seq};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How many appends each talker has under way.
const PIPELINED: usize = 4;

/// One append, as its talker saw it.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) id: EventId,
    pub(crate) answer: Result<Appended, LogError>,
    pub(crate) asked: Instant,
    pub(crate) answered: Instant,
}

/// The appends of each room, in the order of the calls.
pub(crate) type Story = HashMap<RoomId, Vec<Said>>;

/// One talker for each room, until `stop`.
pub(crate) struct Talk {
    talkers: JoinSet<(RoomId, Vec<Said>)>,
    stop: CancellationToken,
}

impl Talk {
    pub(crate) fn begin(log: &Arc<dyn EventLog>, rooms: &[RoomId]) -> Self {
        let stop = CancellationToken::new();
        let mut talkers = JoinSet::new();
        for room_id in rooms {
            talkers.spawn(talk(Arc::clone(log), room_id.clone(), stop.clone()));
        }
        Self { talkers, stop }
    }

    pub(crate) async fn end(self) -> Story {
        self.stop.cancel();
        self.talkers.join_all().await.into_iter().collect()
    }
}

async fn talk(
    log: Arc<dyn EventLog>,
    room_id: RoomId,
    stop: CancellationToken,
) -> (RoomId, Vec<Said>) {
    let (sender, mut story) = (user(), Vec::new());
    while !stop.is_cancelled() {
        let asked = Instant::now();
        let turn = (0..PIPELINED).map(|number| {
            let event = event(&room_id, &sender, said(&number.to_string()));
            let id = event.id.clone();
            let append = log.append(Append::new(event));
            async move {
                let answer = append.await;
                let answered = Instant::now();
                Said {
                    id,
                    answer,
                    asked,
                    answered,
                }
            }
        });
        story.extend(join_all(turn).await);
        sleep(Duration::from_millis(2)).await;
    }
    (room_id, story)
}

/// The longest time any append took.
pub(crate) fn longest(story: &Story) -> Duration {
    let took = |said: &Said| said.answered - said.asked;
    story.values().flatten().map(took).max().unwrap_or_default()
}

/// Every append was acknowledged, or waited as long as one may; how many of those there were.
pub(crate) fn assert_none_given_up_early(story: &Story) -> usize {
    let mut given_up = 0;
    for said in story.values().flatten() {
        if said.answer.is_err() {
            assert!(said.answered - said.asked >= APPEND_TIMEOUT, "{said:?}");
            given_up += 1;
        }
    }
    given_up
}

/// Every append was acknowledged.
pub(crate) fn assert_all_acknowledged(story: &Story) {
    assert_eq!(assert_none_given_up_early(story), 0, "given up");
}

/// Every acknowledged event is in the log once, at its acknowledged seq and after its `prev`, in the
/// order of the calls; and the log holds no event that was not appended.
pub(crate) async fn assert_true(log: &Arc<dyn EventLog>, story: &Story) {
    for (room_id, said) in story {
        let events = log.read(room_id, Seq::ZERO, 100_000).await.expect("read");
        let mut prev = Seq::ZERO;
        let mut places = BTreeMap::new();
        for stored in &events {
            assert!(matches!(stored.event.body, EventBody::MessageSent(_)));
            assert_eq!(stored.prev, prev, "{room_id}: the chain is broken");
            prev = stored.seq;
            let twice = places.insert(stored.event.id.as_str().to_owned(), stored);
            assert!(
                twice.is_none(),
                "{room_id}: {} is there twice",
                stored.event.id
            );
        }
        let mut last = Seq::ZERO;
        for said in said {
            let stored = places.remove(said.id.as_str());
            match (&said.answer, stored) {
                (Ok(placed), Some(stored)) => {
                    assert_eq!((placed.seq, placed.prev), (stored.seq, stored.prev));
                    assert!(!placed.duplicate, "it was said once");
                    assert!(placed.seq > last, "{room_id}: {} was overtaken", said.id);
                    last = placed.seq;
                }
                (Ok(_), None) => panic!("{room_id}: {} was acknowledged and is lost", said.id),
                (Err(LogError::Unavailable(_)), Some(_)) => {
                    panic!("{room_id}: {} was said not to be stored, and is", said.id)
                }
                (Err(_), _) => {}
            }
        }
        assert!(places.is_empty(), "{room_id}: nobody said {places:?}");
    }
}
