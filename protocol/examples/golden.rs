//! Stores the bytes of cases that have no golden file yet, and the index. What is there is published:
//! it is never written again.

use std::path::Path;
use std::{fs, io};

#[path = "../tests/wire/cases.rs"]
mod cases;
#[path = "../tests/wire/types.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod types;

fn main() -> io::Result<()> {
    let files = cases::files();
    for (path, bytes) in &files {
        write_missing(&cases::folder().join(path), bytes)?;
    }
    let index = cases::index(files.keys().map(String::as_str));
    fs::write(cases::folder().join("index.json"), index)
}

fn write_missing(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::File::create_new(file) {
        Ok(mut file) => io::Write::write_all(&mut file, bytes),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
