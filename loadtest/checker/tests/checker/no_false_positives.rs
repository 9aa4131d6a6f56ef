//! Valid histories have no violations, whatever faults occurred.

use crate::simulation::valid_history;

#[test]
fn checker_reports_no_violation_in_valid_histories() {
    let mut seen = Seen::default();
    for seed in 0..400 {
        let verdict = valid_history(seed, 600).verdict();
        assert!(verdict.kept(), "seed {seed}:\n{verdict}");
        let checked = verdict.checked;
        assert_eq!(checked.rooms, 3, "seed {seed}");
        assert_eq!(checked.rooms_read_whole, 3, "seed {seed}");
        seen.resends += checked.resends;
        seen.resumes += checked.resumes;
        seen.not_recovered += checked.not_recovered;
        seen.refused += checked.refused;
        seen.unconfirmed += checked.unconfirmed;
        seen.deliveries += checked.deliveries;
    }
    // They would not be worth much if nothing had happened in them.
    assert!(seen.resends > 1_000, "{seen:?}");
    assert!(seen.resumes > 1_000, "{seen:?}");
    assert!(seen.not_recovered > 100, "{seen:?}");
    assert!(seen.refused > 100, "{seen:?}");
    assert!(seen.unconfirmed > 100, "{seen:?}");
    assert!(seen.deliveries > 100_000, "{seen:?}");
}

#[derive(Debug, Default)]
struct Seen {
    resends: u64,
    resumes: u64,
    not_recovered: u64,
    refused: u64,
    unconfirmed: u64,
    deliveries: u64,
}
