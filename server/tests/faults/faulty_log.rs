//! A log that refuses, does not confirm, is unreachable, and delivers live events badly.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use roomcast_ports::event_log::{Append, Appended, EventLog, LogError};
use roomcast_ports::live::{LiveEvent, LiveSubscription};
use roomcast_ports::wrapper::EventLogWrapper;
use roomcast_protocol::{EventId, RoomId, Seq, StoredEvent};
use tokio::sync::{broadcast, oneshot};

use crate::rng::Rng;

/// What becomes of appends.
#[derive(Debug, Clone)]
pub(crate) enum Appends {
    Well,
    /// Refused, nothing stored.
    Unavailable,
    /// The next one is refused, nothing stored.
    UnavailableOnce,
    /// Not confirmed, and not stored.
    Lost,
    /// Not confirmed, though stored.
    Kept,
    /// Not confirmed, though stored, and nothing of the log can be seen from then on.
    KeptUnseen,
    /// Taken, after so long.
    Slow(Duration),
    /// Stored, and never answered.
    Unanswered,
    /// One of the first four, by rng.
    Mixed(Rng),
}

/// What becomes of live events.
#[derive(Debug, Clone)]
pub(crate) enum Telling {
    Well,
    /// No live event and no lag report arrives.
    Silent,
    /// One in ten each is dropped, duplicated, reordered, redelivered, or delayed.
    Badly(Rng),
}

/// A read that waits.
struct Stall {
    reached: SyncSender<()>,
    release: oneshot::Receiver<()>,
}

impl Stall {
    /// Fails when the test drops the other end instead of releasing it.
    async fn wait(self) -> Result<(), LogError> {
        let _ = self.reached.try_send(());
        self.release.await.map_err(|_| away())
    }
}

pub(crate) struct FaultyLog {
    inner: Arc<dyn EventLog>,
    appends: Mutex<Appends>,
    telling: Mutex<Telling>,
    /// Nothing of it can be read.
    out_of_sight: AtomicBool,
    /// It no longer knows what it was given.
    forgets: AtomicBool,
    /// Recognises an event id for this long after its first append, and not longer.
    window: Mutex<Option<Duration>>,
    first_appends: Mutex<HashMap<(RoomId, EventId), Instant>>,
    /// Nothing that is read of it is answered.
    silent: AtomicBool,
    /// The next append waits for this, and is refused then.
    refusal: Mutex<Option<oneshot::Receiver<()>>>,
    /// It holds only events after this seq.
    dropped: AtomicU64,
    /// How often the heads of rooms were read.
    head_comparisons: AtomicUsize,
    stall: Mutex<Option<Stall>>,
    head_stall: Mutex<Option<Stall>>,
    live: broadcast::Sender<LiveEvent>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn away() -> LogError {
    LogError::Unavailable("the test says so".into())
}

const UNCONFIRMED: LogError = LogError::Unconfirmed(Duration::from_secs(10));

impl FaultyLog {
    pub(crate) fn new(inner: Arc<dyn EventLog>) -> Self {
        Self {
            inner,
            appends: Mutex::new(Appends::Well),
            telling: Mutex::new(Telling::Well),
            out_of_sight: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            refusal: Mutex::new(None),
            forgets: AtomicBool::new(false),
            window: Mutex::new(None),
            first_appends: Mutex::default(),
            dropped: AtomicU64::new(0),
            head_comparisons: AtomicUsize::new(0),
            stall: Mutex::new(None),
            head_stall: Mutex::new(None),
            live: broadcast::channel(65_536).0,
        }
    }

    pub(crate) fn appends(&self, appends: Appends) {
        *lock(&self.appends) = appends;
    }

    pub(crate) fn tells(&self, telling: Telling) {
        *lock(&self.telling) = telling;
    }

    pub(crate) fn out_of_sight(&self, is: bool) {
        self.out_of_sight.store(is, Ordering::SeqCst);
    }

    /// Makes reads hang without end.
    pub(crate) fn silent(&self, is: bool) {
        self.silent.store(is, Ordering::SeqCst);
    }

    /// The next append is refused, not stored, when the sender is used or dropped.
    pub(crate) fn refuse_next_append(&self) -> oneshot::Sender<()> {
        let (sender, refusal) = oneshot::channel();
        *lock(&self.refusal) = Some(refusal);
        sender
    }

    pub(crate) fn forgets(&self, does: bool) {
        self.forgets.store(does, Ordering::SeqCst);
    }

    /// Recognises an event id for `window` after its first append, as a log of servers does.
    pub(crate) fn remembers_for(&self, window: Duration) {
        *lock(&self.window) = Some(window);
    }

    /// Whether an append of this event id now would be stored as a new event.
    fn has_forgotten(&self, append: &Append) -> bool {
        if self.forgets.load(Ordering::SeqCst) {
            return true;
        }
        let Some(window) = *lock(&self.window) else {
            return false;
        };
        let name = (append.event.room_id.clone(), append.event.id.clone());
        let mut first_appends = lock(&self.first_appends);
        let first = first_appends.entry(name).or_insert_with(Instant::now);
        first.elapsed() > window
    }

    /// Drops everything up to `place`, as retention does.
    pub(crate) fn drops_to(&self, place: u64) {
        self.dropped.store(place, Ordering::SeqCst);
    }

    fn dropped(&self) -> Seq {
        Seq::new(self.dropped.load(Ordering::SeqCst)).expect("a place")
    }

    /// An event whose predecessor was dropped has a `prev` of zero.
    fn unlink(&self, event: &mut Arc<StoredEvent>) {
        if event.prev <= self.dropped() {
            Arc::make_mut(event).prev = Seq::ZERO;
        }
    }

    fn held(&self, head: Seq) -> Seq {
        if head > self.dropped() {
            head
        } else {
            Seq::ZERO
        }
    }

    pub(crate) fn head_comparisons(&self) -> usize {
        self.head_comparisons.load(Ordering::SeqCst)
    }

    /// Publishes a live event of the test to subscribers.
    pub(crate) fn tell(&self, live: LiveEvent) {
        self.live.send(live).expect("somebody listens");
    }

    /// The next read waits with its answer after it has signalled `reached`; it fails when the sender is
    /// dropped unused.
    pub(crate) fn stall_next_read(&self, reached: SyncSender<()>) -> oneshot::Sender<()> {
        let (sender, release) = oneshot::channel();
        *lock(&self.stall) = Some(Stall { reached, release });
        sender
    }

    /// The next read of a room's head waits before it starts, after it has signalled `reached`.
    pub(crate) fn stall_next_head(&self, reached: SyncSender<()>) -> oneshot::Sender<()> {
        let (sender, release) = oneshot::channel();
        *lock(&self.head_stall) = Some(Stall { reached, release });
        sender
    }

    /// Forwards the log's live events with the configured faults.
    pub(crate) async fn pass_on(self: Arc<Self>) {
        let mut events = self.inner.subscribe();
        let (mut overtaken, mut told) = (None, Vec::new());
        while let Some(mut live) = events.next().await {
            if let LiveEvent::Event(event) = &mut live {
                self.unlink(event);
            }
            let mood = match &mut *lock(&self.telling) {
                Telling::Well => 9,
                Telling::Silent => continue,
                Telling::Badly(rng) => rng.below(10),
            };
            match mood {
                0 => continue,
                1 => self.told(live.clone()),
                2 => {
                    overtaken = Some(live);
                    continue;
                }
                3 if !told.is_empty() => self.told(told.swap_remove(0)),
                4 => tokio::time::sleep(Duration::from_millis(20)).await,
                5 => told.push(live.clone()),
                _ => {}
            }
            self.told(live);
            if let Some(late) = overtaken.take() {
                self.told(late);
            }
        }
    }

    fn told(&self, live: LiveEvent) {
        // There is no subscriber before the gateway subscribes.
        let _ = self.live.send(live);
    }

    async fn seen(&self) -> Result<(), LogError> {
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.out_of_sight.load(Ordering::SeqCst) {
            return Err(away());
        }
        Ok(())
    }

    fn fate(&self) -> Appends {
        let mut appends = lock(&self.appends);
        match &mut *appends {
            Appends::Mixed(rng) => match rng.below(4) {
                0 => Appends::Unavailable,
                1 => Appends::Lost,
                2 => Appends::Kept,
                _ => Appends::Well,
            },
            Appends::UnavailableOnce => {
                *appends = Appends::Well;
                Appends::Unavailable
            }
            appends => appends.clone(),
        }
    }
}

#[async_trait]
impl EventLogWrapper for FaultyLog {
    fn inner(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.inner)
    }

    fn append(&self, mut append: Append) -> BoxFuture<'static, Result<Appended, LogError>> {
        if self.has_forgotten(&append) {
            // What was stored before under this name is not recognised.
            append.event.id = EventId::generate();
        }
        if let Some(refusal) = lock(&self.refusal).take() {
            return Box::pin(async move {
                let _ = refusal.await;
                Err(away())
            });
        }
        let fate = self.fate();
        match fate {
            Appends::Well | Appends::Mixed(_) | Appends::UnavailableOnce => {
                self.inner.append(append)
            }
            Appends::Slow(after) => {
                let inner = Arc::clone(&self.inner);
                Box::pin(async move {
                    tokio::time::sleep(after).await;
                    inner.append(append).await
                })
            }
            Appends::Unanswered => {
                let stored = self.inner.append(append);
                Box::pin(async move {
                    drop(stored.await);
                    std::future::pending().await
                })
            }
            Appends::Unavailable => Box::pin(async { Err(away()) }),
            Appends::Lost => Box::pin(async { Err(UNCONFIRMED) }),
            Appends::Kept | Appends::KeptUnseen => {
                let stored = self.inner.append(append);
                if matches!(fate, Appends::KeptUnseen) {
                    self.out_of_sight(true);
                }
                Box::pin(async move { stored.await.and(Err(UNCONFIRMED)) })
            }
        }
    }

    async fn ping(&self) -> Result<(), LogError> {
        self.head_comparisons.fetch_add(1, Ordering::SeqCst);
        self.seen().await?;
        self.inner.ping().await
    }

    async fn head(&self, room_id: &RoomId) -> Result<Seq, LogError> {
        self.seen().await?;
        let stall = lock(&self.head_stall).take();
        if let Some(stall) = stall {
            stall.wait().await?;
        }
        let head = self.inner.head(room_id).await?;
        Ok(self.held(head))
    }

    async fn heads(&self, room_ids: &[RoomId]) -> Result<Vec<Seq>, LogError> {
        self.head_comparisons.fetch_add(1, Ordering::SeqCst);
        self.seen().await?;
        let heads = self.inner.heads(room_ids).await?;
        Ok(heads.into_iter().map(|head| self.held(head)).collect())
    }

    async fn read(
        &self,
        room_id: &RoomId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, LogError> {
        self.seen().await?;
        let after = after.max(self.dropped());
        let mut events = self.inner.read(room_id, after, limit).await;
        if let Ok(Some(first)) = events.as_mut().map(|events| events.first_mut()) {
            self.unlink(first);
        }
        let stall = lock(&self.stall).take();
        if let Some(stall) = stall {
            stall.wait().await?;
        }
        events
    }

    fn subscribe(&self) -> LiveSubscription {
        LiveSubscription::new(self.live.subscribe())
    }

    fn dedupe_window(&self) -> Option<Duration> {
        let forgets = self.forgets.load(Ordering::SeqCst);
        (*lock(&self.window)).or(forgets.then_some(Duration::from_secs(120)))
    }
}
