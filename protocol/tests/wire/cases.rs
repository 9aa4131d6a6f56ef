//! The values behind the golden files: every type bare and in full, and what else has looked different.
//!
//! Also compiled into `examples/golden.rs`, which writes the files that are missing.

#[path = "cases/client.rs"]
pub(crate) mod client;
#[path = "cases/events.rs"]
pub(crate) mod events;
#[path = "cases/fleet.rs"]
pub(crate) mod fleet;

use std::collections::BTreeMap;
use std::path::PathBuf;

use roomcast_protocol::{Timestamp, event};

use crate::types::{client_type, event_type, fleet_type};

/// A character of every kind that JSON writes in its own way.
pub(crate) const ODD: &str =
    "\"\\/\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f} \u{7f}\u{80}\u{2028}\u{feff}é漢😀\u{10ffff}";
pub(crate) const SENT_AT: Timestamp = Timestamp::from_millis(1_700_000_000_007);

/// A value and, when its type has several, which one it is: `full`, `deleted`.
pub(crate) struct Case<T> {
    pub(crate) suffix: &'static str,
    pub(crate) value: T,
}

pub(crate) const fn case<T>(suffix: &'static str, value: T) -> Case<T> {
    Case { suffix, value }
}

impl<T> Case<T> {
    /// The name of its golden file: `message-edited.deleted.json`.
    pub(crate) fn file(&self, type_name: &str) -> String {
        let name = type_name
            .trim_start_matches("chat.")
            .trim_end_matches(".v1")
            .to_ascii_lowercase()
            .replace(['_', '.'], "-");
        match self.suffix {
            "" => format!("{name}.json"),
            suffix => format!("{name}.{suffix}.json"),
        }
    }
}

/// Where the bytes of this version are kept.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/v1")
}

/// Every golden file by its path in [`folder`], as this code writes it.
pub(crate) fn files() -> BTreeMap<String, Vec<u8>> {
    let client = client::cases().into_iter().map(|case| {
        let (reference, frame) = &case.value;
        let file = case.file(client_type(frame));
        (format!("client/{file}"), frame.to_json(*reference).into())
    });
    let fleet = fleet::cases().into_iter().map(|case| {
        let file = case.file(fleet_type(&case.value));
        (format!("fleet/{file}"), case.value.to_json())
    });
    let events = events::cases().into_iter().map(|case| {
        let file = case.file(event_type(&case.value.body));
        (format!("event/{file}"), event::encode(&case.value))
    });
    let mut files = BTreeMap::new();
    for (path, bytes) in client.chain(fleet).chain(events) {
        let twice = files.insert(path.clone(), bytes);
        assert!(twice.is_none(), "two cases are called {path}");
    }
    files
}

/// `index.json`: the files of each folder, for readers that cannot list one.
pub(crate) fn index<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let mut folders = BTreeMap::<&str, Vec<&str>>::new();
    for (folder, file) in paths.filter_map(|path| path.split_once('/')) {
        folders.entry(folder).or_default().push(file);
    }
    let json = serde_json::to_string_pretty(&folders);
    json.expect("strings always serialize") + "\n"
}
