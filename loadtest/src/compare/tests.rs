//! Comparisons of noisy runs from a seed.

use super::*;
use crate::report::{Generator, Machine, Profile, Setting};
use roomcast_checker::Verdict;

/// Seconds as a run has them: each like the one before, with a storm now and then.
fn run(seed: u64, part: u64, seconds: u32, p50_times: f64, p99_times: f64) -> RunReport {
    let mut rng = Rng::new(seed, part);
    let mut drift = 0.0;
    let mut list = Vec::new();
    for at in 0..seconds {
        let spread = |rng: &mut Rng| (0..6).map(|_| rng.unit()).sum::<f64>() / 3.0 - 1.0;
        drift = 0.7 * drift + 0.06 * spread(&mut rng);
        let storm = if rng.below(30) == 0 { 4.0 } else { 1.0 };
        let p50 = 2.0 * p50_times * (1.0 + drift + 0.05 * spread(&mut rng));
        let p99 = 9.0 * p99_times * storm * (1.0 + drift + 0.25 * spread(&mut rng));
        list.push(Second {
            at,
            sent: 1_000,
            acked: 980 + rng.below(40) as u64,
            delivered: 10_000,
            p50_ms: Some(p50),
            p99_ms: Some(p99),
            max_ms: Some(p99 * 3.0),
            connections: 10_000,
            ..Second::default()
        });
    }
    RunReport {
        report: 1,
        program: String::new(),
        began: String::new(),
        status: Status::Met,
        reasons: Vec::new(),
        profile: Profile {
            name: "steady".to_owned(),
            says: String::new(),
        },
        settings: Vec::new(),
        machine: Machine::default(),
        levels: Vec::new(),
        promises: Verdict::default(),
        latencies: Vec::new(),
        seconds: list,
        errors: std::collections::BTreeMap::new(),
        generator: Generator::default(),
    }
}

fn worse_of(runs: u64, before: [f64; 2], after: [f64; 2]) -> u64 {
    let worse = |seed: &u64| {
        let one = run(*seed, 1, 60, before[0], before[1]);
        let other = run(*seed, 2, 60, after[0], after[1]);
        compare(&one, &other).unwrap().is_regression()
    };
    (0..runs).filter(worse).count() as u64
}

#[test]
fn equal_runs_compare_as_equal() {
    let worse = worse_of(300, [1.0, 1.0], [1.0, 1.0]);
    assert!(worse <= 3, "{worse} of 300 called worse");
}

#[test]
fn a_run_that_is_a_fifth_slower_is_called_worse() {
    let worse = worse_of(100, [1.0, 1.0], [1.2, 1.2]);
    assert!(worse >= 98, "only {worse} of 100 called worse");
}

#[test]
fn a_tail_that_grows_by_half_is_called_worse_though_the_median_stays() {
    for seed in 0..50 {
        let compared = compare(&run(seed, 1, 60, 1.0, 1.0), &run(seed, 2, 60, 1.0, 1.5)).unwrap();
        let p99 = &compared.rows[1];
        assert_eq!(p99.name, "delivery p99");
        assert!(
            matches!(p99.change, Delta::Worse(..)),
            "seed {seed}:\n{compared}"
        );
        assert!(
            !matches!(compared.rows[0].change, Delta::Worse(..)),
            "{compared}"
        );
    }
}

#[test]
fn faster_run_is_no_regression_and_is_reported_as_faster() {
    let compared = compare(&run(1, 1, 60, 1.3, 1.3), &run(1, 2, 60, 1.0, 1.0)).unwrap();
    assert!(!compared.is_regression());
    let text = compared.to_string();
    assert!(text.contains("faster by 2"), "{text}");
    assert!(text.ends_with("NO WORSE\n"), "{text}");
}

#[test]
fn the_interval_holds_the_true_change_nearly_always() {
    let held = (0..200).filter(|seed| {
        let before = run(*seed, 1, 60, 1.0, 1.0);
        let after = run(*seed, 2, 60, 1.25, 1.25);
        match compare(&before, &after).unwrap().rows[0].change {
            Delta::Worse(_, likely) | Delta::Noise(likely) | Delta::Better(_, likely) => {
                likely.from <= 0.25 && 0.25 <= likely.to
            }
            Delta::Unknown => false,
        }
    });
    let held = held.count();
    assert!(held >= 180, "{held} of 200");
}

#[test]
fn a_small_change_is_noise_however_sure_it_is() {
    let mut before = run(1, 1, 60, 1.0, 1.0);
    let mut after = before.clone();
    for second in &mut after.seconds {
        second.p50_ms = second.p50_ms.map(|ms| ms * 1.03);
    }
    assert!(!compare(&before, &after).unwrap().is_regression());
    for second in before.seconds.iter_mut().chain(&mut after.seconds) {
        second.p50_ms = second.p50_ms.map(|ms| ms / 100.0);
    }
    for second in &mut after.seconds {
        second.p50_ms = second.p50_ms.map(|ms| ms * 1.5);
    }
    let compared = compare(&before, &after).unwrap();
    assert!(
        !compared.is_regression(),
        "ten microseconds are none: {compared}"
    );
}

#[test]
fn fewer_acknowledgements_are_worse() {
    let before = run(1, 1, 60, 1.0, 1.0);
    let mut after = run(1, 2, 60, 1.0, 1.0);
    for second in &mut after.seconds {
        second.acked = second.acked * 8 / 10;
    }
    let compared = compare(&before, &after).unwrap();
    assert!(
        compared.is_regression() && compared.to_string().contains("less by 20 %"),
        "{compared}"
    );
}

#[test]
fn a_broken_promise_is_worse_than_any_speed_and_no_verdict_compares_to_nothing() {
    let good = run(1, 1, 60, 1.0, 1.0);
    let mut other = run(1, 2, 60, 0.1, 0.1);
    other.status = Status::Broken;
    assert!(compare(&good, &other).unwrap().is_regression());
    assert!(!compare(&other, &good).unwrap().is_regression());
    other.status = Status::NoVerdict;
    assert!(compare(&good, &other).is_err());
    assert!(compare(&other, &good).is_err());
}

#[test]
fn a_short_run_is_not_judged_and_other_settings_are_named() {
    let mut before = run(1, 1, 8, 1.0, 1.0);
    let mut after = run(1, 2, 8, 9.0, 9.0);
    let setting = |value: &str| Setting {
        name: "rate".to_owned(),
        value: value.to_owned(),
    };
    before.settings.push(setting("100/s"));
    after.settings.push(setting("200/s"));
    let compared = compare(&before, &after).unwrap();
    assert!(!compared.is_regression());
    let text = compared.to_string();
    assert!(text.contains("too few seconds"), "{text}");
    assert!(
        text.contains("not the same: rate was 100/s, then 200/s"),
        "{text}"
    );
}
