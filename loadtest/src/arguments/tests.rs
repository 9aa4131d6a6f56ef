//! Accepted and refused command lines.

use super::*;

fn ask(line: &str) -> Result<Asked, Vec<String>> {
    read(line.split_whitespace().map(str::to_owned))
}

fn settings(line: &str) -> Settings {
    match ask(line) {
        Ok(Asked::Run(settings)) => *settings,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_line_of_the_contract_is_understood() {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let asked = settings(&format!(
        "--url ws://127.0.0.1:8080 --url=ws://127.0.0.1:8081 --connections 10000 --rooms 1000 --senders 500 \
         --rate 500/s --duration 60s --slo-ms 150 --json a.json --html a.html --token-key hs256:{key} \
         --profile spike --seed 7 --ramp 500 --keep --workers 2"
    ));
    assert_eq!(
        (asked.connections, asked.rooms, asked.senders),
        (10_000, 1_000, 500)
    );
    assert_eq!((asked.doors.len(), asked.workers, asked.seed), (2, 2, 7));
    assert_eq!(asked.doors[1].authority, "127.0.0.1:8081");
    assert_eq!(
        (asked.duration, asked.slo),
        (Duration::from_secs(60), Duration::from_millis(150))
    );
    assert_eq!((asked.profile, asked.keep), (Profile::Spike, true));
    assert!((asked.rate - 500.0).abs() < 1e-9 && (asked.ramp - 500.0).abs() < 1e-9);
    assert_eq!(asked.json, Some(PathBuf::from("a.json")));
    assert!(matches!(asked.credentials, Credentials::Key(_)));
}

#[test]
fn every_profile_needs_no_more_than_its_word() {
    for profile in Profile::ALL {
        let accounts = match profile {
            Profile::Broadcast => "--accounts --connections 100",
            _ => "--accounts",
        };
        let asked = settings(&format!(
            "--url ws://127.0.0.1:1 --profile {} {accounts}",
            profile.word()
        ));
        assert_eq!(asked.profile, *profile);
        assert!(help().contains(profile.says()));
    }
}

#[test]
fn all_errors_are_reported_together() {
    let faults = ask("--connections many --rate fast --colour blue --rooms").unwrap_err();
    let all = faults.join("\n");
    for part in [
        "--connections many",
        "--rate fast",
        "--colour is no option",
        "--rooms needs",
        "--url",
        "--accounts",
    ] {
        assert!(all.contains(part), "{part} is missing in {all}");
    }
}

#[test]
fn what_the_fleet_would_refuse_is_refused_here() {
    let line = "--url ws://127.0.0.1:1 --accounts";
    for (more, says) in [
        (
            "--connections 10 --rooms 1 --senders 1 --rate 100",
            "busiest sender",
        ),
        ("--connections 1000 --rooms 1", "largest room"),
        (
            "--connections 10 --rooms 20",
            "more than the 10 connections",
        ),
        ("--connections 10 --senders 20", "20 senders"),
        ("--workers 0", "--workers"),
        ("--url wss://127.0.0.1:1", "TLS"),
        ("--url http://127.0.0.1:1", "not ws://host:port"),
        ("--content-bytes 5..3", "not a length"),
        ("--token-key hs256:/no/such/file", "cannot be read"),
    ] {
        let faults = ask(&format!("{line} {more}")).unwrap_err().join("\n");
        assert!(faults.contains(says), "{more}: {faults}");
    }
}
