//! The program `loadtest`: parses the command line, runs, and exits with the result's status.

use std::process::ExitCode;

fn main() -> ExitCode {
    roomcast_loadtest::run(std::env::args().skip(1))
}
