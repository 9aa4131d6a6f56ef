//! The program `loadtest`: reads its command line, runs, and says by its status what came out.

use std::process::ExitCode;

fn main() -> ExitCode {
    roomcast_loadtest::run(std::env::args().skip(1))
}
