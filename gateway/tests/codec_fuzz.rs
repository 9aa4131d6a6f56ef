//! The fuzz target's body on the stable toolchain: a million streams that are almost right.

#[path = "../fuzz/invariants.rs"]
#[allow(dead_code, reason = "each test needs its part of it")]
mod invariants;
#[path = "../fuzz/streams.rs"]
#[allow(dead_code, reason = "each test needs its part of it")]
mod streams;

use std::thread;

use invariants::{End, check};
use streams::{Rng, Script, SeedOnPanic, mutate};

const CASES: u64 = 1_000_000;
const THREADS: usize = 2;

#[test]
fn a_million_mutated_streams_are_read_alike_in_all_pieces_and_within_bounds() {
    let outcomes: Vec<[u64; 4]> = thread::scope(|scope| {
        let share = |thread: usize| (thread as u64..CASES).step_by(THREADS).map(case);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || count(share(thread))))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a case failed"))
            .collect()
    });
    for kind in 0..4 {
        let reached: u64 = outcomes.iter().map(|counts| counts[kind]).sum();
        assert!(reached > CASES / 50, "kind {kind} of end: only {reached}");
    }
}

/// Repeats one case: its stream, and how it was cut.
fn case(seed: u64) -> End {
    let _seed = SeedOnPanic(seed);
    let mut rng = Rng::new(seed);
    let script = Script::valid(&mut rng);
    let (mut stream, starts) = script.bytes(&mut rng);
    if rng.one_in(8) {
        let outcome = check(&stream, seed);
        assert_eq!(outcome.items, script.items);
        return outcome.end;
    }
    mutate(&mut stream, &starts, &mut rng);
    check(&stream, seed).end
}

fn count(ends: impl Iterator<Item = End>) -> [u64; 4] {
    ends.fold([0; 4], |mut counts, end| {
        counts[match end {
            End::Idle => 0,
            End::Unfinished => 1,
            End::Closed => 2,
            End::Broken(_) => 3,
        }] += 1;
        counts
    })
}
