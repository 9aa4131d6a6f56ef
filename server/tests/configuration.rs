//! Every option from every source, their priority, and that all errors are reported together.

use std::ffi::OsString;
use std::net::TcpListener;
use std::time::Duration;

use roomcast::config::{self, Command, LogFormat, Reading, Role, Settings};

use crate::support::program::run;
use crate::support::scratch::Scratch;

fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Reading {
    let variables = variables
        .iter()
        .map(|(n, v)| (OsString::from(n), OsString::from(v)));
    config::read(arguments.iter().map(OsString::from), variables)
}

fn settings(arguments: &[&str], variables: &[(&str, &str)]) -> Settings {
    match read(arguments, variables).command {
        Ok(Command::Serve(settings)) => settings,
        other => panic!("{arguments:?} {variables:?}: {other:?}"),
    }
}

fn faults(arguments: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    match read(arguments, variables).command {
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
        Ok(command) => panic!("{arguments:?} {variables:?}: {command:?}"),
    }
}

/// Option, a value that is not the default, and a look at where it went.
type Row = (&'static str, &'static str, fn(&Settings) -> bool);

const ROWS: &[Row] = &[
    ("role", "rooms,gateway", |s| {
        s.roles == [Role::Gateway, Role::Rooms]
    }),
    ("listen", "[::1]:0", |s| s.listen == "[::1]:0"),
    ("admin", "localhost:7000", |s| s.admin == "localhost:7000"),
    ("data", "/var/lib/roomcast", |s| {
        s.data.to_str() == Some("/var/lib/roomcast")
    }),
    ("store-user", "chat", |s| {
        s.store_access.user.as_deref() == Some("chat")
    }),
    ("store-replicas", "5", |s| s.store_replicas == Some(5)),
    ("store-datacenter", "eu-west_1.a", |s| {
        s.store_datacenter.as_deref() == Some("eu-west_1.a")
    }),
    ("presence-store-user", "chat", |s| {
        s.presence_access.user.as_deref() == Some("chat")
    }),
    ("region", "eu-west_1", |s| s.region == "eu-west_1"),
    (
        "allowed-origins",
        "https://a.example:443,http://b.example:81,capacitor://localhost,null",
        |s| {
            s.allowed_origins.permits("https://a.example", None)
                && s.allowed_origins.permits("http://b.example:81", None)
                && s.allowed_origins.permits("capacitor://localhost", None)
                && s.allowed_origins.permits("null", None)
        },
    ),
    ("token-recheck", "1m 30s", |s| {
        s.token_recheck == Duration::from_secs(90)
    }),
    ("presence-ttl", "7s", |s| {
        s.presence_ttl == Duration::from_secs(7)
    }),
    ("drain-within", "0s", |s| s.drain_within == Duration::ZERO),
    ("replay-max", "5", |s| s.replay_max == 5),
    ("sends-per-second", "7", |s| s.sends_per_second == 7),
    ("send-burst", "9", |s| s.send_burst == 9),
    ("connections-per-user", "3", |s| s.connections_per_user == 3),
    ("log-format", "json", |s| s.log_format == LogFormat::Json),
    ("log-filter", "warn,roomcast=debug", |s| {
        s.log_filter == "warn,roomcast=debug"
    }),
];

fn variable(option: &str) -> String {
    format!("ROOMCAST_{}", option.to_uppercase().replace('-', "_"))
}

#[test]
fn every_option_is_taken_from_command_line_environment_and_file() {
    let scratch = Scratch::new();
    for (option, value, taken) in ROWS {
        let (long, joined) = (format!("--{option}"), format!("--{option}={value}"));
        assert!(taken(&settings(&[&long, value], &[])), "{long} {value}");
        assert!(taken(&settings(&[&joined], &[])), "{joined}");
        let variable = variable(option);
        assert!(taken(&settings(&[], &[(&variable, value)])), "{variable}");
        let key = option.replace('-', "_");
        let file = scratch.write("one.toml", &format!("{key} = {value:?}\n"));
        assert!(taken(&settings(&["--config", &file], &[])), "{key}");
        assert!(
            taken(&settings(&[], &[("ROOMCAST_CONFIG", &file)])),
            "{key}"
        );
        assert!(
            !taken(&Settings::default()),
            "{option}: the value is the default"
        );
    }
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let scratch = Scratch::new();
    let file = scratch.write(
        "all.toml",
        "replay_max = 1\nsend_burst = 1\nregion = 'file'\n",
    );
    let variables = [("ROOMCAST_REPLAY_MAX", "2"), ("ROOMCAST_SEND_BURST", "2")];
    let won = settings(&["--config", &file, "--replay-max", "3"], &variables);
    assert_eq!(
        (won.replay_max, won.send_burst, &*won.region),
        (3, 2, "file")
    );
}

#[test]
fn lists_are_arrays_or_separated_by_commas() {
    let scratch = Scratch::new();
    for text in [
        "role = ['gateway', 'rooms']\n",
        "role = 'gateway, rooms'\n",
        "role = ['rooms', 'gateway', 'rooms']\n",
    ] {
        let file = scratch.write("list.toml", text);
        let settings = settings(&["--config", &file], &[]);
        assert_eq!(settings.roles, [Role::Gateway, Role::Rooms], "{text}");
    }
    assert_eq!(settings(&["--role", "all"], &[]).roles, Role::ALL);
    assert_eq!(
        settings(&["--role", "rooms", "--role", "all"], &[]).roles,
        Role::ALL
    );
}

#[test]
fn token_keys_repeat_on_the_command_line_and_are_separated_elsewhere() {
    let scratch = Scratch::new();
    let secret = "0123456789abcdef0123456789abcdef0123456789abcdef";
    let one = format!("hs256:{}", scratch.write("one.key", secret));
    let two = format!("hs256:{}", scratch.write("two.key", secret));
    let both = format!("{one},{two}");
    let written = |settings: Settings| -> Vec<String> {
        settings
            .token_keys
            .iter()
            .map(|key| key.written().to_owned())
            .collect()
    };
    let wanted = vec![one.clone(), two.clone()];
    let line = settings(&["--token-key", &one, "--token-key", &two], &[]);
    assert_eq!(written(line), wanted);
    assert_eq!(
        written(settings(&[], &[("ROOMCAST_TOKEN_KEY", &both)])),
        wanted
    );
    let file = scratch.write("keys.toml", &format!("token_key = [{one:?}, {two:?}]\n"));
    assert_eq!(written(settings(&["--config", &file], &[])), wanted);
}

/// Option and a value it must refuse.
const WRONG: &[(&str, &str)] = &[
    ("role", "gatway"),
    ("role", ""),
    ("listen", "8080"),
    ("listen", "127.0.0.1"),
    ("listen", "127.0.0.1:65536"),
    ("listen", "127.0.0.256:80"),
    ("listen", ":80"),
    ("admin", "a b:80"),
    ("admin", ""),
    ("data", ""),
    ("log", "sqlite:x"),
    ("log", "nats://"),
    ("log", "nats://a:1,b"),
    ("log", "nats://a:4222/x"),
    ("log-key", "/no/such/file.nk"),
    ("log-ca", "/no/such/ca.pem"),
    ("log-replicas", "2"),
    ("log-bytes-per-partition", "1000"),
    ("log-bytes-per-partition", "256MB"),
    ("log-bytes-per-partition", "-1"),
    ("store", "cql://a:9042"),
    ("store", "cql://a:9042/Chat"),
    ("store", "cql://a:9042/"),
    ("store", "cql://a/chat"),
    ("store", "nats://a:1"),
    ("presence-store", "redis://a"),
    ("presence-store", "redis://a:6379,b:6379"),
    ("presence-store", "redis-cluster://a:6379,b"),
    ("region", "a.b"),
    ("presence-store", "redis://u:p@h:6379"),
    ("store-user", "two words"),
    ("store-password-file", "/no/such/password"),
    ("store-ca", "/no/such/ca.pem"),
    ("store-replicas", "0"),
    ("store-replicas", "10"),
    ("store-datacenter", "it's"),
    ("presence-store-password-file", "/no/such/password"),
    ("presence-store-key", "/no/such/key.pem"),
    ("region", ""),
    ("token-key", "/no/such/file.pem"),
    ("token-key", "hs256:"),
    ("token-key", "https://id.example/keys#audiense=chat"),
    ("token-key", "https://id.example/keys#admin=maybe"),
    ("trusted-proxies", "localhost"),
    ("trusted-proxies", "10.0.0.0/8,10.0.0.0/33"),
    ("allowed-origins", "example.com"),
    ("allowed-origins", "https://a.example/path"),
    ("allowed-origins", "https://a.example:99999"),
    ("allowed-origins", "*"),
    ("allowed-origins", "https://*.example"),
    ("allowed-origins", "capacitor://"),
    ("token-recheck", "300"),
    ("token-recheck", "0s"),
    ("token-recheck", "2days"),
    ("presence-ttl", "soon"),
    ("presence-ttl", "-1s"),
    ("drain-within", "11m"),
    ("replay-max", "-1"),
    ("replay-max", "1e3"),
    ("replay-max", "100001"),
    ("sends-per-second", "0"),
    ("send-burst", "4294967296"),
    ("connections-per-user", "+3"),
    ("log-format", "xml"),
    ("log-filter", "roomcast=loud"),
    ("config", "/no/such/file.toml"),
];

#[test]
fn a_wrong_value_is_named_with_its_option_in_every_source() {
    let scratch = Scratch::new();
    for (option, value) in WRONG {
        let long = format!("--{option}");
        let said = faults(&[&long, value], &[]);
        assert!(
            said.len() == 1 && said[0].starts_with(&long),
            "{long} {value:?}: {said:?}"
        );
        if *option == "config" {
            continue;
        }
        // In the environment an empty list is a list.
        if !value.is_empty() || !["role", "allowed-origins"].contains(option) {
            let variable = variable(option);
            let said = faults(&[], &[(&variable, value)]);
            assert!(
                said.len() == 1 && said[0].starts_with(&variable),
                "{variable}: {said:?}"
            );
        }
        let key = option.replace('-', "_");
        let file = scratch.write("wrong.toml", &format!("{key} = {value:?}\n"));
        let said = faults(&["--config", &file], &[]);
        assert!(
            said.len() == 1 && said[0].starts_with(&key),
            "{key}: {said:?}"
        );
    }
}

#[test]
fn all_errors_are_reported_together() {
    let scratch = Scratch::new();
    let file = scratch.write(
        "bad.toml",
        "lisen = 'x'\nsend_burst = true\nregion = ['a']\n",
    );
    let said = faults(
        &[
            "--listen",
            "nowhere",
            "--frobnicate",
            "--admin",
            "serve-it",
            "extra",
            "--config",
            &file,
        ],
        &[
            ("ROOMCAST_REPLAY_MAX", "many"),
            ("ROOMCAST_DRAIN_WITHIN", "1"),
        ],
    );
    for part in [
        "--listen:",
        "--frobnicate:",
        "--admin:",
        "extra:",
        "lisen in ",
        "send_burst in ",
        "region in ",
        "ROOMCAST_REPLAY_MAX:",
        "ROOMCAST_DRAIN_WITHIN:",
    ] {
        assert!(
            said.iter().any(|line| line.starts_with(part)),
            "{part} in {said:#?}"
        );
    }
    assert_eq!(said.len(), 9, "{said:#?}");
}

#[test]
fn what_cannot_be_an_option_is_refused() {
    let lines: &[&[&str]] = &[
        &["--listen"],
        &["--listen", "--admin=127.0.0.1:1"],
        &["--listen=127.0.0.1:1", "--listen=127.0.0.1:2"],
        &["--"],
        &["-x"],
        &["serve"],
        &["check", "extra"],
        &["check", "--sub", "a"],
        &["--sub", "a"],
        &["--Listen", "127.0.0.1:1"],
    ];
    for line in lines {
        assert!(!faults(line, &[]).is_empty(), "{line:?}");
    }
}

#[test]
fn a_file_that_is_none_is_one_fault() {
    let scratch = Scratch::new();
    for text in [
        "listen = ",
        "[listen]\nx = 1\n",
        "listen = 'a:1'\nlisten = 'a:1'\n",
        "config = 'x'\n",
    ] {
        let file = scratch.write("none.toml", text);
        assert_eq!(faults(&["--config", &file], &[]).len(), 1, "{text}");
    }
}

#[test]
fn an_unknown_variable_is_only_odd() {
    let reading = read(
        &[],
        &[("ROOMCAST_SERVICE_HOST", "10.0.0.1"), ("OTHER", "x")],
    );
    assert!(reading.command.is_ok());
    assert_eq!(reading.oddities.len(), 1);
    assert!(
        reading.oddities[0]
            .to_string()
            .contains("ROOMCAST_SERVICE_HOST")
    );
}

#[test]
fn a_token_has_options_of_its_own() {
    let Ok(Command::Token(options)) = read(
        &["token", "--sub", "u1", "--scope", "admin", "--ttl", "2h"],
        &[("ROOMCAST_DATA", "d")],
    )
    .command
    else {
        panic!("not a token");
    };
    assert_eq!(options.user_id.as_str(), "u1");
    assert!(options.admin && options.lifetime == Duration::from_secs(7_200));
    assert_eq!(options.data.to_str(), Some("d"));
    for line in [
        &["token"][..],
        &["token", "--sub", "a b"],
        &["token", "--sub", "u", "--scope", "root"],
        &["token", "--sub", "u", "--ttl", "366d"],
        &["token", "--sub", "u", "--ttl", "60"],
        &["token", "--sub", "u", "--listen", "127.0.0.1:1"],
        &["token", "--sub", "u", "--name", ""],
    ] {
        assert_eq!(faults(line, &[]).len(), 1, "{line:?}");
    }
}

#[test]
fn a_wrong_configuration_ends_with_78_before_a_port_is_bound() {
    // Were a port bound first, this one would be found taken: status 1.
    let taken = TcpListener::bind("127.0.0.1:0").expect("take a port");
    let address = taken.local_addr().expect("its address").to_string();
    let scratch = Scratch::new();
    let data = scratch.join("data");
    let ended = run(
        &[
            "--listen",
            &address,
            "--data",
            &data,
            "--replay-max",
            "x",
            "--region",
            "!",
        ],
        &[],
    );
    assert_eq!(ended.status, 78, "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
    assert!(ended.stderr.contains("--replay-max") && ended.stderr.contains("--region"));
    assert_eq!(ended.stdout, "");
    assert!(!std::path::Path::new(&data).exists(), "nothing was made");
}

#[test]
fn help_and_version_print_and_end_well() {
    let help = run(&["--help", "--no-such"], &[]);
    assert_eq!((help.status, &*help.stderr), (0, ""), "{help:?}");
    for (option, _, _) in ROWS {
        assert!(help.stdout.contains(&format!("--{option} ")), "{option}");
    }
    for default in ["[127.0.0.1:8080]", "[./roomcast-data]", "[300s]", "[1000]"] {
        assert!(help.stdout.contains(default), "{default}");
    }
    let version = run(&["--version"], &[]);
    assert_eq!(version.status, 0);
    assert!(version.stdout.starts_with("roomcast "), "{version:?}");
}
