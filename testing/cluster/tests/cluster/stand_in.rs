//! Stands in for `roomcast` in the tests of the fleet: accepts its options, prints the ready line, and answers
//! every call with who it is.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "token") {
        return std::fs::create_dir_all(option(&arguments, "--data"));
    }
    let role = option(&arguments, "--role").to_owned();
    let admin = TcpListener::bind(option(&arguments, "--admin"))?;
    let calls = TcpListener::bind(option(&arguments, "--listen"))?;
    let ready = thread::spawn(move || serve(&admin, "ready"));
    serve(&calls, &role);
    ready
        .join()
        .map_err(|_| std::io::Error::other("the admin port has failed"))
}

/// An option that every process of a fleet has.
fn option<'a>(arguments: &'a [String], name: &str) -> &'a str {
    let at = arguments.iter().position(|argument| argument == name);
    at.and_then(|at| arguments.get(at + 1))
        .map_or("", String::as_str)
}

fn serve(listener: &TcpListener, answer: &str) {
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            scope.spawn(move || reply(stream, answer));
        }
    });
}

/// Answers the first request of a connection and closes it.
fn reply(mut stream: TcpStream, answer: &str) -> std::io::Result<()> {
    let request = BufReader::new(stream.try_clone()?).lines();
    let whole = request.map_while(Result::ok).any(|line| line.is_empty());
    if whole {
        let length = answer.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{answer}"
        )?;
    }
    Ok(())
}
