//! Checks the tree against STYLE.md and lists every finding, so that one run is enough to fix them all.
//!
//! Each check is a pure function from what was read (a file, a crate, a lock file) to findings; this
//! page does the reading.

mod code;
mod crates;
mod cycles;
mod functions;
mod lockfiles;
mod sources;
mod text;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::Context as _;

use crates::Workspace;
use tree::TextFile;

/// The findings of one run.
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    pub(crate) files: usize,
    pub(crate) crates: usize,
}

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    /// Counted from one; `None` where the file as a whole is meant.
    line: Option<usize>,
    message: String,
}

impl Finding {
    fn in_file(path: &str, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            message: message.into(),
        }
    }

    fn at_line(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: Some(line),
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

/// Checks the workspace that the current directory belongs to.
pub(crate) fn check_workspace() -> anyhow::Result<Report> {
    let workspace = Workspace::load()?;
    let files = tree::read(Path::new(&workspace.root)).context("read the tree")?;

    let mut findings = crates::check(&workspace);
    findings.extend(files.iter().flat_map(check_file));
    findings.extend(cycles::check(&files));
    for manifest in workspace.manifests() {
        let file = files.iter().find(|file| file.path == manifest);
        let file = file.with_context(|| format!("find {manifest} in the tree"))?;
        findings.extend(crates::check_lints(file));
    }
    findings.sort();
    findings.dedup();
    Ok(Report {
        findings,
        files: files.len(),
        crates: workspace.packages.len(),
    })
}

/// Lines of prose and those with a word that STYLE.md refuses, of each folder and of all.
pub(crate) fn count_words() -> anyhow::Result<Vec<(String, usize, usize)>> {
    let workspace = Workspace::load()?;
    let files = tree::read(Path::new(&workspace.root)).context("read the tree")?;
    let counts = words::count(&files);
    let all = counts
        .values()
        .fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    let folders = counts
        .into_iter()
        .map(|(folder, (lines, hits))| (folder, lines, hits));
    Ok(folders.chain([("all".to_owned(), all.0, all.1)]).collect())
}

fn check_file(file: &TextFile) -> Vec<Finding> {
    let mut findings = text::check(file);
    findings.extend(sources::check(file));
    findings.extend(functions::check(file));
    findings.extend(words::check(file));
    findings.extend(lockfiles::check(file));
    findings
}

/// What the tests of a check read: the findings of a made-up file, as they would be printed.
#[cfg(test)]
fn printed(check: fn(&TextFile) -> Vec<Finding>, path: &str, text: &str) -> Vec<String> {
    let file = TextFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    check(&file).iter().map(ToString::to_string).collect()
}
