//! Every mutation is found with its kind of violation, and without unrelated violations.

use crate::rng::Rng;

use crate::mutations::{DELIVERIES, Mutation};
use crate::mutations_of_history::HISTORY;
use crate::mutations_of_responses::RESPONSES;
use crate::simulation::valid_history;

/// More histories are generated than mutated, since not every mutation applies to each.
const SEEDS: u64 = 400;
const MUTATED_MAX: u64 = 40;
const MUTATED_MIN: u64 = 20;

/// Mutates valid histories and checks the result.
fn assert_found(mutation: &Mutation) {
    let mut mutated = 0;
    for seed in 0..SEEDS {
        if mutated == MUTATED_MAX {
            break;
        }
        let mut trace = valid_history(seed, 600);
        let mut rng = Rng::new(seed, 1);
        let Some(place) = (mutation.apply)(&mut trace, &mut rng) else {
            continue;
        };
        mutated += 1;
        let verdict = trace.verdict();
        let name = mutation.name;
        assert!(
            verdict.count(mutation.kind) > 0,
            "{name}, seed {seed}: not caught at {:?} in {}\n{verdict}",
            place.seq,
            place.room
        );
        for count in &verdict.violations {
            assert!(
                count.kind == mutation.kind || mutation.also.contains(&count.kind),
                "{name}, seed {seed}: {} is accused beside it\n{verdict}",
                count.kind.as_str()
            );
        }
        let found = verdict.counterexamples.iter().find(|counterexample| {
            counterexample.kind == mutation.kind
                && counterexample.room == place.room
                && place.seq.is_none_or(|seq| seq == counterexample.seq)
        });
        assert!(
            found.is_some_and(|counterexample| counterexample.lines.len() >= 2),
            "{name}, seed {seed}: no story of seq {:?} in {}\n{verdict}",
            place.seq,
            place.room
        );
    }
    let name = mutation.name;
    assert!(
        mutated >= MUTATED_MIN,
        "{name}: only {mutated} histories had it"
    );
}

#[test]
fn checker_finds_every_mutation_of_deliveries() {
    DELIVERIES.iter().for_each(assert_found);
}

#[test]
fn checker_finds_every_mutation_of_responses() {
    RESPONSES.iter().for_each(assert_found);
}

#[test]
fn checker_finds_every_mutation_of_history() {
    HISTORY.iter().for_each(assert_found);
}
