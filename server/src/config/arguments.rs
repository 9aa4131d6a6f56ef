//! The command line, split into options before their values are parsed.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::error::ConfigError;
use super::sources::{Arity, Values};
use super::{Command, shape_of, token};

/// What the first word asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subcommand {
    Serve,
    Check,
    Replay,
    Token,
}

impl Subcommand {
    fn shape_of(self, name: &str) -> Option<Arity> {
        match self {
            Self::Serve | Self::Check | Self::Replay => shape_of(name),
            Self::Token => token::shape_of(name),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "roomcast",
            Self::Check => "roomcast check",
            Self::Replay => "roomcast replay",
            Self::Token => "roomcast token",
        }
    }
}

/// The command line, read.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) verb: Subcommand,
    pub(super) options: BTreeMap<String, Values>,
    help: bool,
    version: bool,
}

impl Arguments {
    pub(super) fn read(
        arguments: impl IntoIterator<Item = OsString>,
        faults: &mut Vec<ConfigError>,
    ) -> Self {
        let mut words = arguments
            .into_iter()
            .filter_map(|argument| match argument.into_string() {
                Ok(word) => Some(word),
                Err(argument) => {
                    let place = argument.to_string_lossy().into_owned();
                    faults.push(ConfigError::new(place, "is not UTF-8"));
                    None
                }
            })
            .collect::<Vec<_>>()
            .into_iter()
            .peekable();
        let verb = match words.peek().map(String::as_str) {
            Some("check") => Subcommand::Check,
            Some("replay") => Subcommand::Replay,
            Some("token") => Subcommand::Token,
            _ => Subcommand::Serve,
        };
        if verb != Subcommand::Serve {
            words.next();
        }
        let mut read = Self {
            verb,
            options: BTreeMap::new(),
            help: false,
            version: false,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => read.help = true,
                "--version" | "-V" => read.version = true,
                _ => read.option(&word, &mut words, faults),
            }
        }
        read
    }

    /// The command that needs nothing but words, if one was asked for; faults do not matter then.
    pub(super) fn wants_subcommand(&self) -> Option<Command> {
        if self.help {
            Some(Command::Help)
        } else if self.version {
            Some(Command::Version)
        } else {
            None
        }
    }

    pub(super) fn config_file(&self) -> Option<String> {
        self.options
            .get("config")?
            .entries
            .as_ref()
            .ok()?
            .first()
            .cloned()
    }

    fn option(
        &mut self,
        word: &str,
        rest: &mut std::iter::Peekable<impl Iterator<Item = String>>,
        faults: &mut Vec<ConfigError>,
    ) {
        let Some(option) = word.strip_prefix("--").filter(|option| !option.is_empty()) else {
            let says = format!("{} takes no such word", self.verb.as_str());
            faults.push(ConfigError::new(word, says));
            return;
        };
        let (name, inline) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (option, None),
        };
        let value = inline.or_else(|| rest.next_if(|next| !next.starts_with("--")));
        let place = format!("--{name}");
        let Some(shape) = self.verb.shape_of(name) else {
            let says = format!("{} has no such option", self.verb.as_str());
            faults.push(ConfigError::new(place, says));
            return;
        };
        let Some(value) = value else {
            faults.push(ConfigError::new(place, "needs a value"));
            return;
        };
        let entries = match shape {
            Arity::One | Arity::Repeated => vec![value],
            Arity::List => shape.split(&value),
        };
        let values = self
            .options
            .entry(name.to_owned())
            .or_insert_with(|| Values {
                place,
                entries: Ok(Vec::new()),
            });
        if let Ok(kept) = &mut values.entries {
            if shape == Arity::One && !kept.is_empty() {
                values.entries = Err("is given more than once".to_owned());
            } else {
                kept.extend(entries);
            }
        }
    }
}
