//! One inline command to Redis.

use std::io::Write as _;

use super::{connect, lines};

/// The first line of the answer.
pub(crate) fn ask(address: &str, command: &str) -> String {
    try_ask(address, command).expect(command)
}

/// The first line of the answer, if there is one.
pub(crate) fn try_ask(address: &str, command: &str) -> Result<String, String> {
    let mut stream = connect(address).map_err(|error| error.to_string())?;
    write!(stream, "{command}\r\n").map_err(|error| error.to_string())?;
    lines(stream).next().ok_or_else(|| "no answer".to_owned())
}
