//! Which crate may know which: the map of ARCHITECTURE.md as a table.
//!
//! The point of the crates is that most edges are absent. A service that cannot name a driver can be
//! tested without one, and a load test that only speaks the protocol cannot cheat.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::Finding;
use super::sources::VAGUE_NAMES;
use super::tree::TextFile;

const SERVICES: [&str; 6] = [
    "gateway", "ingest", "history", "presence", "accounts", "rooms",
];

/// Crates from outside that only some of ours may name: (crates, who may, why).
const OUTSIDERS: [(&[&str], &[Layer], &str); 3] = [
    (
        &[
            "rusqlite",
            "libsqlite3-sys",
            "sqlx",
            "async-nats",
            "scylla",
            "fred",
            "redis",
        ],
        &[Layer::Adapter],
        "drivers stay behind the ports, in adapters/",
    ),
    (
        &[
            "tokio",
            "tokio-util",
            "tokio-stream",
            "hyper",
            "hyper-util",
            "axum",
            "tower",
            "mio",
            "socket2",
            "rustix",
            "reqwest",
            "async-std",
            "smol",
            "fastwebsockets",
            "tracing",
        ],
        &[
            Layer::Ports,
            Layer::Service,
            Layer::Adapter,
            Layer::Server,
            Layer::LoadTest,
            Layer::TestCluster,
            Layer::Conformance,
            Layer::XTask,
        ],
        "the protocol and the checker are pure data, without network or tasks",
    ),
    (
        &["anyhow"],
        &[
            Layer::Server,
            Layer::LoadTest,
            Layer::TestCluster,
            Layer::XTask,
        ],
        "libraries have error types that a caller can act on",
    ),
];

/// The part of `cargo metadata` that the checks need.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: String,
    pub(crate) packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    kind: Option<String>,
    /// Where it lies, if it does not come from a registry.
    path: Option<String>,
}

impl Workspace {
    /// Asks cargo about the workspace of the current directory.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .output()
            .context("start cargo metadata")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "cargo metadata failed: {complaint}"
        );
        serde_json::from_slice(&output.stdout).context("read what cargo metadata said")
    }

    /// The members' manifests, by their paths from the root.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = &str> {
        self.packages
            .iter()
            .map(|package| self.below_root(&package.manifest_path))
    }

    fn below_root<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .trim_start_matches('/')
    }

    fn folder<'a>(&self, package: &'a Package) -> &'a str {
        let manifest = self.below_root(&package.manifest_path);
        manifest.strip_suffix("/Cargo.toml").unwrap_or_default()
    }
}

/// The parts a crate of ours can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Protocol,
    Ports,
    Service,
    Adapter,
    Server,
    LoadTest,
    /// Judges recorded histories, for the load test and for tests of the server.
    Checker,
    /// Starts the servers of a fleet; it knows programs, and no crate of ours.
    TestCluster,
    Conformance,
    XTask,
}

impl Layer {
    fn of(folder: &str) -> Option<Self> {
        match folder {
            "protocol" => Some(Self::Protocol),
            "ports" => Some(Self::Ports),
            "server" => Some(Self::Server),
            "loadtest" => Some(Self::LoadTest),
            "loadtest/checker" => Some(Self::Checker),
            "testing/cluster" => Some(Self::TestCluster),
            "testing/conformance" => Some(Self::Conformance),
            "xtask" => Some(Self::XTask),
            _ if SERVICES.contains(&folder) => Some(Self::Service),
            _ => {
                let name = folder.strip_prefix("adapters/")?;
                (!name.contains('/')).then_some(Self::Adapter)
            }
        }
    }

    fn may_depend_on(self) -> &'static [Self] {
        match self {
            Self::Protocol | Self::TestCluster => &[],
            Self::Ports | Self::Checker | Self::XTask => &[Self::Protocol],
            Self::LoadTest => &[Self::Protocol, Self::Checker],
            Self::Service | Self::Adapter | Self::Conformance => &[Self::Protocol, Self::Ports],
            Self::Server => &[Self::Protocol, Self::Ports, Self::Service, Self::Adapter],
        }
    }

    /// What its tests may use beyond that.
    fn may_test_with(self, folder: &str) -> bool {
        match self {
            Self::Service => folder == "adapters/embedded",
            Self::Adapter => matches!(folder, "testing/cluster" | "testing/conformance"),
            Self::LoadTest => folder == "testing/cluster",
            Self::Server => matches!(
                folder,
                "testing/cluster" | "testing/conformance" | "loadtest/checker"
            ),
            Self::Protocol
            | Self::Ports
            | Self::Checker
            | Self::TestCluster
            | Self::Conformance
            | Self::XTask => false,
        }
    }
}

/// Findings about crates: where they are, what they are called and what they know.
pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    workspace
        .packages
        .iter()
        .flat_map(|package| check_package(workspace, package))
        .collect()
}

fn check_package(workspace: &Workspace, package: &Package) -> Vec<Finding> {
    let folder = workspace.folder(package);
    let manifest = workspace.below_root(&package.manifest_path);
    let mut findings = Vec::new();
    if let Some(part) = package
        .name
        .split(['-', '_'])
        .find(|part| VAGUE_NAMES.contains(part))
    {
        let says = format!("`{part}` names no purpose: call the crate what it is for");
        findings.push(Finding::in_file(manifest, says));
    }
    let Some(place) = Layer::of(folder) else {
        let says = "this crate has no place on the map; decide what it may depend on first";
        findings.push(Finding::in_file(manifest, says));
        return findings;
    };
    for dependency in &package.dependencies {
        let refusal = match &dependency.path {
            Some(path) => refuse_edge(folder, place, workspace.below_root(path), dependency),
            None => refuse_outsider(place, &dependency.name),
        };
        findings.extend(refusal.map(|says| Finding::in_file(manifest, says)));
    }
    findings
}

fn refuse_edge(
    folder: &str,
    from: Layer,
    to_folder: &str,
    dependency: &Dependency,
) -> Option<String> {
    let for_tests = dependency.kind.as_deref() == Some("dev");
    let allowed = Layer::of(to_folder).is_some_and(|to| from.may_depend_on().contains(&to));
    let allowed_in_tests = for_tests && from.may_test_with(to_folder);
    let kind = if for_tests { "dev-depend" } else { "depend" };
    (!allowed && !allowed_in_tests).then(|| format!("{folder} must not {kind} on {to_folder}"))
}

fn refuse_outsider(from: Layer, name: &str) -> Option<String> {
    OUTSIDERS
        .iter()
        .find(|(names, places, _)| names.contains(&name) && !places.contains(&from))
        .map(|(_, _, why)| format!("must not depend on {name}: {why}"))
}

/// Finds a member's manifest that does not take the lints of the workspace.
pub(crate) fn check_lints(manifest: &TextFile) -> Option<Finding> {
    let mut section = "";
    for line in manifest.text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[lints]" && line.replace(' ', "") == "workspace=true" {
            return None;
        }
    }
    Some(Finding::in_file(
        &manifest.path,
        "`[lints] workspace = true` is missing",
    ))
}

#[cfg(test)]
mod tests;
