//! Checks a recorded history against the guarantees of the wire contract.
//!
//! For each room the checker merges all observations into one total order of events, and compares every
//! attempt, response, subscription and page of history with it. A mismatch becomes a short counterexample.
//! Indeterminate results are never violations: a frame in flight when a connection broke may be missing,
//! an unconfirmed send may be stored or not.
//!
//! The rooms must belong to the run: an event that no recorded client sent counts as invented.

mod explain;
mod findings;
mod groups;
pub mod history;
mod observations;
mod result;
mod room;
mod rules;
mod sends;
mod total_order;

use std::thread;

use findings::Findings;
use groups::Groups;
use history::Recording;
use history::recording::{AttemptRecord, PageRead, Record, ResponseRecord};
use observations::Observations;
pub use result::{COUNTEREXAMPLES_MAX, Checked, Count, Counterexample, Verdict, ViolationKind};
use room::Room;

/// Checks `recording` against all guarantees. Needs about as much memory as the recording, and some seconds
/// for ten million deliveries.
pub fn check(recording: &Recording) -> Verdict {
    let rooms = recording.names();
    let observations = Observations::of(recording);
    let everything = RoomChecker {
        recording,
        observations: &observations,
        views: Groups::new(0..recording.views.len(), rooms, |view| {
            recording.views[*view].room
        }),
        records: Groups::new(recording.records.iter().copied(), rooms, |record| {
            recording.room_of(record)
        }),
        attempts: Groups::new(recording.attempts.iter().copied(), rooms, |attempt| {
            attempt.room
        }),
        responses: Groups::new(recording.responses.iter().copied(), rooms, |response| {
            response.room
        }),
        pages: Groups::new(recording.pages.iter(), rooms, |page| page.room),
    };
    let workers = thread::available_parallelism().map_or(1, |cores| cores.get().min(8));
    let everything = &everything;
    let parts: Vec<(Checked, Findings)> = thread::scope(|scope| {
        let part = |worker: usize| scope.spawn(move || everything.check_rooms(worker, workers));
        let running: Vec<_> = (0..workers).map(part).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| worker.join().expect("a check ended");
        running.into_iter().map(join).collect()
    });
    let mut checked = Checked {
        connections: recording.connections.len() as u64,
        ..Checked::default()
    };
    let mut findings = Findings::default();
    for (part, found) in parts {
        checked.add(&part);
        findings.absorb(found);
    }
    findings.into_verdict(checked)
}

/// A recording, grouped by room.
struct RoomChecker<'a> {
    recording: &'a Recording,
    observations: &'a Observations,
    views: Groups<usize>,
    records: Groups<Record>,
    attempts: Groups<AttemptRecord>,
    responses: Groups<ResponseRecord>,
    pages: Groups<&'a PageRead>,
}

impl RoomChecker<'_> {
    /// Checks every `workers`-th room.
    fn check_rooms(&self, worker: usize, workers: usize) -> (Checked, Findings) {
        let mut checked = Checked::default();
        let mut findings = Findings::default();
        for number in (worker..self.recording.names()).step_by(workers) {
            let mut records = self.records.of(number).to_vec();
            records.sort_by_key(|record| record.connection);
            let room = Room {
                recording: self.recording,
                observations: self.observations,
                number: u32::try_from(number).expect("names are numbered by u32"),
                views: self.views.of(number),
                records: &records,
                attempts: self.attempts.of(number),
                responses: self.responses.of(number),
                pages: self.pages.of(number),
            };
            if room.is_used() {
                rules::check(&room, &mut checked, &mut findings);
            }
        }
        (checked, findings)
    }
}
