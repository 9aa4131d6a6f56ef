//! Reader threads, each with its own connection.
//!
//! SQLite's calls block, and a point read takes some ten microseconds: these threads do it without a
//! trip through tokio's blocking pool, and no more than these read concurrently. Every job sees one moment
//! of the database.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::database::open_for_reading;
use crate::writer::Failure;

/// Jobs that wait at most; who brings one more waits.
const WAITING_MAX: usize = 1_024;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// A handle to the threads.
pub(crate) struct Readers {
    jobs: mpsc::Sender<Job>,
    closing: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    /// Opens `count` connections to the file and a thread for each.
    pub(crate) fn start(name: &str, path: &Path, count: usize) -> Result<Self, StartError> {
        let (jobs, queue) = mpsc::channel(WAITING_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let closing = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::with_capacity(count);
        for number in 1..=count {
            let connection = open_for_reading(path)?;
            let (queue, closing) = (Arc::clone(&queue), Arc::clone(&closing));
            let thread = std::thread::Builder::new()
                .name(format!("{name} {number}"))
                .spawn(move || serve(&connection, &queue, &closing))?;
            threads.push(thread);
        }
        Ok(Self {
            jobs,
            closing,
            threads: Mutex::new(threads),
        })
    }

    /// Reads within one moment of the database.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = connection
                .unchecked_transaction()
                .and_then(|moment| read(&moment));
            let _ = reply.send(result.map_err(|error| Failure::RolledBack(Arc::new(error))));
        });
        self.jobs.send(job).await.map_err(|_| Failure::Closed)?;
        answer.await.unwrap_or(Err(Failure::Closed))
    }

    /// Ends the threads once what waits has been read.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        // When the queue is full the threads are at work and see the flag.
        let _ = self.jobs.try_send(Box::new(|_| {}));
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

/// Why the threads could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("start a thread")]
    Thread(#[from] std::io::Error),
    #[error("open a connection")]
    Connection(#[from] rusqlite::Error),
}

fn serve(connection: &Connection, queue: &Mutex<mpsc::Receiver<Job>>, closing: &AtomicBool) {
    loop {
        let job = {
            let mut queue = queue.lock();
            if closing.load(Ordering::SeqCst) {
                queue.close();
            }
            queue.blocking_recv()
        };
        let Some(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(|| job(connection))).is_err() {
            tracing::error!("read panicked; the thread continues");
        }
    }
}
