//! Every dependency comes from the two public registries, where all can fetch it.

use serde_json::Value;

use super::Finding;
use super::tree::TextFile;

const CARGO_REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
const NPM_REGISTRY: &str = "https://registry.npmjs.org/";

/// Findings for a lock file of Cargo or npm, wherever it lies; other files have none.
pub(crate) fn check(file: &TextFile) -> Vec<Finding> {
    match file.path.rsplit('/').next() {
        Some("Cargo.lock") => check_cargo(file),
        Some("package-lock.json") => check_npm(file),
        _ => Vec::new(),
    }
}

fn check_cargo(file: &TextFile) -> Vec<Finding> {
    file.lines()
        .filter_map(|(number, line)| {
            let source = line.strip_prefix("source = ")?.trim_matches('"');
            let says = format!("`{source}` is not crates.io");
            (source != CARGO_REGISTRY).then(|| Finding::at_line(&file.path, number, says))
        })
        .collect()
}

fn check_npm(file: &TextFile) -> Vec<Finding> {
    let lock: Value = match serde_json::from_str(&file.text) {
        Ok(lock) => lock,
        Err(error) => {
            return vec![Finding::in_file(
                &file.path,
                format!("is not JSON: {error}"),
            )];
        }
    };
    let Some(packages) = lock["packages"].as_object() else {
        return vec![Finding::in_file(
            &file.path,
            "has no `packages`: lockfileVersion 3 is wanted",
        )];
    };
    let mut findings = Vec::new();
    for (name, package) in packages {
        // A package of the same repository: its `resolved` is a folder.
        if package["link"] == true {
            continue;
        }
        let Some(resolved) = package["resolved"].as_str() else {
            continue;
        };
        if !resolved.starts_with(NPM_REGISTRY) {
            let says = format!("{name} comes from `{resolved}`, not from {NPM_REGISTRY}");
            findings.push(Finding::in_file(&file.path, says));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    #[test]
    fn a_crate_from_elsewhere_is_found() {
        let lock = |source: &str| format!("[[package]]\nname = \"a\"\nsource = \"{source}\"\n");
        assert_eq!(printed(check, "Cargo.lock", &lock(CARGO_REGISTRY)), [""; 0]);
        for source in [
            "git+https://example.org/a#1",
            "registry+https://crates.example.org/",
        ] {
            assert_eq!(
                printed(check, "gateway/fuzz/Cargo.lock", &lock(source)),
                [format!(
                    "gateway/fuzz/Cargo.lock:3: `{source}` is not crates.io"
                )]
            );
        }
    }

    #[test]
    fn an_npm_package_from_elsewhere_is_found_and_a_folder_of_ours_is_not() {
        let lock = r#"{"packages": {
            "": {"name": "web"},
            "client": {"version": "1.0.0"},
            "node_modules/client": {"resolved": "client", "link": true},
            "node_modules/a": {"resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz"},
            "node_modules/b": {"resolved": "https://npm.example.org/b/-/b-1.0.0.tgz"},
            "node_modules/c": {"resolved": "git+ssh://git@example.org/c.git#1"}
        }}"#;
        let found = printed(check, "web/package-lock.json", lock);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("node_modules/b comes from `https://npm.example.org/"));
        assert!(found[1].contains("node_modules/c comes from `git+ssh://"));
    }

    #[test]
    fn a_lock_file_that_cannot_be_read_is_found() {
        assert_eq!(printed(check, "web/package-lock.json", "{").len(), 1);
        assert_eq!(printed(check, "web/package-lock.json", "{}").len(), 1);
    }
}
