//! The environment: every option as `ROOMCAST_…`.
//!
//! An unknown variable is only a warning: container platforms set their own, such as
//! `ROOMCAST_SERVICE_HOST` for a service called roomcast.

use std::ffi::OsString;

use super::error::ConfigError;
use super::sources::{RawOptions, Values};
use super::{options, shape_of, variable_of};

pub(super) fn read(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    given: &mut RawOptions,
    faults: &mut Vec<ConfigError>,
    oddities: &mut Vec<ConfigError>,
) {
    for (variable, value) in environment {
        let Some(variable) = variable
            .to_str()
            .filter(|name| name.starts_with("ROOMCAST_"))
        else {
            continue;
        };
        let known = options::names().find(|name| variable_of(name) == variable);
        let Some(name) = known else {
            oddities.push(ConfigError::new(variable, "is no option, and was not read"));
            continue;
        };
        let Some(shape) = shape_of(name) else {
            continue;
        };
        match value.into_string() {
            Ok(value) => given.merge_lower_priority(
                name,
                Values {
                    place: variable.to_owned(),
                    entries: Ok(shape.split(&value)),
                },
            ),
            Err(_) => faults.push(ConfigError::new(variable, "is not UTF-8")),
        }
    }
}
