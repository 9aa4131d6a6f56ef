//! Sample reports from a seed.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use roomcast_checker::{Checked, Count, Counterexample, Verdict, ViolationKind};
use roomcast_loadtest::clock::micros;
use roomcast_loadtest::report::{
    Generator, Latency, Machine, Profile, RunReport, Second, Setting, Status, Threshold, Unit,
};
use roomcast_loadtest::rng::Rng;

/// A run of this many seconds that met its levels, with a short latency peak in the middle.
pub(crate) fn met(seconds: u32) -> RunReport {
    let (whole, acks, list) = load(seconds);
    RunReport {
        report: 1,
        program: "0.1.0".to_owned(),
        began: "2026-11-21T18:00:00.000Z".to_owned(),
        status: Status::Met,
        reasons: Vec::new(),
        profile: Profile {
            name: "steady".to_owned(),
            says: "the same rate all along".to_owned(),
        },
        settings: settings(),
        machine: Machine {
            system: "linux 6.1".to_owned(),
            processor: "A processor".to_owned(),
            cores: 2,
            memory_bytes: 24 << 30,
            descriptors_max: 20_000,
        },
        levels: vec![
            level("99 of 100 deliveries", 150.0, 21.4, Unit::Ms, false),
            level("messages acknowledged", 0.999, 0.999_97, Unit::Share, true),
            level("connections lost", 10.0, 0.0, Unit::Count, false),
        ],
        promises: Verdict {
            checked: checked(),
            ..Verdict::default()
        },
        latencies: vec![
            Latency::of(
                "deliveries",
                "from when a message was due to a member's having it",
                &whole,
            ),
            Latency::of("acks", "from when a message was due to its ACK", &acks),
        ],
        seconds: list,
        errors: BTreeMap::from([
            ("RATE_LIMITED".to_owned(), 12),
            ("close 4508".to_owned(), 4),
        ]),
        generator: Generator {
            workers: 1,
            cpu_seconds: 24.0,
            load_seconds: 60.0,
            memory_bytes: 212 << 20,
            lag_p50_ms: 0.06,
            lag_p99_ms: 0.3,
            lag_max_ms: 2.2,
            limited: None,
        },
    }
}

/// Histograms of deliveries and acknowledgements, and the seconds.
fn load(seconds: u32) -> (Histogram<u64>, Histogram<u64>, Vec<Second>) {
    let mut chance = Rng::new(7, 0);
    let (mut whole, mut acks) = (histogram(), histogram());
    let mut list = Vec::new();
    for at in 0..seconds {
        let storm = at >= seconds / 2 && at < seconds / 2 + 4;
        let mut second = histogram();
        for _ in 0..400 {
            let slow = if chance.below(100) < 2 { 12.0 } else { 1.0 };
            let us = 1_500.0 + chance.exponential(1_200.0) * slow * if storm { 6.0 } else { 1.0 };
            let us = micros(Duration::from_secs_f64(us / 1e6));
            second.record(us).unwrap();
            acks.record(us / 2).unwrap();
        }
        whole.add(&second).unwrap();
        let of = |quantile: f64| {
            let us = second.value_at_quantile(quantile);
            Some(f64::from(u32::try_from(us).unwrap()) / 1_000.0)
        };
        let errors = if storm {
            BTreeMap::from([("RATE_LIMITED".to_owned(), 3), ("close 4508".to_owned(), 1)])
        } else {
            BTreeMap::new()
        };
        list.push(Second {
            at,
            sent: 1_000 + chance.below(40) as u64,
            acked: 1_000 + chance.below(40) as u64,
            delivered: 10_000 + chance.below(400) as u64,
            p50_ms: of(0.5),
            p99_ms: of(0.99),
            max_ms: of(1.0),
            connections: (u64::from(at + 1) * 2_000).min(10_000),
            errors,
            lag_max_ms: 0.4,
        });
    }
    (whole, acks, list)
}

/// A run with violations.
pub(crate) fn broken() -> RunReport {
    let mut report = met(60);
    report.status = Status::Broken;
    report.latencies.clear();
    report.levels.clear();
    report.promises.violations = vec![
        Count {
            kind: ViolationKind::OutOfOrder,
            promise: 2,
            count: 1,
        },
        Count {
            kind: ViolationKind::NotDelivered,
            promise: 3,
            count: 1_204,
        },
    ];
    let lines = [
        "12.000131 s: u17 through ws://10.0.0.1:8080 (connection 17) sent a message, clientMsgId #b3e22bcf",
        "12.003201 s: u17 through ws://10.0.0.1:8080 (connection 17) was answered ACK, seq 41, message #60c329ed, duplicate false",
        "12.003377 s: u18 through ws://10.0.0.2:8080 (connection 18) got the message of u17, and 7 times more",
        "0.412000 s: u21 through ws://10.0.0.1:8080 (connection 21) was subscribed, from seq 10 on",
        "it went on to seq 77 at 14.000100 s without seq 41",
        "62.000000 s: the run was over, the connection still stood",
        "expected: every event after its beginning, once",
    ];
    let counterexample = |kind, seq, more| Counterexample {
        kind,
        room: "r<1>".to_owned(),
        seq,
        at_us: 12_000_131,
        lines: lines.map(str::to_owned).to_vec(),
        more,
    };
    report.promises.counterexamples = vec![
        counterexample(ViolationKind::OutOfOrder, 40, 0),
        counterexample(ViolationKind::NotDelivered, 41, 3),
        counterexample(ViolationKind::NotDelivered, 42, 0),
        counterexample(ViolationKind::NotDelivered, 43, 0),
    ];
    report
}

/// A run limited by the load generator.
pub(crate) fn no_verdict() -> RunReport {
    let mut report = met(30);
    report.status = Status::NoVerdict;
    report.generator.limited = Some("one worker used 99 % of its core".to_owned());
    report
        .reasons
        .push("one worker used 99 % of its core".to_owned());
    report
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).unwrap()
}

fn level(name: &str, bound: f64, seen: f64, unit: Unit, at_least: bool) -> Threshold {
    Threshold {
        name: name.to_owned(),
        bound,
        seen: Some(seen),
        unit,
        at_least,
    }
}

fn settings() -> Vec<Setting> {
    let settings = [
        ("url", "ws://10.0.0.1:8080 ws://10.0.0.2:8080"),
        ("profile", "steady"),
        ("connections", "10000"),
        ("rooms", "1000"),
        ("rate", "1000/s"),
        ("duration", "60s"),
        ("seed", "1"),
    ];
    let setting = |(name, value): (&str, &str)| Setting {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    settings.map(setting).to_vec()
}

fn checked() -> Checked {
    Checked {
        connections: 10_000,
        rooms: 1_000,
        rooms_read_whole: 1_000,
        sends: 60_000,
        acknowledged: 59_998,
        unconfirmed: 2,
        events: 70_000,
        deliveries: 600_000,
        subscriptions: 10_012,
        resumes: 12,
        pages: 1_400,
        page_events: 70_000,
        ..Checked::default()
    }
}
