//! An authority and a server's certificate for 127.0.0.1, made for one test by `openssl`.

use std::path::{Path, PathBuf};
use std::process::Command;

use roomcast_protocol::RoomId;

/// PEM files, which go with this.
pub(crate) struct Certificates {
    directory: PathBuf,
    pub(crate) authority: PathBuf,
    pub(crate) server: PathBuf,
    pub(crate) server_key: PathBuf,
}

impl Certificates {
    /// Makes them.
    pub(crate) fn make() -> Self {
        let name = format!("roomcast-certificates-{}", RoomId::generate());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("make a directory");
        let new_key = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(
            &directory,
            &format!("{new_key} -x509 -days 2 -subj /CN=authority -keyout ca-key.pem -out ca.pem"),
        );
        openssl(
            &directory,
            &format!("{new_key} -subj /CN=server -keyout key.pem -out request.pem"),
        );
        std::fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1\n").expect("write");
        openssl(
            &directory,
            "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 \
             -extfile names -out cert.pem",
        );
        Self {
            authority: directory.join("ca.pem"),
            server: directory.join("cert.pem"),
            server_key: directory.join("key.pem"),
            directory,
        }
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .output()
        .expect("run openssl: install it with `apt-get install openssl`");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
}
