//! The TOML file: every option by its name with `_`, lists as arrays or separated by commas.

use toml::{Table, Value};

use super::error::ConfigError;
use super::sources::{Arity, RawOptions, Values};
use super::{key_of, options, shape_of};

/// Bytes of a file that can be a configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

pub(super) fn read(path: &str, given: &mut RawOptions, faults: &mut Vec<ConfigError>) {
    let table = match load(path) {
        Ok(table) => table,
        Err(says) => {
            faults.push(ConfigError::new(format!("--config {path}"), says));
            return;
        }
    };
    for (key, value) in table {
        let place = format!("{key} in {path}");
        // The file cannot name another one.
        let known = options::names().find(|name| *name != "config" && key_of(name) == key);
        let Some((name, shape)) = known.and_then(|name| Some((name, shape_of(name)?))) else {
            faults.push(ConfigError::new(place, "is no option"));
            continue;
        };
        let entries = entries(&value, shape);
        given.merge_lower_priority(name, Values { place, entries });
    }
}

fn load(path: &str) -> Result<Table, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(format!("is larger than {FILE_BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    text.parse::<Table>().map_err(|error| {
        let line = error
            .span()
            .map_or(0, |span| text[..span.start.min(text.len())].lines().count());
        format!("is not TOML: line {}: {}", line.max(1), error.message())
    })
}

fn entries(value: &Value, shape: Arity) -> Result<Vec<String>, String> {
    match value {
        Value::Array(entries) if shape != Arity::One => entries.iter().map(entry).collect(),
        Value::Array(_) => Err("takes one value, not a list".to_owned()),
        Value::String(text) => Ok(shape.split(text)),
        value => entry(value).map(|entry| vec![entry]),
    }
}

fn entry(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        other => Err(format!("cannot be a {}", other.type_str())),
    }
}
