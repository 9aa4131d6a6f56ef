//! Embeds the web page: every file of `web/page` with its path, media type and hash.
//!
//! The page has no build step, and neither has this: what a browser loads is the file as it was written.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../web/page");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    // A checkout without the page is a server without a page.
    if root.is_dir() {
        collect(&root, &mut files);
    }
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        let bytes =
            fs::read(file).unwrap_or_else(|error| panic!("read {}: {error}", file.display()));
        let below = file.strip_prefix(&root).unwrap_or(file);
        let path = format!("/{}", below.display());
        row(&mut table, &path, file, &bytes);
        if path == "/index.html" {
            row(&mut table, "/", file, &bytes);
        }
    }
    table.push_str("]\n");
    let out = Path::new(&variable("OUT_DIR")).join("page.rs");
    fs::write(&out, table).unwrap_or_else(|error| panic!("write {}: {error}", out.display()));
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts so"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("list {}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("list: {error}")).path();
        if path.is_dir() {
            println!("cargo::rerun-if-changed={}", path.display());
            collect(&path, files);
        } else if content_type(&path).is_some() {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
}

fn row(table: &mut String, path: &str, file: &Path, bytes: &[u8]) {
    let mut hash = DefaultHasher::new();
    bytes.hash(&mut hash);
    let (tag, kind) = (hash.finish(), content_type(file).unwrap_or_default());
    let file = file.display().to_string();
    let written = writeln!(
        table,
        "WebFile {{ path: {path:?}, content_type: {kind:?}, etag: \"\\\"{tag:016x}\\\"\", bytes: include_bytes!({file:?}) }},"
    );
    written.unwrap_or_else(|error| panic!("write a row: {error}"));
}

/// The MIME type; files of other types are not part of the page.
fn content_type(file: &Path) -> Option<&'static str> {
    Some(match file.extension()?.to_str()? {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => return None,
    })
}
