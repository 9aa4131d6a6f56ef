//! The worker processes of a run: starts them, sends commands, receives messages.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::task::TaskTracker;

use crate::ipc::{Outcome, Tick, WorkerCommand, WorkerConfig, WorkerMessage};

/// Capacity of the queue of workers' messages.
const MESSAGE_QUEUE_MAX: usize = 256;
/// Timeout of a worker's first and last message.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// The workers. They end when this is dropped.
pub struct WorkerPool {
    workers: Vec<Worker>,
    words: Receiver<(usize, Option<WorkerMessage>)>,
    directory: PathBuf,
}

struct Worker {
    _child: Child,
    orders: ChildStdin,
    tick: Option<Tick>,
    outcome: Option<Outcome>,
}

impl WorkerPool {
    /// Starts `program` once for each assignment; `assign` is given where a worker writes its recording.
    pub async fn start(
        program: &Path,
        count: usize,
        assign: impl Fn(usize, PathBuf) -> WorkerConfig,
    ) -> anyhow::Result<Self> {
        let directory = scratch_directory()?;
        let (sender, words) = channel(MESSAGE_QUEUE_MAX);
        let tracker = TaskTracker::new();
        let mut workers = Self {
            workers: Vec::new(),
            words,
            directory,
        };
        for number in 0..count {
            let mut child = Command::new(program)
                .arg("worker")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("start {} as a worker", program.display()))?;
            let orders = child
                .stdin
                .take()
                .context("a worker without standard input")?;
            let said = child
                .stdout
                .take()
                .context("a worker without standard output")?;
            tracker.spawn(listen(number, BufReader::new(said), sender.clone()));
            let mut worker = Worker {
                _child: child,
                orders,
                tick: None,
                outcome: None,
            };
            let assignment = assign(number, workers.recording(number));
            worker.tell(&serde_json::to_vec(&assignment)?).await?;
            workers.workers.push(worker);
        }
        Ok(workers)
    }

    /// The file a worker writes its recording to.
    pub fn recording(&self, worker: usize) -> PathBuf {
        self.directory.join(format!("worker-{worker}"))
    }

    /// Sends a command to all workers.
    pub async fn send_command(&mut self, command: &WorkerCommand) -> anyhow::Result<()> {
        let line = serde_json::to_vec(command)?;
        for worker in &mut self.workers {
            worker.tell(&line).await?;
        }
        Ok(())
    }

    /// Waits for the next tick of any worker, which [`WorkerPool::ticks`] then has; gives the worker.
    pub async fn recv(&mut self) -> anyhow::Result<usize> {
        let received = tokio::time::timeout(REPLY_TIMEOUT, self.words.recv()).await;
        let Some((number, message)) = received.context("the workers fell silent")? else {
            bail!("the workers are gone");
        };
        match message.with_context(|| format!("worker {number} ended before the run did"))? {
            WorkerMessage::Tick(tick) => self.workers[number].tick = Some(*tick),
            WorkerMessage::Outcome(outcome) => self.workers[number].outcome = Some(*outcome),
        }
        Ok(number)
    }

    /// The last tick of each worker, once all have sent one.
    pub fn ticks(&self) -> Option<Vec<&Tick>> {
        self.workers
            .iter()
            .map(|worker| worker.tick.as_ref())
            .collect()
    }

    /// The last tick of one worker.
    pub fn tick(&self, worker: usize) -> Option<&Tick> {
        self.workers[worker].tick.as_ref()
    }

    /// Finishes all workers; returns their outcomes.
    pub async fn finish(&mut self) -> anyhow::Result<Vec<Outcome>> {
        self.send_command(&WorkerCommand::Finish).await?;
        while self.workers.iter().any(|worker| worker.outcome.is_none()) {
            self.listen_for_outcomes().await?;
        }
        Ok(self
            .workers
            .iter_mut()
            .filter_map(|worker| worker.outcome.take())
            .collect())
    }

    async fn listen_for_outcomes(&mut self) -> anyhow::Result<()> {
        let received = tokio::time::timeout(REPLY_TIMEOUT, self.words.recv()).await;
        match received.context("the workers did not finish")? {
            Some((number, Some(WorkerMessage::Outcome(outcome)))) => {
                self.workers[number].outcome = Some(*outcome);
                Ok(())
            }
            Some((number, None)) if self.workers[number].outcome.is_none() => {
                bail!("worker {number} ended without saying what came out")
            }
            Some(_) => Ok(()),
            None => bail!("the workers are gone"),
        }
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Worker {
    async fn tell(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let told = async {
            self.orders.write_all(line).await?;
            self.orders.write_all(b"\n").await?;
            self.orders.flush().await
        };
        tokio::time::timeout(REPLY_TIMEOUT, told)
            .await?
            .context("tell a worker")
    }
}

/// Forwards a worker's messages; `None` when it has ended.
async fn listen(
    number: usize,
    said: BufReader<tokio::process::ChildStdout>,
    sender: Sender<(usize, Option<WorkerMessage>)>,
) {
    let mut lines = said.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(message) = serde_json::from_str(&line) else {
            break;
        };
        if sender.send((number, Some(message))).await.is_err() {
            return;
        }
    }
    let _ = sender.send((number, None)).await;
}

fn scratch_directory() -> anyhow::Result<PathBuf> {
    let name = format!(
        "roomcast-loadtest-{}-{:x}",
        std::process::id(),
        crate::clock::cpu_us()
    );
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
    Ok(path)
}
