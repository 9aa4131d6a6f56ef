//! Accepted and refused command lines.

use super::*;

fn ask(line: &str) -> Result<Request, Vec<String>> {
    parse(line.split_whitespace().map(str::to_owned))
}

fn help() -> String {
    match ask("--help") {
        Ok(Request::Help(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn settings(line: &str) -> Settings {
    match ask(line) {
        Ok(Request::Run(settings)) => *settings,
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
    assert_eq!(
        (asked.endpoints.len(), asked.workers, asked.seed),
        (2, 2, 7)
    );
    assert_eq!(asked.endpoints[1].authority, "127.0.0.1:8081");
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
            profile.as_str()
        ));
        assert_eq!(asked.profile, *profile);
        assert!(help().contains(profile.description()));
    }
}

#[test]
fn command_line_definition_is_consistent_and_help_lists_every_option() {
    use clap::CommandFactory as _;
    CommandLine::command().debug_assert();
    let help = help();
    for option in [
        "url",
        "token-key",
        "accounts",
        "connections",
        "rooms",
        "rooms-per-connection",
        "senders",
        "rate",
        "duration",
        "ramp",
        "arrivals",
        "popularity",
        "room-sizes",
        "content-bytes",
        "seed",
        "workers",
        "profile",
        "reload-command",
        "slo-ms",
        "whole-within",
        "recovery-slo",
        "sends-per-second",
        "json",
        "html",
        "keep",
    ] {
        assert!(
            help.contains(&format!("--{option}")),
            "{option} is missing in {help}"
        );
    }
}

#[test]
fn malformed_value_is_named_with_its_option() {
    let line = "--url ws://127.0.0.1:1 --accounts";
    for (more, message) in [
        ("--connections many", "'many' for '--connections"),
        ("--rate fast", "'fast' for '--rate <N/s>': expected a rate"),
        ("--duration long", "expected a duration"),
        ("--arrivals never", "expected poisson or constant"),
        ("--popularity zipf:9", "expected uniform, zipf or zipf:1.2"),
        ("--profile calm", "steady, spike, stampede"),
        ("--colour blue", "'--colour'"),
        ("--rooms", "'--rooms <N>'"),
        ("--token-key hs256:x", "cannot be read"),
    ] {
        let error = ask(&format!("{line} {more}")).unwrap_err().join("\n");
        assert!(error.contains(message), "{more}: {error}");
        assert!(
            !error.contains("Usage") && !error.starts_with("error"),
            "{error}"
        );
    }
    let missing = ask("--connections 10").unwrap_err().join("\n");
    assert!(
        missing.contains("--url") && missing.contains("--accounts"),
        "{missing}"
    );
    let both = ask("--url ws://127.0.0.1:1 --accounts --token-key hs256:/dev/null").unwrap_err();
    assert!(both.join("\n").contains("--token-key"), "{both:?}");
    assert!(matches!(ask("compare one.json"), Err(error) if error[0].contains("<AFTER>")));
    assert!(matches!(ask("worker"), Ok(Request::Worker)));
}

#[test]
fn contradictions_are_reported_together() {
    let line =
        "--url ws://127.0.0.1:1 --accounts --connections 0 --duration 0s --ramp 0 --workers 300";
    let errors = ask(line).unwrap_err().join("\n");
    for option in ["--connections", "--duration", "--ramp", "--workers"] {
        assert!(errors.contains(option), "{option} is missing in {errors}");
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
        ("--url http://127.0.0.1:1", "expected ws://host:port"),
        ("--content-bytes 5..3", "expected a range"),
    ] {
        let faults = ask(&format!("{line} {more}")).unwrap_err().join("\n");
        assert!(faults.contains(says), "{more}: {faults}");
    }
}
