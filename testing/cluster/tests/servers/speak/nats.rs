//! One request over the NATS protocol.

use std::io::Write as _;

use super::{connect, lines};

/// The answer to a request; a refusal fails the test.
pub(crate) fn request(address: &str, subject: &str, body: &str) -> String {
    try_request(address, subject, body).expect(subject)
}

/// The answer to a request, or what the server refused it with.
pub(crate) fn try_request(address: &str, subject: &str, body: &str) -> Result<String, String> {
    let mut stream = connect(address).map_err(|error| error.to_string())?;
    let length = body.len();
    write!(
        stream,
        "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {length}\r\n{body}\r\n"
    )
    .map_err(|error| error.to_string())?;
    let mut lines = lines(stream);
    while let Some(line) = lines.next() {
        if line.starts_with("-ERR") {
            return Err(line);
        }
        if line.starts_with("MSG ") {
            return lines.next().ok_or_else(|| "the answer is cut".to_owned());
        }
    }
    Err("no answer".to_owned())
}
