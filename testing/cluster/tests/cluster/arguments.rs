//! Accepted and refused arguments of the program.

use std::process::Command;

fn run(line: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cluster"))
        .args(line.split_whitespace())
        .output()
        .expect("run cluster");
    let text = [&*output.stdout, &*output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn help_lists_every_command_and_option() {
    let (status, help) = run("--help");
    assert_eq!(status, Some(0), "{help}");
    for command in ["servers", "start", "status", "stop", "clean", "exec"] {
        assert!(help.contains(command), "{command} is missing in {help}");
    }
    let (status, help) = run("start --help");
    assert_eq!(status, Some(0), "{help}");
    for option in [
        "program",
        "directory",
        "nodes",
        "store-sync",
        "gateways",
        "ingest",
        "edges",
        "port",
    ] {
        assert!(
            help.contains(&format!("--{option}")),
            "{option} is missing in {help}"
        );
    }
}

#[test]
fn wrong_value_is_named_with_its_option_and_ends_with_status_2() {
    for (line, message) in [
        ("start --program p --nodes 2", "'2' for '--nodes"),
        ("start --program p --gateways 0", "'0' for '--gateways"),
        ("start --program p --port 70000", "'70000' for '--port"),
        ("start --program p --store-sync never", "batch, periodic"),
        ("start --program p --colour blue", "--colour"),
        ("start", "--program"),
        ("exec --program p", "COMMAND"),
        ("dance", "'dance'"),
    ] {
        let (status, error) = run(line);
        assert!(error.contains(message), "{line}: {error}");
        assert_eq!(status, Some(2), "{line}: {error}");
    }
    // Accepted by the parser, refused by the program.
    let every_option = "start --program /no/such --directory d --nodes 3 --store-sync periodic --gateways 5 \
                        --ingest 3 --edges 1 --port 81 -- --log-filter warn";
    let (status, error) = run(every_option);
    assert!(
        status == Some(1) && error.contains("names no file"),
        "{error}"
    );
}
