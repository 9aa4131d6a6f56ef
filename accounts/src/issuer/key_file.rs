//! The signing key's file: written atomically, readable by its owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::KeyError;

const PEM_LINE_CHARS: usize = 64;

/// The file's key; a new key, if there is no file.
pub(super) fn open(path: &Path) -> Result<Vec<u8>, KeyError> {
    let failed = |cause| KeyError::File {
        path: path.to_owned(),
        cause,
    };
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let pem = new_key()?;
            keep(path, pem.as_bytes()).map_err(failed)?;
            // What is there now: ours, or that of another process which was faster.
            fs::read(path).map_err(failed)
        }
        read => read.map_err(failed),
    }
}

/// PKCS#8 version 1, which every OpenSSL reads.
fn new_key() -> Result<String, KeyError> {
    let key = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new());
    let base64 = STANDARD.encode(key.map_err(|_| KeyError::NoRandomness)?);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE_CHARS));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Ok(pem)
}

/// Writes the whole key beside its place, then gives it its name, unless the name is taken: a link
/// never replaces what is there, as a rename would, so two concurrent processes end up with one key.
fn keep(path: &Path, pem: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let mut suffix = [0; 12];
    rand::fill(&mut suffix).map_err(io::Error::other)?;
    let suffix = URL_SAFE_NO_PAD.encode(suffix);
    let beside = path.with_extension(format!("pem.{suffix}.new"));

    let linked = write_new(&beside, pem).and_then(|()| fs::hard_link(&beside, path));
    // Also after a failure; a file that cannot be removed holds an unused key.
    let _ = fs::remove_file(&beside);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(directory)?.sync_all(),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
