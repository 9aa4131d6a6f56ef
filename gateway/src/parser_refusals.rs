//! Turns refusals of the HTTP parser into problem documents.
//!
//! hyper answers a head that it cannot parse with a status and an empty body, and offers no hook. The
//! wrapper of the stream recognizes that head as it is written and writes a problem document instead.
//! [`framing`] refuses what the parser takes although RFC 9112 does not allow it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::{Buf as _, Bytes};
use roomcast_protocol::Refusal;
use roomcast_protocol::api::Problem;
use roomcast_protocol::limits::{REFUSED_HEAD_BYTES_MAX, REFUSED_HEAD_LINGER};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// No head that hyper writes by itself is longer, in bytes.
const BARE_HEAD_BYTES_MAX: usize = 256;

/// A stream on which the parser's refusals are problem documents.
///
/// The head is recognized when it is the whole of one write, which it is because a parser's refusal is
/// the last thing on a connection and everything before it was flushed. Where it is not, after a reader
/// that is slow, the refusal keeps its empty body.
#[derive(Debug)]
pub struct ParserRefusals<S> {
    stream: S,
    /// Made when the parser has refused a head.
    refused: Option<Refused>,
}

/// A connection that ends with a refusal.
#[derive(Debug)]
struct Refused {
    /// Bytes of the answer that are not yet written.
    answer: Bytes,
    /// Bytes of the request that may still be read and dropped.
    rest: usize,
    linger: Option<Pin<Box<Sleep>>>,
}

impl<S> ParserRefusals<S> {
    /// Wraps the stream.
    pub fn new(stream: S) -> Self {
        let refused = None;
        Self { stream, refused }
    }

    /// The stream itself, for another protocol.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncWrite + Unpin> ParserRefusals<S> {
    fn take_note(&mut self, written: &[u8]) -> bool {
        let Some(answer) = document_instead_of(written) else {
            return false;
        };
        self.refused = Some(Refused {
            answer: answer.into(),
            rest: REFUSED_HEAD_BYTES_MAX,
            linger: None,
        });
        true
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(refused) = &mut self.refused else {
            return Poll::Ready(Ok(()));
        };
        while !refused.answer.is_empty() {
            let stream = Pin::new(&mut self.stream);
            match ready!(stream.poll_write(context, &refused.answer))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => refused.answer.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ParserRefusals<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ParserRefusals<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.take_note(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_answer(context))?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [bytes] = parts {
            return self.poll_write(context, bytes);
        }
        ready!(self.poll_answer(context))?;
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(context))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        let this = &mut *self;
        let Some(refused) = &mut this.refused else {
            return Poll::Ready(Ok(()));
        };
        // A socket closed over unread bytes is reset, and the reset can overtake the answer.
        let linger = refused
            .linger
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(REFUSED_HEAD_LINGER)));
        let mut scratch = [0; 2_048];
        while refused.rest > 0 && linger.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    refused.rest = refused.rest.saturating_sub(buffer.filled().len());
                }
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The answer that replaces a head without a body that hyper writes by itself.
fn document_instead_of(written: &[u8]) -> Option<Vec<u8>> {
    if written.len() > BARE_HEAD_BYTES_MAX || !written.starts_with(b"HTTP/1.") {
        return None;
    }
    let head = std::str::from_utf8(written)
        .ok()?
        .strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?;
    // No answer of ours is empty and refuses.
    lines.find(|line| line.eq_ignore_ascii_case("content-length: 0"))?;
    let (status, message) = match status {
        "400" => (StatusCode::BAD_REQUEST, "this is no request of HTTP"),
        "414" => (StatusCode::URI_TOO_LONG, "the address is too long"),
        "431" => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the headers are too large",
        ),
        _ => return None,
    };
    let body = document(status, &Refusal::bad_frame(message));
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n\
         content-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    if let Some(date) = head.split("\r\n").find(|line| line.starts_with("date: ")) {
        answer.push_str(date);
        answer.push_str("\r\n");
    }
    answer.push_str("\r\n");
    Some([answer.into_bytes(), body].concat())
}

/// The bytes of the problem document.
pub(crate) fn document(status: StatusCode, refusal: &Refusal) -> Vec<u8> {
    let title = status.canonical_reason().unwrap_or_default();
    serde_json::to_vec(&Problem::new(status.as_u16(), title, refusal)).unwrap_or_default()
}

/// Answers a request that [`framing`] refuses.
pub fn refuse<B>(request: &Request<B>) -> Option<Response<Body>> {
    let refusal = framing(request).err()?;
    let mut response = Response::new(Body::from(document(StatusCode::BAD_REQUEST, &refusal)));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    for (name, value) in [
        (header::CONTENT_TYPE, "application/problem+json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONNECTION, "close"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    Some(response)
}

/// Refuses a request whose end or whose host two readers could judge differently (RFC 9112, 3.2 and 6).
///
/// The edge refuses the same requests, and passes them to a gateway unread for the answer
/// (`deploy/haproxy`): what this takes must be no more than what the edge takes.
fn framing<B>(request: &Request<B>) -> Result<(), Refusal> {
    let headers = request.headers();
    for name in [header::HOST, header::CONTENT_LENGTH] {
        if headers.get_all(&name).iter().nth(1).is_some() {
            return Err(Refusal::bad_frame(format!("more than one header {name}")));
        }
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Refusal::bad_frame("Transfer-Encoding must be chunked"));
    }
    if *request.method() == Method::CONNECT {
        return Err(Refusal::bad_frame("this is no proxy"));
    }
    let (authority, host) = (request.uri().authority(), headers.get(header::HOST));
    if let (Some(authority), Some(host)) = (authority, host)
        && !host
            .as_bytes()
            .eq_ignore_ascii_case(authority.as_str().as_bytes())
    {
        return Err(Refusal::bad_frame("the address and Host differ"));
    }
    Ok(())
}
