//! What has been on the wire once stays readable, and is written as it was.

use std::collections::BTreeSet;
use std::fs;

use roomcast_protocol::{ParsedFrame, ServerFrame, event};

use crate::cases;
use crate::types::{self, client_type, event_type, fleet_type};

const WRITE: &str = "cargo run --package roomcast-protocol --example golden";

fn stored(path: &str) -> Vec<u8> {
    let file = cases::folder().join(path);
    fs::read(&file).unwrap_or_else(|error| {
        panic!("{path}: {error}; if the case is new, `{WRITE}` stores its bytes")
    })
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("golden files are UTF-8")
}

#[test]
fn every_value_is_written_as_its_golden_file() {
    for (path, written) in cases::files() {
        assert_eq!(
            text(&written),
            text(&stored(&path)),
            "{path} changed: published bytes stay, so a new form needs a case of its own"
        );
    }
}

#[test]
fn golden_client_frames_parse_to_their_values() {
    for case in cases::client::cases() {
        let (reference, frame) = &case.value;
        let file = case.file(client_type(frame));
        let bytes = stored(&format!("client/{file}"));
        let decoded = ParsedFrame::parse(text(&bytes));
        assert_eq!(decoded.frame.as_ref(), Ok(frame), "{file}");
        assert_eq!(decoded.reference.as_deref(), *reference, "{file}");
    }
}

#[test]
fn golden_server_frames_parse_to_their_values() {
    for case in cases::fleet::cases() {
        let file = case.file(fleet_type(&case.value));
        let bytes = stored(&format!("fleet/{file}"));
        let read: ServerFrame<'_> = serde_json::from_slice(&bytes).expect(&file);
        assert_eq!(read, case.value, "{file}");
    }
}

#[test]
fn golden_events_read_as_what_happened() {
    for case in cases::events::cases() {
        let file = case.file(event_type(&case.value.body));
        let read = event::decode(&stored(&format!("event/{file}")));
        assert_eq!(read.expect(&file), case.value, "{file}");
    }
}

#[test]
fn the_folder_the_index_and_the_cases_name_the_same_files() {
    let mut found = BTreeSet::new();
    for folder in ["client", "event", "fleet"] {
        for entry in fs::read_dir(cases::folder().join(folder)).expect(WRITE) {
            let name = entry.unwrap().file_name().into_string().unwrap();
            found.insert(format!("{folder}/{name}"));
        }
    }
    let cases: BTreeSet<String> = cases::files().into_keys().collect();
    assert_eq!(
        found, cases,
        "a file without a case, or one `{WRITE}` writes"
    );
    let index = cases::index(cases.iter().map(String::as_str));
    assert_eq!(index, text(&stored("index.json")), "`{WRITE}` writes it");
}

#[test]
fn every_type_has_a_golden_file() {
    let types = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    let client = cases::client::cases();
    let client = client.iter().map(|case| client_type(&case.value.1));
    assert_eq!(client.collect::<BTreeSet<_>>(), types(types::CLIENT));
    let fleet = cases::fleet::cases();
    let fleet = fleet.iter().map(|case| fleet_type(&case.value));
    assert_eq!(fleet.collect::<BTreeSet<_>>(), types(types::FLEET));
    let events = cases::events::cases();
    let events = events.iter().map(|case| event_type(&case.value.body));
    assert_eq!(events.collect::<BTreeSet<_>>(), types(types::EVENTS));
}

#[test]
fn golden_file_has_its_type_first() {
    for (path, bytes) in cases::files() {
        let start = if path.starts_with("event/") {
            r#"{"eventType":""#
        } else {
            r#"{"type":""#
        };
        assert!(text(&bytes).starts_with(start), "{path}");
        assert_ne!(bytes.last(), Some(&b'\n'), "{path}");
    }
}
