//! Reads of a room's events and head, and of the seq before an event.
//!
//! Copies that follow answer some milliseconds late, so with several copies the one that leads is
//! asked where a room's head is, and what the others give is read until it gets there.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use roomcast_ports::back_off::BackOff;
use roomcast_protocol::event::decode;
use roomcast_protocol::{RoomId, Seq, StoredEvent};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::error;

use crate::direct::{BATCH_MAX, DirectGet, DirectGetRequest, Page, StoredMessage};

use crate::error::NatsError;
use crate::observed_seqs::ObservedSeqs;
use crate::subjects::{self, partition_of};

/// How often a copy that lags is asked, and the delays between.
const LAG_ATTEMPTS_MAX: usize = 7;
const LAG_BACKOFF_MIN: Duration = Duration::from_millis(5);
const LAG_BACKOFF_MAX: Duration = Duration::from_millis(200);
/// How long reading may take altogether.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two questions to a stream that has no leader now.
const LEADER_RETRY_AFTER: Duration = Duration::from_millis(100);
const LEADER_RETRY_MAX: Duration = Duration::from_millis(500);
/// Subjects of one question: the servers answer no more.
const HEADS_MAX: usize = 1_000;

/// Reads the streams.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) direct: DirectGet,
    known: Arc<ObservedSeqs>,
}

impl Reader {
    pub(crate) const fn new(direct: DirectGet, known: Arc<ObservedSeqs>) -> Self {
        Self { direct, known }
    }

    /// The partition has come at least this far.
    pub(crate) fn saw(&self, partition: u16, place: u64) {
        self.known.observe(partition, place);
    }

    /// The room's last seq, 0 if the log holds none of it.
    pub(crate) async fn head(&self, room_id: &RoomId) -> Result<u64, NatsError> {
        let partition = partition_of(room_id);
        let subject = subjects::stored(partition, room_id);
        let question = DirectGetRequest {
            last_by_subj: Some(&subject),
            ..DirectGetRequest::default()
        };
        let last = if self.known.may_lag(partition) {
            self.ask_leader(partition, &question).await?
        } else {
            let subjects = [subject];
            let last = self.last_of(partition, &subjects, 0).await?;
            last.stored.into_iter().next()
        };
        Ok(last.map_or(0, |last| last.place))
    }

    /// The last of each subject at or before `up_to` (0: now), for those that have any.
    async fn last_of(
        &self,
        partition: u16,
        subjects: &[String],
        up_to: u64,
    ) -> Result<Page, NatsError> {
        let question = DirectGetRequest {
            multi_last: subjects,
            up_to_seq: up_to,
            ..DirectGetRequest::default()
        };
        self.direct.batch(partition, question).await
    }

    /// Asks the leader, for as long as one may be being elected.
    async fn ask_leader(
        &self,
        partition: u16,
        question: &DirectGetRequest<'_>,
    ) -> Result<Option<StoredMessage>, NatsError> {
        let until = Instant::now() + READ_TIMEOUT;
        let mut back_off = BackOff::new(LEADER_RETRY_AFTER, LEADER_RETRY_MAX);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let asked =
                self.direct
                    .get_from_leader(partition, question, left.min(Duration::from_secs(1)));
            let asked = asked.await;
            let retry_at = Instant::now() + back_off.next_delay();
            match asked {
                Err(
                    NatsError::NoResponders(_) | NatsError::TimedOut { .. } | NatsError::Refused(_),
                ) if retry_at < until => sleep_until(retry_at).await,
                done => return done,
            }
        }
    }

    /// The heads of many rooms, as any copy has them, but not before what this process has seen.
    pub(crate) async fn heads(&self, room_ids: &[RoomId]) -> Result<Vec<Seq>, NatsError> {
        let mut of_partition: Vec<Vec<usize>> = vec![Vec::new(); subjects::PARTITIONS.into()];
        for (index, room_id) in room_ids.iter().enumerate() {
            of_partition[usize::from(partition_of(room_id))].push(index);
        }
        let mut heads: Vec<u64> = room_ids
            .iter()
            .map(|room_id| self.known.head(room_id))
            .collect();
        let mut questions = Vec::new();
        for (partition, indices) in (0..).zip(&of_partition) {
            for indices in indices.chunks(HEADS_MAX) {
                questions.push(async move {
                    let asked: Vec<String> = indices
                        .iter()
                        .map(|index| subjects::stored(partition, &room_ids[*index]))
                        .collect();
                    let page = self.all_last_of(partition, &asked, 0).await?;
                    Ok::<_, NatsError>((indices, asked, page))
                });
            }
        }
        for (indices, asked, found) in futures_util::future::try_join_all(questions).await? {
            let places: std::collections::HashMap<&str, u64> = found
                .iter()
                .map(|stored| (stored.subject.as_str(), stored.place))
                .collect();
            for (index, subject) in indices.iter().zip(&asked) {
                let found = places.get(subject.as_str()).copied().unwrap_or(0);
                heads[*index] = heads[*index].max(found);
            }
        }
        Ok(heads.into_iter().map(seq).collect())
    }

    /// The last of each at or before `up_to` (0: now), however many answers that takes.
    pub(crate) async fn all_last_of(
        &self,
        partition: u16,
        subjects: &[String],
        up_to: u64,
    ) -> Result<Vec<StoredMessage>, NatsError> {
        let mut found: Vec<StoredMessage> = Vec::new();
        loop {
            let question = DirectGetRequest {
                seq: found.last().map_or(0, |last| last.place + 1),
                multi_last: subjects,
                up_to_seq: up_to,
                ..DirectGetRequest::default()
            };
            let page = self.direct.batch(partition, question).await?;
            let done = page.more == 0 || page.stored.is_empty();
            found.extend(page.stored);
            if done {
                return Ok(found);
            }
        }
    }

    /// The room's events after `after`, at most `limit`.
    pub(crate) async fn read(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, NatsError> {
        let partition = partition_of(room_id);
        let head = self.head(room_id).await?;
        let mut events: Vec<Arc<StoredEvent>> = Vec::new();
        let mut reached = after.get();
        let mut prev = None;
        let mut lag = Lag::default();
        while events.len() < limit && reached < head {
            let wanted = (limit - events.len()).saturating_add(1).min(BATCH_MAX);
            let page = self.page(partition, room_id, reached, wanted).await?;
            let before = reached;
            for stored in page {
                if stored.place > reached {
                    if prev.is_none() {
                        prev = Some(
                            self.before(partition, room_id, after.get(), &stored)
                                .await?,
                        );
                    }
                    reached = stored.place;
                    if let Some(event) = self.decoded(partition, &stored, prev.unwrap_or(0)) {
                        prev = Some(stored.place);
                        events.push(event);
                        if events.len() == limit {
                            return Ok(events);
                        }
                    }
                } else if stored.place == after.get() {
                    prev = Some(after.get());
                }
            }
            if reached > before {
                lag = Lag::default();
                continue;
            }
            counter!("chat_log_stale_reads_total").increment(1);
            if !lag.next_try().await {
                return Err(NatsError::ReplicaLagging);
            }
        }
        Ok(events)
    }

    /// A stretch of the room from `from` on, which is in it if the log holds it.
    async fn page(
        &self,
        partition: u16,
        room_id: &RoomId,
        from: u64,
        wanted: usize,
    ) -> Result<Vec<StoredMessage>, NatsError> {
        let subject = subjects::stored(partition, room_id);
        let question = DirectGetRequest {
            seq: from.max(1),
            batch: Some(wanted),
            next_by_subj: Some(&subject),
            ..DirectGetRequest::default()
        };
        let mut page = self.direct.batch(partition, question.clone()).await?.stored;
        if page.iter().all(|stored| stored.place <= from) && self.known.may_lag(partition) {
            // This copy lags: the leader has the next one for certain.
            let next = DirectGetRequest {
                seq: from + 1,
                batch: None,
                ..question
            };
            let found = self.ask_leader(partition, &next);
            page.extend(found.await?);
        }
        Ok(page)
    }

    /// The seq before the first event read, if that event does not follow the requested seq.
    async fn before(
        &self,
        partition: u16,
        room_id: &RoomId,
        after: u64,
        first: &StoredMessage,
    ) -> Result<u64, NatsError> {
        if after == 0 {
            return Ok(0);
        }
        let subjects = [subjects::stored(partition, room_id)];
        let page = self.last_of(partition, &subjects, first.place - 1).await?;
        Ok(page.stored.first().map_or(0, |before| before.place))
    }

    fn decoded(
        &self,
        partition: u16,
        stored: &StoredMessage,
        prev: u64,
    ) -> Option<Arc<StoredEvent>> {
        self.known.observe(partition, stored.place);
        let (place, prev) = (seq(stored.place), seq(prev));
        event_at(partition, place, prev, &stored.body)
    }

    /// The seq that stands before `place` in the room, which the log is known to hold.
    pub(crate) async fn prev_of(&self, room_id: &RoomId, place: u64) -> Result<u64, NatsError> {
        let partition = partition_of(room_id);
        let subjects = [subjects::stored(partition, room_id)];
        let mut lag = Lag::default();
        while lag.next_try().await {
            let page = self.last_of(partition, &subjects, place - 1).await?;
            let mut before = page.stored.first().map_or(0, |before| before.place);
            if !self.known.may_lag(partition) {
                return Ok(before);
            }
            // The copy may have lagged: what follows must be the seq itself.
            let wanted = BATCH_MAX.min(64);
            for stored in self.page(partition, room_id, before, wanted).await? {
                if stored.place >= place {
                    return Ok(before);
                }
                before = stored.place;
            }
        }
        Err(NatsError::ReplicaLagging)
    }

    /// What stands at `place`, which the log is known to hold.
    pub(crate) async fn at(&self, partition: u16, place: u64) -> Result<StoredMessage, NatsError> {
        let question = DirectGetRequest {
            seq: place,
            ..DirectGetRequest::default()
        };
        let found = self.ask_leader(partition, &question).await?;
        found.ok_or(NatsError::ReplicaLagging)
    }

    /// The first seq that the stream still holds, or the next one that it will.
    pub(crate) async fn is_expired(&self, partition: u16, place: u64) -> Result<bool, NatsError> {
        let question = DirectGetRequest {
            seq: 1,
            batch: Some(1),
            ..DirectGetRequest::default()
        };
        let page = self.direct.batch(partition, question).await?;
        Ok(page.stored.first().is_none_or(|first| first.place > place))
    }
}

/// The event that stands there, if this version can read it.
pub(crate) fn event_at(
    partition: u16,
    place: Seq,
    prev: Seq,
    body: &[u8],
) -> Option<Arc<StoredEvent>> {
    match decode(body) {
        Ok(event) => Some(Arc::new(StoredEvent {
            seq: place,
            prev,
            event,
        })),
        Err(fault) => {
            counter!("chat_log_unreadable_total").increment(1);
            error!(partition, %place, fault = &fault as &dyn std::error::Error, "failed to decode an entry of the log");
            None
        }
    }
}

/// The tries to read what a copy may not have yet.
#[derive(Debug)]
pub(crate) struct Lag {
    tries: usize,
    back_off: BackOff,
}

impl Default for Lag {
    fn default() -> Self {
        Self {
            tries: 0,
            back_off: BackOff::new(LAG_BACKOFF_MIN, LAG_BACKOFF_MAX),
        }
    }
}

impl Lag {
    /// Waits for the next try, the first immediately; whether there is one.
    pub(crate) async fn next_try(&mut self) -> bool {
        self.tries += 1;
        if self.tries > 1 && self.tries <= LAG_ATTEMPTS_MAX {
            sleep(self.back_off.next_delay()).await;
        }
        self.tries <= LAG_ATTEMPTS_MAX
    }
}

/// A stream's number as a seq.
pub(crate) fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap_or(Seq::MAX)
}
