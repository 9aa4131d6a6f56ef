//! Raw option values with their sources, before they are parsed.

use std::collections::BTreeMap;

use super::error::ConfigError;

/// How an option is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    /// One value.
    One,
    /// Several, separated by commas.
    List,
    /// Several; on the command line one each time the option is given, elsewhere separated by commas.
    Repeated,
}

impl Arity {
    /// The entries of a text outside the command line.
    pub(super) fn split(self, text: &str) -> Vec<String> {
        match self {
            Self::One => vec![text.to_owned()],
            Self::List | Self::Repeated if text.trim().is_empty() => Vec::new(),
            Self::List | Self::Repeated => text
                .split(',')
                .map(|entry| entry.trim().to_owned())
                .collect(),
        }
    }
}

/// An option: how it is written, what it is for, and what it does to the settings.
pub(super) struct OptionSpec<T: 'static> {
    /// As on the command line, without the dashes.
    pub(super) name: &'static str,
    /// What stands for its value in the help.
    pub(super) value: &'static str,
    /// As one would write it; empty for none.
    pub(super) default: &'static str,
    /// One value or several.
    pub(super) shape: Arity,
    /// A few words on what it is for.
    pub(super) help: &'static str,
    /// Parses the values into settings. The error names the value and what is wrong with it.
    pub(super) take: fn(&mut T, &[String]) -> Result<(), String>,
}

/// Values of one option from one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Values {
    /// Where they stand, as a fault names it.
    pub(super) place: String,
    /// The values, or why they cannot be any.
    pub(super) entries: Result<Vec<String>, String>,
}

/// By option, the value of the source with the highest priority.
#[derive(Debug, Default)]
pub(super) struct RawOptions {
    by_name: BTreeMap<String, Values>,
}

impl RawOptions {
    /// Keeps the values unless a stronger source has given some already.
    pub(super) fn merge_lower_priority(&mut self, name: &str, values: Values) {
        self.by_name.entry(name.to_owned()).or_insert(values);
    }

    /// Puts the values of a stronger source over what is there.
    pub(super) fn override_with(&mut self, stronger: BTreeMap<String, Values>) {
        self.by_name.extend(stronger);
    }

    /// The one value of an option that is needed before all others.
    pub(super) fn one(&self, name: &str, faults: &mut Vec<ConfigError>) -> Option<String> {
        let values = self.by_name.get(name)?;
        match &values.entries {
            Ok(entries) => entries.first().cloned(),
            Err(says) => {
                faults.push(ConfigError::new(&values.place, says));
                None
            }
        }
    }

    /// Hands every option of the table that was given to what takes it.
    pub(super) fn apply<T>(
        &self,
        options: &[OptionSpec<T>],
        settings: &mut T,
        faults: &mut Vec<ConfigError>,
    ) {
        for option in options {
            let Some(values) = self.by_name.get(option.name) else {
                continue;
            };
            let taken = match &values.entries {
                Ok(entries) => (option.take)(settings, entries),
                Err(says) => Err(says.clone()),
            };
            faults.extend(
                taken
                    .err()
                    .map(|says| ConfigError::new(&values.place, says)),
            );
        }
    }

    /// Whether a source gave it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }
}
