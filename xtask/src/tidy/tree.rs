//! Reads every text file of the product, by its path from the root.
//!
//! Works on any copy of the tree, a git checkout or not: what to leave out is what the root
//! `.gitignore` names, which is also why that file holds plain names and suffixes only.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

/// A file that is UTF-8 throughout; others (images, fixtures of raw bytes) have no rules here.
pub(crate) struct TextFile {
    /// From the root, with `/` between its parts.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl TextFile {
    /// The part after the last dot of the file's name, or nothing.
    pub(crate) fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Lines with their numbers, counted from one.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .split('\n')
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }
}

/// All text files below `root`, sorted by path. Symbolic links are not followed.
pub(crate) fn read(root: &Path) -> anyhow::Result<Vec<TextFile>> {
    let ignore_path = root.join(".gitignore");
    let ignore_text = fs::read_to_string(&ignore_path)
        .with_context(|| format!("read {}", ignore_path.display()))?;
    let ignored = Ignored::parse(&ignore_text)?;
    let mut files = Vec::new();
    read_directory(root, "", &ignored, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read_directory(
    directory: &Path,
    prefix: &str,
    ignored: &Ignored,
    files: &mut Vec<TextFile>,
) -> anyhow::Result<()> {
    let listing =
        fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    for entry in listing {
        let entry = entry.with_context(|| format!("list {}", directory.display()))?;
        let kind = entry.file_type()?;
        let Ok(name) = entry.file_name().into_string() else {
            bail!("a file name in {} is not UTF-8", directory.display());
        };
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            if !ignored.directory(&name, &path) {
                read_directory(&entry.path(), &format!("{path}/"), ignored, files)?;
            }
        } else if kind.is_file() && !ignored.file(&name) {
            let bytes = fs::read(entry.path()).with_context(|| format!("read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(TextFile { path, text });
            }
        }
    }
    Ok(())
}

/// The part of `.gitignore`'s language this repository uses: `name/`, `/path/to/` and `*.suffix`.
struct Ignored {
    directories: Vec<String>,
    paths: Vec<String>,
    suffixes: Vec<String>,
}

impl Ignored {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut ignored = Self {
            directories: vec![".git".to_owned()],
            paths: Vec::new(),
            suffixes: Vec::new(),
        };
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let plain = |pattern: &str| !pattern.contains(['*', '?', '[', '!']);
            match (line.strip_suffix('/'), line.strip_prefix('*')) {
                (Some(directory), _) if plain(directory) && directory.contains('/') => {
                    ignored
                        .paths
                        .push(directory.trim_start_matches('/').to_owned());
                }
                (Some(directory), _) if plain(directory) => {
                    ignored.directories.push(directory.to_owned());
                }
                (None, Some(suffix)) if plain(suffix) && !suffix.contains('/') => {
                    ignored.suffixes.push(suffix.to_owned());
                }
                _ => bail!(".gitignore: `{line}` is neither `name/`, `/path/to/` nor `*.suffix`"),
            }
        }
        Ok(ignored)
    }

    fn directory(&self, name: &str, path: &str) -> bool {
        self.directories.iter().any(|ignored| ignored == name)
            || self.paths.iter().any(|ignored| ignored == path)
    }

    fn file(&self, name: &str) -> bool {
        self.suffixes.iter().any(|suffix| name.ends_with(suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_ignores_is_not_part_of_the_product() {
        let ignored = Ignored::parse("# built\ntarget/\n/web/dist/\n*.log\n").unwrap();
        assert!(ignored.directory(".git", ".git"));
        assert!(ignored.directory("target", "gateway/fuzz/target"));
        assert!(ignored.directory("dist", "web/dist"));
        assert!(!ignored.directory("dist", "deploy/dist"));
        assert!(ignored.file("server.log"));
        assert!(!ignored.file("catalog.rs"));
    }

    #[test]
    fn a_pattern_tidy_does_not_understand_stops_it() {
        for pattern in ["docs/**/*.html", "!keep.log", "exact-name"] {
            assert!(Ignored::parse(pattern).is_err(), "{pattern} was taken");
        }
    }
}
