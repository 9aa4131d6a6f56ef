//! The texts of `--help` and `--version`, generated from the option tables.

use super::sources::OptionSpec;
use super::{options, token};

const USAGE: &str = "\
Roomcast: real-time chat in one program.

Usage:
  roomcast [OPTIONS]                         serve
  roomcast check [OPTIONS]                   say what a start with these options would find
  roomcast replay [OPTIONS]                  write into the store what ingest had to set aside
  roomcast token --sub USER [TOKEN OPTIONS]  print an access token signed with the key of --data

Options (each also as ROOMCAST_… in the environment, or with _ in the file):
";

/// What `--help` prints.
pub fn help() -> String {
    let mut text = USAGE.to_owned();
    for option in options::OPTIONS {
        add(&mut text, option);
    }
    line(&mut text, "--config FILE", "a TOML file with these options");
    line(&mut text, "--help", "this page");
    line(&mut text, "--version", "what this is");
    text.push_str("\nToken options (and --data, --config):\n");
    for option in token::OPTIONS {
        add(&mut text, option);
    }
    text
}

/// What `--version` prints.
pub fn version() -> String {
    format!("roomcast {}\n", env!("CARGO_PKG_VERSION"))
}

fn add<T>(text: &mut String, option: &OptionSpec<T>) {
    let written = format!("--{} {}", option.name, option.value);
    match option.default {
        "" => line(text, &written, option.help),
        default => line(text, &written, &format!("{} [{default}]", option.help)),
    }
}

fn line(text: &mut String, option: &str, help: &str) {
    text.push_str("  ");
    text.push_str(option);
    // Padded by characters: the placeholders are not all ASCII.
    let width = option.chars().count();
    text.extend(std::iter::repeat_n(
        ' ',
        28_usize.saturating_sub(width).max(1),
    ));
    text.push_str(help);
    text.push('\n');
}
