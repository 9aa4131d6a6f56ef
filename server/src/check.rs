//! `roomcast check`: what a start with these settings would find, without starting.
//!
//! It changes nothing: a data directory that does not exist is left to the first start, and one that a
//! running server holds is not touched. That one is reported as a failure, since a start would fail too.

use std::io::Write as _;

use roomcast_accounts::Issuer;
use roomcast_embedded::{Embedded, OpenError};

use crate::config::Settings;

/// Reports on standard output; whether everything is as a start needs it.
pub fn report(settings: &Settings) -> bool {
    let mut report = Report { fine: true };
    let roles: Vec<_> = settings.roles.iter().map(|role| role.as_str()).collect();
    fine("configuration", "can be used");
    fine("roles", &roles.join(", "));
    check_data(settings, &mut report);
    for key in &settings.token_keys {
        fine("--token-key", &format!("{} can be read", key.written()));
    }
    report.fine
}

struct Report {
    fine: bool,
}

impl Report {
    fn wrong(&mut self, what: &str, says: &str) {
        self.fine = false;
        line("FAILED", what, says);
    }
}

fn fine(what: &str, says: &str) {
    line("ok", what, says);
}

fn line(verdict: &str, what: &str, says: &str) {
    // Whoever closed our standard output still gets the status.
    let _ = writeln!(std::io::stdout(), "{verdict:<6}  {what}: {says}");
}

fn check_data(settings: &Settings, report: &mut Report) {
    let data = &settings.data;
    let shown = data.display();
    if !data.exists() {
        fine(
            "--data",
            &format!("{shown} does not exist yet; the first start makes it"),
        );
        return;
    }
    match Embedded::open(data) {
        Ok(embedded) => {
            embedded.close();
            let says = format!("log, store and presence are embedded in {shown}, and open");
            fine("--data", &says);
        }
        Err(OpenError::Locked { .. }) => {
            let says = format!(
                "{shown} is in use by another process, such as a running roomcast; a second start would fail"
            );
            report.wrong("--data", &says);
        }
        Err(error) => report.wrong("--data", &format!("{shown}: {}", chain(&error))),
    }
    if data.join("signing-key.pem").exists() {
        match Issuer::open(data) {
            Ok(_) => fine("signing key", "can be used"),
            Err(error) => report.wrong("signing key", &chain(&error)),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    let mut text = error.to_string();
    for cause in causes {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    text
}
