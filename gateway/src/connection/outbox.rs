//! The outbox: bytes that the kernel did not accept yet, in a bounded queue.
//!
//! This is the backpressure of one socket: a room can produce frames faster than a client reads. The outbox
//! absorbs the difference up to
//! [`OUTBOX_BYTES_MAX`] and [`OUTBOX_FRAMES_MAX`]; past that the socket closes with
//! [`CloseCode::TooSlow`](roomcast_protocol::CloseCode::TooSlow) and the client resumes from its last seq.
//! Frames are never dropped one by one: a gap the client cannot see is worse than a reconnect it can.
//! A connection that keeps up has no queue at all.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf as _, Bytes};
use roomcast_protocol::limits::{OUTBOX_BYTES_MAX, OUTBOX_FRAMES_MAX};

use crate::clock::Ticks;

/// Frames handed to the kernel in one call.
const SLICES_MAX: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Option<Box<Queue>>,
}

#[derive(Debug)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// The first frame has partly gone out and must be finished.
    begun: bool,
    /// When it began to wait.
    since: Ticks,
    /// When the kernel last took something.
    moved_at: Ticks,
}

/// Whether a frame found room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    OverBounds,
}

impl Outbox {
    pub(crate) const fn is_empty(&self) -> bool {
        self.queue.is_none()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes)
    }

    /// When the kernel last took something, while anything waits.
    pub(crate) fn last_progress_at(&self) -> Option<Ticks> {
        self.queue.as_ref().map(|queue| queue.moved_at)
    }

    /// Since when something has been waiting without a break.
    pub(crate) fn waiting_since(&self) -> Option<Ticks> {
        self.queue.as_ref().map(|queue| queue.since)
    }

    /// Begins to queue, with the rest of a frame that the kernel did not take.
    pub(crate) fn start(&mut self, rest: Bytes, now: Ticks) {
        self.queue = Some(Box::new(Queue {
            bytes: rest.len(),
            frames: VecDeque::from([rest]),
            begun: true,
            since: now,
            moved_at: now,
        }));
    }

    pub(crate) fn push(&mut self, frame: Bytes) -> Pushed {
        let Some(queue) = &mut self.queue else {
            return Pushed::OverBounds;
        };
        if queue.bytes + frame.len() > OUTBOX_BYTES_MAX || queue.frames.len() >= OUTBOX_FRAMES_MAX {
            return Pushed::OverBounds;
        }
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        Pushed::Queued
    }

    /// Drops frames that are not partially written and queues the close frame.
    pub(crate) fn close(&mut self, frame: Bytes, now: Ticks) {
        match &mut self.queue {
            None => self.start(frame, now),
            Some(queue) => {
                queue.frames.truncate(usize::from(queue.begun));
                queue.bytes = queue.frames.iter().map(Bytes::len).sum::<usize>() + frame.len();
                queue.frames.push_back(frame);
            }
        }
    }

    /// Passes the next bytes to `write` as slices; it returns how many were accepted.
    pub(crate) fn write<E>(
        &mut self,
        now: Ticks,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let Some(queue) = &mut self.queue else {
            return Ok(());
        };
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = queue.frames.len().min(SLICES_MAX);
        for (slice, frame) in slices.iter_mut().zip(&queue.frames) {
            *slice = IoSlice::new(frame);
        }
        let taken = write(&slices[..count])?;
        queue.take(taken, now);
        if queue.frames.is_empty() {
            self.queue = None;
        }
        Ok(())
    }
}

impl Queue {
    fn take(&mut self, mut taken: usize, now: Ticks) {
        self.bytes -= taken;
        self.moved_at = now;
        while let Some(front) = self.frames.front_mut() {
            if taken < front.len() {
                front.advance(taken);
                self.begun = self.begun || taken > 0;
                return;
            }
            taken -= front.len();
            self.frames.pop_front();
            self.begun = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(outbox: &mut Outbox, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        outbox
            .write::<()>(1, |slices| {
                for slice in slices {
                    out.extend_from_slice(slice);
                }
                out.truncate(most);
                Ok(out.len())
            })
            .unwrap();
        out
    }

    #[test]
    fn what_was_pushed_goes_out_in_order_however_little_is_taken() {
        let mut outbox = Outbox::default();
        outbox.start(Bytes::from_static(b"abc"), 0);
        assert_eq!(outbox.push(Bytes::from_static(b"defg")), Pushed::Queued);
        let mut all = Vec::new();
        while !outbox.is_empty() {
            all.extend(written(&mut outbox, 2));
        }
        assert_eq!(all, b"abcdefg");
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn closing_finishes_a_partially_written_frame_and_drops_the_rest() {
        let mut outbox = Outbox::default();
        outbox.start(Bytes::from_static(b"abc"), 0);
        outbox.push(Bytes::from_static(b"dropped"));
        assert_eq!(written(&mut outbox, 1), b"a");
        outbox.close(Bytes::from_static(b"X"), 0);
        assert_eq!(written(&mut outbox, 100), b"bcX");
        assert!(outbox.is_empty());
    }

    #[test]
    fn the_outbox_is_bounded_in_frames_and_bytes() {
        let mut outbox = Outbox::default();
        outbox.start(Bytes::from_static(b"a"), 0);
        for _ in 1..OUTBOX_FRAMES_MAX {
            assert_eq!(outbox.push(Bytes::from_static(b"a")), Pushed::Queued);
        }
        assert_eq!(outbox.push(Bytes::from_static(b"a")), Pushed::OverBounds);

        let mut outbox = Outbox::default();
        outbox.start(Bytes::from_static(b"a"), 0);
        assert_eq!(
            outbox.push(vec![0; OUTBOX_BYTES_MAX].into()),
            Pushed::OverBounds
        );
    }
}
