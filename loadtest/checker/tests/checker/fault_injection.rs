//! Whatever is damaged on purpose is found, named for what it is, and nothing else is accused for it.

use crate::rng::Rng;

use crate::mutations::{DELIVERIES, Damage};
use crate::mutations_of_answers::ANSWERS;
use crate::mutations_of_history::HISTORY;
use crate::simulation::honest;

/// Not every history has what a damage needs, so some more are made than are damaged.
const SEEDS: u64 = 400;
const DAMAGED: u64 = 40;
const DAMAGED_AT_LEAST: u64 = 20;

/// Damages honest histories in this way and checks the result.
fn assert_caught(damage: &Damage) {
    let mut damaged = 0;
    for seed in 0..SEEDS {
        if damaged == DAMAGED {
            break;
        }
        let mut trace = honest(seed, 600);
        let mut chance = Rng::new(seed, 1);
        let Some(place) = (damage.does)(&mut trace, &mut chance) else {
            continue;
        };
        damaged += 1;
        let verdict = trace.verdict();
        let name = damage.name;
        assert!(
            verdict.count(damage.kind) > 0,
            "{name}, seed {seed}: not caught at {:?} in {}\n{verdict}",
            place.seq,
            place.room
        );
        for count in &verdict.violations {
            assert!(
                count.kind == damage.kind || damage.also.contains(&count.kind),
                "{name}, seed {seed}: {} is accused beside it\n{verdict}",
                count.kind.word()
            );
        }
        let told = verdict.stories.iter().find(|story| {
            story.kind == damage.kind
                && story.room == place.room
                && place.seq.is_none_or(|seq| seq == story.seq)
        });
        assert!(
            told.is_some_and(|story| story.lines.len() >= 2),
            "{name}, seed {seed}: no story of seq {:?} in {}\n{verdict}",
            place.seq,
            place.room
        );
    }
    let name = damage.name;
    assert!(
        damaged >= DAMAGED_AT_LEAST,
        "{name}: only {damaged} histories had it"
    );
}

#[test]
fn damage_to_deliveries_is_caught() {
    DELIVERIES.iter().for_each(assert_caught);
}

#[test]
fn damage_to_answers_is_caught() {
    ANSWERS.iter().for_each(assert_caught);
}

#[test]
fn damage_to_history_is_caught() {
    HISTORY.iter().for_each(assert_caught);
}
