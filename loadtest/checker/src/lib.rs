//! Judges what was seen in a run by the promises of the wire contract.
//!
//! For each room the checker merges all observations into one total order of events, and compares every
//! attempt, response, subscription and page of history with it. A mismatch becomes a short counterexample.
//! Indeterminate results are never violations: what was in flight when a connection broke may be
//! missing, what was not confirmed may be there or not.
//!
//! The rooms must be the run's own: an event that no client of the run sent counts as invented.

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
use history::recording::{Answer, PageRead, Record, Tried};
use observations::Observations;
pub use result::{COUNTEREXAMPLES_MAX, Checked, Count, Counterexample, Verdict, ViolationKind};
use room::Room;

/// Holds everything in `recording` against the promises. Takes memory of about the recording's own size,
/// and some seconds for ten million deliveries.
pub fn check(recording: &Recording) -> Verdict {
    let rooms = recording.names();
    let sightings = Observations::of(recording);
    let everything = RoomChecker {
        recording,
        sightings: &sightings,
        views: Groups::new(0..recording.views.len(), rooms, |view| {
            recording.views[*view].room
        }),
        entries: Groups::new(recording.entries.iter().copied(), rooms, |entry| {
            recording.room_of(entry)
        }),
        tries: Groups::new(recording.tries.iter().copied(), rooms, |tried| tried.room),
        answers: Groups::new(recording.answers.iter().copied(), rooms, |answer| {
            answer.room
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

/// A recording, sorted by rooms.
struct RoomChecker<'a> {
    recording: &'a Recording,
    sightings: &'a Observations,
    views: Groups<usize>,
    entries: Groups<Record>,
    tries: Groups<Tried>,
    answers: Groups<Answer>,
    pages: Groups<&'a PageRead>,
}

impl RoomChecker<'_> {
    /// Judges every `workers`-th room.
    fn check_rooms(&self, worker: usize, workers: usize) -> (Checked, Findings) {
        let mut checked = Checked::default();
        let mut findings = Findings::default();
        for number in (worker..self.recording.names()).step_by(workers) {
            let mut entries = self.entries.of(number).to_vec();
            entries.sort_by_key(|entry| entry.connection);
            let room = Room {
                recording: self.recording,
                sightings: self.sightings,
                number: u32::try_from(number).expect("names are numbered by u32"),
                views: self.views.of(number),
                entries: &entries,
                tries: self.tries.of(number),
                answers: self.answers.of(number),
                pages: self.pages.of(number),
            };
            if room.is_used() {
                rules::check(&room, &mut checked, &mut findings);
            }
        }
        (checked, findings)
    }
}
