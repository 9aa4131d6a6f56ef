//! Standard error as a sink that may fail.
//!
//! Standard error can be closed, full, or a pipe that its reader no longer drains. Lines that cannot be
//! written are dropped and counted: no write here fails, panics, or blocks a thread of the runtime for
//! longer than [`STALL_TIMEOUT`].

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics::counter;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How long a line waits for a reader that is slow. After one timeout, lines are dropped immediately until
/// standard error is writable again.
const STALL_TIMEOUT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
const NO_TIMEOUT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};
/// Bytes that a pipe takes without blocking once it is writable (`PIPE_BUF` on Linux).
const PIECE_BYTES: usize = 4_096;

/// Whether the last write found standard error full.
static STALLED: AtomicBool = AtomicBool::new(false);

/// A writer to standard error whose writes always succeed.
#[derive(Debug, Clone, Copy)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if deliver(bytes).is_err() {
            counter!("chat_log_lines_dropped_total").increment(1);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes `bytes` as one block; an error means that some of them were dropped.
fn deliver(bytes: &[u8]) -> io::Result<()> {
    // Held for the whole block, so that no other line comes between.
    let mut stderr = io::stderr().lock();
    for piece in bytes.chunks(PIECE_BYTES) {
        await_space(&stderr)?;
        stderr.write_all(piece)?;
    }
    Ok(())
}

/// Waits until standard error is writable, or closed: the write that follows reports the latter.
fn await_space(stderr: &impl AsFd) -> io::Result<()> {
    let timeout = if STALLED.load(Ordering::Relaxed) {
        NO_TIMEOUT
    } else {
        STALL_TIMEOUT
    };
    let mut waiting = [PollFd::new(stderr, PollFlags::OUT)];
    let ready = loop {
        match poll(&mut waiting, Some(&timeout)) {
            Err(Errno::INTR) => {}
            ready => break ready?,
        }
    };
    STALLED.store(ready == 0, Ordering::Relaxed);
    if ready == 0 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    Ok(())
}
