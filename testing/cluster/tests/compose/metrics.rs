//! The names of metrics: those in the product's source, and those a page of PromQL asks for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every string of the source that is the name of a metric.
pub(crate) fn measured(root: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let folders = [
        "server", "gateway", "ingest", "history", "presence", "accounts", "rooms", "adapters",
    ];
    for folder in folders {
        collect(&root.join(folder), &mut names);
    }
    names
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder)
        .expect("a folder of the product")
        .flatten()
    {
        let path = entry.path();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if path.is_dir() && !path.ends_with("tests") && !path.ends_with("target") {
            collect(&path, names);
        } else if is_source {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let strings = text.split('"').filter(|string| is_metric(string));
            names.extend(strings.map(str::to_owned));
        }
    }
}

/// The metrics that `text` names, without what Prometheus adds to the name of a histogram.
pub(crate) fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let metrics = words.filter(|word| is_metric(word));
    metrics
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word).to_owned())
        .collect()
}

fn is_metric(word: &str) -> bool {
    let ours = ["chat_", "presence_"]
        .iter()
        .any(|prefix| word.starts_with(prefix));
    ours && word.matches('_').count() > 1
        && word
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}
