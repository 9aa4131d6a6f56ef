//! Options of stores' access: users, passwords, certificates, replicas.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::back_ends::unreadable;
use super::error::ConfigError;
use super::parsers::{number, one};
use super::settings::{Access, PresenceBackEnd, Settings, StoreBackEnd};

/// Characters of a user name, and of a datacenter's, at most.
const NAME_MAX: usize = 128;
/// Copies of a row at most.
const REPLICAS_MAX: usize = 9;

/// A user name.
pub(super) fn user(values: &[String]) -> Result<Option<String>, String> {
    name(values, |byte| byte.is_ascii_graphic() && byte != b':')
}

/// A datacenter's name.
pub(super) fn datacenter(values: &[String]) -> Result<Option<String>, String> {
    name(values, |byte| {
        byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
    })
}

fn name(values: &[String], allowed: fn(u8) -> bool) -> Result<Option<String>, String> {
    if values.is_empty() {
        return Ok(None);
    }
    let text = one(values)?;
    if text.len() <= NAME_MAX && text.bytes().all(allowed) {
        Ok(Some(text.to_owned()))
    } else {
        Err(format!("{text:?} is no name"))
    }
}

/// A password, read at start so that a missing file is a fault of the option.
pub(super) fn password(values: &[String]) -> Result<Option<String>, String> {
    if values.is_empty() {
        return Ok(None);
    }
    let path = PathBuf::from(one(values)?);
    let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
    match text.trim() {
        "" => Err(format!("{} holds no password", path.display())),
        password => Ok(Some(password.to_owned())),
    }
}

/// How many copies.
pub(super) fn replicas(values: &[String]) -> Result<Option<usize>, String> {
    if values.is_empty() {
        return Ok(None);
    }
    number(values, 1..=REPLICAS_MAX).map(Some)
}

/// Finds what single options cannot know: those that need another, and certificates that are none.
pub(super) fn check(settings: &Settings, faults: &mut Vec<ConfigError>) {
    if let StoreBackEnd::Cql { .. } = settings.store {
        let access = &settings.store_access;
        check_one("--store", access, faults);
        if access.user.is_some() != access.password.is_some() {
            let says = "--store-user and --store-password-file are given together";
            faults.push(ConfigError::new("--store", says));
        }
    }
    if let PresenceBackEnd::Redis(_) = settings.presence_store {
        let access = &settings.presence_access;
        check_one("--presence-store", access, faults);
        if access.user.is_some() && access.password.is_none() {
            let says = "--presence-store-user needs --presence-store-password-file";
            faults.push(ConfigError::new("--presence-store", says));
        }
    }
}

fn check_one(option: &str, access: &Access, faults: &mut Vec<ConfigError>) {
    if let Err(says) = access.tls() {
        faults.push(ConfigError::new(
            option,
            format!("{option}-ca, -cert, -key: {says}"),
        ));
    }
}

impl Access {
    /// The client's side of TLS; `None` when no authority is named. The error names a file that holds no
    /// certificate or key, or what is missing beside the others.
    pub fn tls(&self) -> Result<Option<Arc<ClientConfig>>, String> {
        let Some(ca) = &self.ca else {
            return match (&self.cert, &self.key) {
                (None, None) => Ok(None),
                _ => Err("a certificate is shown only where the authority is given".to_owned()),
            };
        };
        let mut roots = RootCertStore::empty();
        for authority in certificates(ca)? {
            let added = roots.add(authority);
            added.map_err(|error| format!("{}: {error}", ca.display()))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let config = match (&self.cert, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", key.display());
                let read = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(&error))?;
                builder
                    .with_client_auth_cert(certificates(cert)?, read)
                    .map_err(|error| wrong(&error))?
            }
            _ => return Err("a certificate and its key are given together".to_owned()),
        };
        Ok(Some(Arc::new(config)))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| wrong(&error))?
        .collect();
    match read {
        Ok(found) if found.is_empty() => Err(wrong(&"holds no certificate in PEM")),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(&error)),
    }
}
