//! The guarantees of [`EventLog`](roomcast_ports::event_log::EventLog) to backfill.

use roomcast_protocol::RoomId;

use super::event_log::{LogHarness, append_many, consume_any};
use super::within_timeout;

/// A partition read returns what the consumer got, in pages, without a lease and without waiting.
pub async fn a_stretch_is_the_feed_again_and_waits_for_nothing(harness: &mut impl LogHarness) {
    let (log, room_id) = (harness.log(), RoomId::generate());
    append_many(&log, &room_id, 25).await;
    let (fed, partition, _) = consume_any(&log, &room_id, 25, 100).await;
    let (mut again, mut position) = (Vec::new(), 0);
    loop {
        let stretch = log.read_partition(partition, position, 4);
        let stretch = within_timeout("a stretch", stretch)
            .await
            .expect("read a stretch");
        if stretch.events.is_empty() {
            break;
        }
        assert!(stretch.events.len() <= 4 && stretch.position > position);
        position = stretch.position;
        let ours = stretch.events.into_iter();
        again.extend(ours.filter(|stored| stored.event.room_id == room_id));
    }
    assert_eq!(again, fed);
}

/// Everything that was stored within the last moment is after the position before it.
pub async fn what_is_young_is_after_the_position_before_it(harness: &mut impl LogHarness) {
    let (log, room_id) = (harness.log(), RoomId::generate());
    append_many(&log, &room_id, 5).await;
    let (_, partition, _) = consume_any(&log, &room_id, 5, 100).await;
    let age = std::time::Duration::from_secs(60);
    let position = log.position_before(partition, age).await;
    let mut position = position.expect("find a position");
    let mut places = Vec::new();
    loop {
        let stretch = log
            .read_partition(partition, position, 100)
            .await
            .expect("read");
        if stretch.events.is_empty() {
            break;
        }
        position = stretch.position;
        let ours = stretch.events.iter();
        places.extend(
            ours.filter(|it| it.event.room_id == room_id)
                .map(|it| it.seq),
        );
    }
    assert_eq!(places.len(), 5, "{places:?}");
}

/// Makes a test of every promise; `$make` is an async function that gives a harness.
#[macro_export]
macro_rules! partition_read_conformance {
    ($make:ident) => {
        $crate::conformance_tests!(
            $make,
            partition_reads,
            [
                a_stretch_is_the_feed_again_and_waits_for_nothing,
                what_is_young_is_after_the_position_before_it,
            ]
        );
    };
}
