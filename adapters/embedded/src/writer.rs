//! The writer thread of a database: group commit, one transaction and one flush for many requests.
//!
//! Requests that queue while the thread waits for the disk go into the next transaction, so they share a
//! flush. No request is answered before it. A transaction that
//! fails is rolled back, and each of its requests gets the error; the thread continues with the next.

mod call;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use roomcast_ports::BoxError;
use roomcast_protocol::{RoomId, UserId};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

pub(crate) use call::{WriteRequest, call};

/// Tasks that wait at most; one more is refused.
const QUEUE_MAX: usize = 8_192;
/// Tasks that share a transaction at most.
const BATCH_MAX: usize = 512;

/// Why something was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    /// More waits than the bound; nothing was written.
    #[error("too much waits to be written")]
    Full,
    /// The directory has been closed; nothing was written.
    #[error("the data directory has been closed")]
    Closed,
    /// The transaction was rolled back; nothing was written.
    #[error("write the transaction")]
    RolledBack(#[source] Arc<rusqlite::Error>),
    /// It waited behind a task that failed, and would have overtaken its repetition.
    #[error("something before it was not written")]
    Behind,
    /// The thread has waited so long for one transaction.
    #[error("the disk has not answered for {0:?}")]
    Stalled(Duration),
    /// The disk did not confirm what it was given.
    #[error("the disk confirmed nothing within {0:?}")]
    Unconfirmed(Duration),
}

impl Failure {
    /// The failure as a port's cause.
    pub(crate) fn boxed(self) -> BoxError {
        Box::new(self)
    }
}

/// A part of a transaction.
pub(crate) trait Task: Send + 'static {
    /// What the thread knows without asking the database.
    type Memory: WriterState;

    /// Writes within the open transaction. May be called again after a rollback.
    fn apply(&mut self, connection: &Connection, memory: &mut Self::Memory)
    -> rusqlite::Result<()>;

    /// Called once the transaction is as durable as the database guarantees.
    fn committed(self, memory: &mut Self::Memory);

    /// Called when it failed.
    fn failed(self, failure: Failure);

    /// Whose tasks must not be written once an earlier one of theirs has failed and they were already
    /// waiting: a sender in a room.
    fn line(&self) -> Option<Line> {
        None
    }
}

/// A sender in a room.
pub(crate) type Line = (RoomId, UserId);

/// What the thread knows without asking the database.
pub(crate) trait WriterState: Send + 'static {
    /// The transaction was rolled back: what was learnt in it is not so.
    fn forget(&mut self);

    /// The transaction is committed.
    fn committed(&mut self) {}
}

enum Command<T> {
    /// With how many failures there had been when it came.
    Do(T, u64),
    Close,
}

/// A handle to the thread.
pub(crate) struct Writer<T> {
    orders: mpsc::Sender<Command<T>>,
    closing: Arc<AtomicBool>,
    failures: Arc<AtomicU64>,
    busy_since: Arc<Mutex<Option<Instant>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<T: Task> Writer<T> {
    /// Starts the thread.
    pub(crate) fn start(
        name: &str,
        connection: Connection,
        memory: T::Memory,
    ) -> std::io::Result<Self> {
        let (orders, queue) = mpsc::channel(QUEUE_MAX);
        let closing = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&closing);
        let (failures, busy_since) = (Arc::<AtomicU64>::default(), Arc::default());
        let (counted, busy) = (Arc::clone(&failures), Arc::clone(&busy_since));
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let desk = WriterThread {
                    connection,
                    memory,
                    closing: seen,
                    failing: false,
                    failures: counted,
                    failed_lines: HashMap::new(),
                    busy_since: busy,
                };
                desk.serve(queue);
            })?;
        Ok(Self {
            orders,
            closing,
            failures,
            busy_since,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Puts the task behind those that wait, without waiting; returns it when it cannot.
    pub(crate) fn submit(&self, task: T) -> Result<(), (T, Failure)> {
        let failures = self.failures.load(Ordering::Acquire);
        self.orders
            .try_send(Command::Do(task, failures))
            .map_err(|error| match error {
                TrySendError::Full(Command::Do(task, _)) => (task, Failure::Full),
                TrySendError::Closed(Command::Do(task, _)) => (task, Failure::Closed),
                _ => unreachable!("a task was sent"),
            })
    }

    /// Puts the task behind those that wait, when there is room.
    pub(crate) async fn submit_when_room(&self, task: T) -> Result<(), Failure> {
        let failures = self.failures.load(Ordering::Acquire);
        self.orders
            .send(Command::Do(task, failures))
            .await
            .map_err(|_| Failure::Closed)
    }
}

impl<T> Writer<T> {
    /// Time for which the thread has been waiting for one transaction; zero when it is idle.
    pub(crate) fn write_stalled_for(&self) -> Duration {
        let busy_since = *self.busy_since.lock();
        busy_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Writes what waits, ends the thread and waits for it. Later tasks are refused.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        // When the queue is full the thread is at work and sees the flag.
        let _ = self.orders.try_send(Command::Close);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("writer thread had panicked");
        }
    }
}

/// A writer that was not closed, for example when the directory could not be opened completely.
impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T> std::fmt::Debug for Writer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

struct WriterThread<M> {
    connection: Connection,
    memory: M,
    closing: Arc<AtomicBool>,
    /// The last transaction failed: logged once, not for every one.
    failing: bool,
    failures: Arc<AtomicU64>,
    /// Whose tasks failed, and how many failures there were then; until none waits that came before.
    failed_lines: HashMap<Line, u64>,
    busy_since: Arc<Mutex<Option<Instant>>>,
}

impl<M: WriterState> WriterThread<M> {
    fn serve<T: Task<Memory = M>>(mut self, mut queue: mpsc::Receiver<Command<T>>) {
        let mut orders = Vec::with_capacity(BATCH_MAX);
        loop {
            if self.closing.load(Ordering::SeqCst) {
                queue.close();
            }
            if queue.blocking_recv_many(&mut orders, BATCH_MAX) == 0 {
                break;
            }
            let tasks: Vec<(T, u64)> = orders
                .drain(..)
                .filter_map(|order| match order {
                    Command::Do(task, failures) => Some((task, failures)),
                    Command::Close => None,
                })
                .collect();
            // A task that panics drops its answer, which its caller sees; the others continue.
            if catch_unwind(AssertUnwindSafe(|| self.write(tasks))).is_err() {
                tracing::error!("write panicked; its batch is unconfirmed");
                *self.busy_since.lock() = None;
                self.memory.forget();
            }
        }
    }

    fn write<T: Task<Memory = M>>(&mut self, tasks: Vec<(T, u64)>) {
        let mut tasks = self.without_those_behind_failed(tasks);
        if tasks.is_empty() {
            return;
        }
        match self.transact(&mut tasks) {
            Ok(()) => {
                for (task, _) in tasks {
                    task.committed(&mut self.memory);
                }
            }
            Err(failure) if tasks.len() > 1 && is_task_specific(&failure) => {
                tracing::warn!(%failure, tasks = tasks.len(), "batch failed; retrying its tasks one by one");
                for task in tasks {
                    self.write(vec![task]);
                }
            }
            Err(failure) => {
                self.log_failure_once(&failure);
                let lines: Vec<Line> = tasks.iter().filter_map(|(task, _)| task.line()).collect();
                for (task, _) in tasks {
                    task.failed(failure.clone());
                }
                // After the answers: who sends again on hearing one is not behind it.
                let failures = self.failures.fetch_add(1, Ordering::AcqRel) + 1;
                let lines = lines.into_iter().map(|line| (line, failures));
                self.failed_lines.extend(lines);
            }
        }
    }

    /// Fails tasks that came before an earlier one of their line was answered with a failure.
    fn without_those_behind_failed<T: Task<Memory = M>>(
        &mut self,
        tasks: Vec<(T, u64)>,
    ) -> Vec<(T, u64)> {
        if self.failed_lines.is_empty() {
            return tasks;
        }
        let failures = self.failures.load(Ordering::Acquire);
        if tasks.iter().all(|(_, seen)| *seen == failures) {
            self.failed_lines.clear();
            return tasks;
        }
        let is_behind = |(task, seen): &(T, u64)| {
            let failed = task.line().and_then(|line| self.failed_lines.get(&line));
            failed.is_some_and(|failed| seen < failed)
        };
        let (behind, tasks): (Vec<_>, Vec<_>) = tasks.into_iter().partition(is_behind);
        for (task, _) in behind {
            task.failed(Failure::Behind);
        }
        tasks
    }

    fn log_failure_once(&mut self, failure: &Failure) {
        if !std::mem::replace(&mut self.failing, true) {
            let cause = std::error::Error::source(failure).map(ToString::to_string);
            tracing::error!(%failure, cause, "failed to write; retrying");
        }
    }

    fn transact<T: Task<Memory = M>>(&mut self, tasks: &mut [(T, u64)]) -> Result<(), Failure> {
        let (memory, started) = (&mut self.memory, Instant::now());
        let busy = |since| {
            let mut busy_since = self.busy_since.lock();
            *busy_since = since;
        };
        busy(Some(started));
        let result = (|| {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(rolled_back)?;
            for (task, _) in tasks {
                task.apply(&transaction, memory).map_err(rolled_back)?;
            }
            transaction
                .commit()
                .map_err(|error| match error.sqlite_error_code() {
                    // The flush itself failed: the disk may hold the transaction, or not.
                    Some(ErrorCode::SystemIoFailure) => Failure::Unconfirmed(started.elapsed()),
                    _ => rolled_back(error),
                })
        })();
        busy(None);
        match result {
            Ok(()) => {
                memory.committed();
                if std::mem::replace(&mut self.failing, false) {
                    tracing::info!("writes succeed again");
                }
            }
            Err(_) => memory.forget(),
        }
        result
    }
}

fn rolled_back(error: rusqlite::Error) -> Failure {
    Failure::RolledBack(Arc::new(error))
}

fn is_task_specific(failure: &Failure) -> bool {
    match failure {
        Failure::RolledBack(error) => !matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::DatabaseBusy)
        ),
        _ => false,
    }
}
