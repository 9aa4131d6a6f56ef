//! The environment: every option as `ROOMCAST_…`.
//!
//! A variable nobody knows is only odd: container platforms set their own, such as
//! `ROOMCAST_SERVICE_HOST` for a service called roomcast.

use std::ffi::OsString;

use super::fault::Fault;
use super::given::{Given, Values};
use super::{options, shape_of, variable_of};

pub(super) fn read(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    given: &mut Given,
    faults: &mut Vec<Fault>,
    oddities: &mut Vec<Fault>,
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
            oddities.push(Fault::new(variable, "is no option, and was not read"));
            continue;
        };
        let Some(shape) = shape_of(name) else {
            continue;
        };
        match value.into_string() {
            Ok(value) => given.add_weaker(
                name,
                Values {
                    place: variable.to_owned(),
                    entries: Ok(shape.split(&value)),
                },
            ),
            Err(_) => faults.push(Fault::new(variable, "is not UTF-8")),
        }
    }
}
