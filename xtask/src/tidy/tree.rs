//! Reads every text file of the product, by its path from the root.
//!
//! Works on any copy of the tree, a git checkout or not: what to leave out is what the `.gitignore`
//! files name, which is also why those hold plain names, paths and suffixes only.

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
    let mut ignored = Ignored::default();
    ignored.names.push(".git".to_owned());
    let mut files = Vec::new();
    read_directory(root, "", &ignored, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read_directory(
    directory: &Path,
    prefix: &str,
    ignored_above: &Ignored,
    files: &mut Vec<TextFile>,
) -> anyhow::Result<()> {
    let ignored = match fs::read_to_string(directory.join(".gitignore")) {
        Ok(text) => ignored_above.and(prefix, &text)?,
        Err(_) => ignored_above.clone(),
    };
    let listing =
        fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    for entry in listing {
        let entry = entry.with_context(|| format!("list {}", directory.display()))?;
        let kind = entry.file_type()?;
        let Ok(name) = entry.file_name().into_string() else {
            bail!("a file name in {} is not UTF-8", directory.display());
        };
        let path = format!("{prefix}{name}");
        if ignored.has(&name, &path) {
            continue;
        }
        if kind.is_dir() {
            read_directory(&entry.path(), &format!("{path}/"), &ignored, files)?;
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).with_context(|| format!("read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(TextFile { path, text });
            }
        }
    }
    Ok(())
}

/// The part of git's language this repository uses: `name`, `name/`, `/path/to/name` and `*.suffix`.
#[derive(Debug, Default, Clone)]
struct Ignored {
    names: Vec<String>,
    /// From the root.
    paths: Vec<String>,
    suffixes: Vec<String>,
}

impl Ignored {
    /// These, and what the `.gitignore` of the folder `prefix` adds for everything below it.
    fn and(&self, prefix: &str, text: &str) -> anyhow::Result<Self> {
        let mut ignored = self.clone();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let pattern = line.strip_suffix('/').unwrap_or(line);
            let suffix = pattern.strip_prefix('*');
            if suffix
                .unwrap_or(pattern)
                .contains(['*', '?', '[', '!', '\\'])
            {
                bail!("{prefix}.gitignore: `{line}` is more than a name, a path or `*.suffix`");
            }
            match suffix {
                Some(suffix) => ignored.suffixes.push(suffix.to_owned()),
                None if pattern.contains('/') => {
                    ignored
                        .paths
                        .push(format!("{prefix}{}", pattern.trim_start_matches('/')));
                }
                None => ignored.names.push(pattern.to_owned()),
            }
        }
        Ok(ignored)
    }

    fn has(&self, name: &str, path: &str) -> bool {
        self.names.iter().any(|ignored| ignored == name)
            || self.paths.iter().any(|ignored| ignored == path)
            || self.suffixes.iter().any(|suffix| name.ends_with(suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_ignores_is_not_part_of_the_product() {
        let root = Ignored::default()
            .and("", "# built\ntarget/\n/web/dist/\n*.log\n")
            .unwrap();
        assert!(root.has("target", "gateway/fuzz/target"));
        assert!(root.has("dist", "web/dist"));
        assert!(!root.has("dist", "deploy/dist"));
        assert!(root.has("server.log", "server/server.log"));
        assert!(!root.has("catalog.rs", "server/catalog.rs"));
    }

    #[test]
    fn a_folder_adds_what_it_ignores_to_what_the_root_does() {
        let root = Ignored::default().and("", "target/\n").unwrap();
        let folder = root.and("fuzz/", "Cargo.lock\n/corpus/decode/\n").unwrap();
        assert!(folder.has("target", "fuzz/target"));
        assert!(folder.has("Cargo.lock", "fuzz/Cargo.lock"));
        assert!(folder.has("decode", "fuzz/corpus/decode"));
        assert!(!folder.has("decode", "corpus/decode"));
        assert!(!root.has("Cargo.lock", "Cargo.lock"));
    }

    #[test]
    fn a_pattern_tidy_does_not_understand_stops_it() {
        for pattern in ["docs/**/*.html", "!keep.log", "a?.txt", "[ab].txt"] {
            assert!(
                Ignored::default().and("", pattern).is_err(),
                "{pattern} was taken"
            );
        }
    }
}
