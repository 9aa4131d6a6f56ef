//! An authority, a server's certificate for this machine's loopback and a client's, made by `openssl`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process_group::ProcessGroup;
use crate::{ClusterError, binaries};

/// The password of the key stores: they hold nothing that outlives a test.
pub(crate) const STORE_PASSWORD: &str = "changeit";

/// PEM files and the key stores that Java reads; they go with this.
#[derive(Debug)]
pub struct Certificates {
    home: ProcessGroup,
}

impl Certificates {
    /// Makes an authority and what it signs.
    pub fn make() -> Result<Self, ClusterError> {
        let made = Self {
            home: ProcessGroup::temporary("certificates")?,
        };
        let key = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        let sign = "x509 -req -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2";
        let names = "subjectAltName=IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3\n";
        made.home.write("names", names)?;
        made.openssl(&format!(
            "{key} -x509 -days 2 -subj /CN=authority -keyout ca-key.pem -out ca.pem"
        ))?;
        for name in ["server", "client"] {
            made.openssl(&format!(
                "{key} -subj /CN={name} -keyout {name}-key.pem -out {name}.csr"
            ))?;
            made.openssl(&format!(
                "{sign} -extfile names -in {name}.csr -out {name}.pem"
            ))?;
        }
        Ok(made)
    }

    /// Makes the two key stores as well, which takes Java's `keytool`.
    pub(crate) fn make_stores(&self) -> Result<(), ClusterError> {
        self.openssl(&format!(
            "pkcs12 -export -in server.pem -inkey server-key.pem -name server -out server.p12 \
             -passout pass:{STORE_PASSWORD}"
        ))?;
        self.run(
            "keytool",
            "-help",
            &format!(
                "-importcert -noprompt -alias ca -file ca.pem -keystore trusted.p12 \
                 -storetype PKCS12 -storepass {STORE_PASSWORD}"
            ),
        )
    }

    /// A file by its name: `ca.pem`, `server.pem`, `server-key.pem`, `client.pem`, `client-key.pem`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.directory().join(name)
    }

    fn openssl(&self, arguments: &str) -> Result<(), ClusterError> {
        self.run("openssl", "version", arguments)
    }

    fn run(&self, program: &'static str, probe: &str, arguments: &str) -> Result<(), ClusterError> {
        let path = binaries::on_path(program, probe)?;
        let output = Command::new(path)
            .args(arguments.split_whitespace())
            .current_dir(Path::new(self.home.directory()))
            .stdin(Stdio::null())
            .output()
            .map_err(ClusterError::machine(format!("start {program}")))?;
        ClusterError::unless_well(program, &output)
    }
}
