//! Minimal clients of the servers, without their drivers.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

pub(crate) mod nats;
pub(crate) mod redis;

/// Whether a process with this id exists; a zombie counts as gone.
pub(crate) fn is_alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// Looks until there is something.
#[expect(
    clippy::disallowed_methods,
    reason = "no runtime here whose timer could be awaited"
)]
pub(crate) fn until<T>(seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {seconds} s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn connect(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

pub(crate) fn lines(from: impl Read) -> impl Iterator<Item = String> {
    BufReader::new(from).lines().map_while(Result::ok)
}

/// The whole answer to a GET.
pub(crate) fn http(address: &str, path: &str) -> String {
    let mut stream = connect(address).expect("connect");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
