//! Configuration: reads options, environment and file, and merges them into settings.
//!
//! Every option can be given in three places, the command line over the environment over the file. All
//! faults are found before any of them is reported, and nothing is opened or bound while there are any.

mod access;
mod arguments;
mod back_ends;
mod environment;
mod error;
mod file;
mod help;
mod options;
mod parsers;
mod settings;
mod sources;
mod token;

use std::ffi::OsString;

pub use error::ConfigError;
pub use help::{help, version};
pub use settings::{
    Access, LogAccess, LogBackEnd, LogFormat, PresenceBackEnd, Role, Settings, StoreBackEnd,
    TokenKey,
};
pub use token::TokenOptions;

use arguments::Arguments;
use sources::{Arity, RawOptions};

/// The exit status of a wrong configuration (`EX_CONFIG` of sysexits.h).
pub const STATUS_WRONG: u8 = 78;

/// What the process is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Serve until a stop signal.
    Serve(Settings),
    /// Report what a start would find, and exit.
    Check(Settings),
    /// Write into the store what ingest had to set aside.
    Replay(Settings),
    /// Print an access token.
    Token(TokenOptions),
    /// Print how to use this.
    Help,
    /// Print what this is.
    Version,
}

/// What was read, or everything that is wrong with it; and what is odd, either way.
#[derive(Debug)]
pub struct Reading {
    /// The command, or all the faults there are.
    pub command: Result<Command, Vec<ConfigError>>,
    /// Worth a warning, no reason to stop.
    pub oddities: Vec<ConfigError>,
}

/// Reads the configuration from the process's arguments (without its own name) and environment.
pub fn read(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Reading {
    let mut faults = Vec::new();
    let mut oddities = Vec::new();
    let arguments = Arguments::read(arguments, &mut faults);
    if let Some(command) = arguments.wants_subcommand() {
        return Reading {
            command: Ok(command),
            oddities,
        };
    }
    let mut given = RawOptions::default();
    environment::read(environment, &mut given, &mut faults, &mut oddities);
    let file = arguments
        .config_file()
        .or_else(|| given.one("config", &mut faults));
    if let Some(file) = file {
        file::read(&file, &mut given, &mut faults);
    }
    let verb = arguments.verb;
    given.override_with(arguments.options);

    let command = match verb {
        arguments::Subcommand::Serve => Command::Serve(settings(&given, &mut faults)),
        arguments::Subcommand::Check => Command::Check(settings(&given, &mut faults)),
        arguments::Subcommand::Replay => Command::Replay(settings(&given, &mut faults)),
        arguments::Subcommand::Token => Command::Token(token::read(&given, &mut faults)),
    };
    Reading {
        command: if faults.is_empty() {
            Ok(command)
        } else {
            Err(faults)
        },
        oddities,
    }
}

fn settings(given: &RawOptions, faults: &mut Vec<ConfigError>) -> Settings {
    let mut settings = Settings::default();
    given.apply(options::OPTIONS, &mut settings, faults);
    access::check(&settings, faults);
    settings
}

/// How an option is written: what follows it, and whether there may be several.
fn shape_of(name: &str) -> Option<Arity> {
    if name == "config" {
        return Some(Arity::One);
    }
    options::OPTIONS
        .iter()
        .find(|option| option.name == name)
        .map(|option| option.shape)
}

/// The option's name in the environment: `ROOMCAST_TOKEN_KEY` for `token-key`.
fn variable_of(name: &str) -> String {
    format!("ROOMCAST_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// The option's name in the file: `token_key` for `token-key`.
fn key_of(name: &str) -> String {
    name.replace('-', "_")
}
