//! The back ends by their names in the settings.

use anyhow::Context as _;
use roomcast_embedded::Embedded;

use crate::config::{BackEnd, Settings};

/// Opens everything the settings name.
pub(crate) fn open(settings: &Settings) -> anyhow::Result<Embedded> {
    match (settings.log, settings.store, settings.presence_store) {
        (BackEnd::Embedded, BackEnd::Embedded, BackEnd::Embedded) => {
            Embedded::open(&settings.data).context("--data")
        }
    }
}
