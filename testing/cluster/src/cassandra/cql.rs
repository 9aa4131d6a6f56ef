//! The few messages of CQL's protocol, version 4, that show whether a node can be used.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use crate::http;

const STARTUP: u8 = 1;
const OPTIONS: u8 = 5;
const QUERY: u8 = 7;

const READY: u8 = 2;
const SUPPORTED: u8 = 6;
const RESULT: u8 = 8;

/// Every copy of what is read must answer.
const ALL: u16 = 5;

const BODY_BYTES_MAX: u32 = 1 << 20;

/// Whether the node speaks it.
pub(super) fn is_cql_ready(address: &str) -> Result<(), String> {
    let answer = http::connect(address).and_then(|mut node| ask(&mut node, OPTIONS, &[]));
    expect(SUPPORTED, answer)
}

/// Whether the node reads a table of which each of three nodes has a copy, from all of them: for that it must know
/// each of them to be alive.
pub(super) fn has_full_quorum(address: &str) -> Result<(), String> {
    let mut node = http::connect(address).map_err(|error| error.to_string())?;
    let version = [&[0, 1], &*text("CQL_VERSION"), &*text("3.0.0")].concat();
    expect(READY, ask(&mut node, STARTUP, &version))?;
    let query = b"SELECT count(*) FROM system_distributed.view_build_status";
    let length = u32::try_from(query.len()).unwrap_or_default().to_be_bytes();
    let query = [&length, &query[..], &ALL.to_be_bytes(), &[0]].concat();
    expect(RESULT, ask(&mut node, QUERY, &query))
}

/// A string with its length before it.
fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or_default();
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// Sends a frame; gives what kind the answer is, and its body.
fn ask(node: &mut TcpStream, kind: u8, body: &[u8]) -> io::Result<(u8, Vec<u8>)> {
    let length = u32::try_from(body.len()).unwrap_or_default();
    node.write_all(&[&[4, 0, 0, 1, kind], &length.to_be_bytes()[..], body].concat())?;
    let mut head = [0; 9];
    node.read_exact(&mut head)?;
    let [0x84, _, 0, 1, kind, a, b, c, d] = head else {
        return Err(io::Error::other(format!("it answers {head:?}")));
    };
    let length = u32::from_be_bytes([a, b, c, d]).min(BODY_BYTES_MAX);
    let mut body = Vec::new();
    node.take(length.into()).read_to_end(&mut body)?;
    Ok((kind, body))
}

fn expect(kind: u8, answer: io::Result<(u8, Vec<u8>)>) -> Result<(), String> {
    match answer {
        Ok((said, _)) if said == kind => Ok(()),
        Ok((said, body)) => Err(format!("{said}: {}", String::from_utf8_lossy(&body))),
        Err(error) => Err(error.to_string()),
    }
}
