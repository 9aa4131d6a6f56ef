//! Key errors at start: each prevents the process from starting.

use std::io;
use std::path::PathBuf;

/// Why keys could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The directory is missing, full or not ours: mend it and start again.
    #[error("open the signing key {}", path.display())]
    File {
        /// The key's file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// A foreign or broken file: put the right one there, or remove it to get a new key.
    #[error("{} is no Ed25519 private key (PKCS#8 in PEM)", path.display())]
    NoKey {
        /// The key's file.
        path: PathBuf,
    },
    /// The system gives no randomness, so no key can be made.
    #[error("make a signing key: the system gives no randomness")]
    NoRandomness,
    /// A key set is to be fetched over HTTPS, and the system has no trusted authorities: install its certificates.
    #[error("read the certificate authorities this system trusts")]
    NoRoots(#[source] io::Error),
}
