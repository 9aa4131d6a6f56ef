//! The connection loop of a client: connect, receive, back off, reconnect.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use fastwebsockets::{WebSocketError, handshake};
use http_body_util::Empty;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use roomcast_protocol::Seq;
use serde::Deserialize;
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::task::TaskTracker;

use super::Worker;
use super::client::{Client, SubscriptionState};
use crate::codec::{Message, Reader};
use crate::plan::as_f64;
use roomcast_checker::history::{Disconnect, Event, Page, PageQuery};

/// Timeout of connecting, and of the upgrade.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit of connections per local and remote address; the kernel has 28,000 ephemeral ports.
const PER_SOURCE_ADDRESS: u32 = 25_000;
/// Poll interval of a paused slow reader.
const STALLED: Duration = Duration::from_millis(50);
/// Receive buffer of a slow reader, the minimum.
const SLOW_RECEIVE_BYTES: u32 = 4_096;
/// Events per page of history.
const PAGE: usize = 200;

thread_local! {
    static FUTURE_BYTES: Cell<u64> = const { Cell::new(0) };
}

/// Size of the future of a connection, once one exists.
pub(super) fn future_bytes() -> u64 {
    FUTURE_BYTES.get()
}

/// Starts every client at its time.
pub(super) async fn connect_all(worker: Rc<Worker>, from: u64) {
    for client in &worker.clients {
        let after =
            Duration::from_secs_f64(as_f64(client.connection as usize) / worker.settings.ramp);
        let at = from + crate::clock::micros(after);
        if worker.clock.now() < at {
            tokio::time::sleep(worker.clock.until(at)).await;
        }
        if worker.over.get() {
            return;
        }
        let live = live(Rc::clone(&worker), client.index);
        FUTURE_BYTES.set(size_of_val(&live) as u64);
        worker.tasks.spawn_local(live);
    }
}

/// Runs a client until the end of the run. Rare paths are boxed to keep the future small.
async fn live(worker: Rc<Worker>, index: u32) {
    loop {
        let client = worker.client(index);
        let stay_away = match Box::pin(connect(&worker, client)).await {
            Ok(stream) => {
                let end = listen(&worker, client, &stream).await;
                client.ended(&worker, end)
            }
            Err(why) => {
                let mut stats = worker.stats.borrow_mut();
                stats.counts.connect_failed += 1;
                stats.error(&why);
                drop(stats);
                client.session.borrow_mut().endpoint += 1;
                Some(client.backoff(&worker))
            }
        };
        match stay_away {
            Some(us) if !worker.over.get() => {
                Box::pin(tokio::time::sleep(Duration::from_micros(us))).await;
            }
            _ => return,
        }
    }
}

/// Receives frames until the connection ends.
async fn listen(worker: &Rc<Worker>, client: &Client, stream: &TcpStream) -> Disconnect {
    let mut reader = Reader::default();
    loop {
        if poll_fn(|context| stream.poll_read_ready(context))
            .await
            .is_err()
        {
            return Disconnect::Lost;
        }
        while client.slow && worker.stalled.get() && !worker.over.get() {
            Box::pin(tokio::time::sleep(STALLED)).await;
        }
        let mut buffer = worker.read_buffer.borrow_mut();
        match stream.try_read(&mut buffer) {
            Ok(0) => return Disconnect::Lost,
            Ok(count) => {
                if let Some(end) = read_frames(worker, client, &mut reader, &buffer[..count]) {
                    return end;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Disconnect::Lost,
        }
    }
}

fn read_frames(
    worker: &Rc<Worker>,
    client: &Client,
    reader: &mut Reader,
    bytes: &[u8],
) -> Option<Disconnect> {
    let now = worker.clock.now();
    worker.stats.borrow_mut().counts.bytes += bytes.len() as u64;
    let mut end = None;
    let taken = reader.take(bytes, &mut |item| {
        match item {
            Message::Text(text) => client.on_frame(worker, text, now),
            Message::Ping(payload) => client.send_pong(worker, payload),
            Message::Pong => {}
            Message::Close(code) => end = Some(Disconnect::Closed(code.unwrap_or(1005))),
        }
        end.is_none()
    });
    if let Err(broken) = taken {
        worker.stats.borrow_mut().error(broken.0);
        return Some(Disconnect::Lost);
    }
    end
}

/// Connects and upgrades; returns the socket, with early frames already handled, or the error to count.
async fn connect(worker: &Rc<Worker>, client: &Client) -> Result<Rc<TcpStream>, String> {
    let _permit = worker
        .handshakes
        .acquire()
        .await
        .map_err(|error| error.to_string())?;
    let endpoint = {
        let mut session = client.session.borrow_mut();
        session.began = worker.clock.now();
        let endpoints = &worker.settings.endpoints;
        &endpoints[session.endpoint as usize % endpoints.len()]
    };
    let stream = tokio::time::timeout(CALL_TIMEOUT, open(client, endpoint.address)).await;
    let stream = stream
        .map_err(|_| "connect: no answer".to_owned())?
        .map_err(|error| format!("connect: {}", error.kind()))?;
    let token = worker
        .token(client)
        .map_err(|error| format!("token: {error:#}"))?;
    let request = Request::builder()
        .method("GET")
        .uri("/v1/ws")
        .header("host", &endpoint.authority)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", handshake::generate_key())
        .header("sec-websocket-protocol", "roomcast.v1")
        .header("authorization", format!("Bearer {token}"))
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let spawner = Spawner(worker.tasks.clone());
    let upgraded =
        tokio::time::timeout(CALL_TIMEOUT, handshake::client(&spawner, request, stream)).await;
    let (socket, _) = upgraded
        .map_err(|_| "upgrade: no answer".to_owned())?
        .map_err(|error| match error {
            WebSocketError::InvalidStatusCode(status) => format!("upgrade: HTTP {status}"),
            other => format!("upgrade: {other}"),
        })?;
    // From here on we read by ourselves: the crate's reader would take 8 KiB for each connection.
    let parts = socket
        .into_inner()
        .into_inner()
        .downcast::<TokioIo<TcpStream>>();
    let parts = parts.map_err(|_| "upgrade: not our socket".to_owned())?;
    let stream = Rc::new(parts.io.into_inner());
    client.connected(worker, &stream, &endpoint.authority);
    if read_frames(worker, client, &mut Reader::default(), &parts.read_buf).is_some() {
        client.ended(worker, Disconnect::Lost);
        return Err("closed at once".to_owned());
    }
    Ok(stream)
}

async fn open(client: &Client, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if client.slow {
        socket.set_recv_buffer_size(SLOW_RECEIVE_BYTES)?;
    }
    let source = client.connection / PER_SOURCE_ADDRESS;
    if source > 0 && to.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) {
        let last = u8::try_from(1 + source % 250).expect("below 251");
        socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
    }
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Client {
    fn connected(&self, worker: &Worker, stream: &Rc<TcpStream>, gateway: &str) {
        let now = worker.clock.now();
        worker.connections.set(worker.connections.get() + 1);
        worker.stats.borrow_mut().counts.connected += 1;
        *self.stream.borrow_mut() = Some(Rc::clone(stream));
        let user = worker.names.user(self.connection);
        *self.log.borrow_mut() = Some(worker.recorder.connection(now, &user, gateway));
        let mut session = self.session.borrow_mut();
        session.last_received = now;
        session.last_sent = now;
        session.leaving = None;
    }
}

impl Worker {
    /// The token of a client.
    fn token(&self, client: &Client) -> anyhow::Result<String> {
        match (&self.signer, &self.names.given) {
            (Some(signer), _) => signer.user(&self.names.user(client.connection)),
            (None, Some(given)) => Ok(given.accounts[client.connection as usize]
                .access_token
                .clone()),
            (None, None) => anyhow::bail!("there is neither a key nor an account"),
        }
    }
}

/// Renews the token of a connection before it expires.
pub(super) async fn renew(worker: Rc<Worker>, index: u32) {
    let client = worker.client(index);
    let token = match &worker.names.given {
        None => worker.token(client),
        Some(given) => {
            refresh(
                &worker,
                &given.accounts[client.connection as usize].refresh_token,
            )
            .await
        }
    };
    match token {
        Ok(token) => client.send_token(&worker, &token),
        Err(_) => worker.stats.borrow_mut().error("token not renewed"),
    }
}

async fn refresh(worker: &Worker, refresh_token: &str) -> anyhow::Result<String> {
    let body = json!({ "refreshToken": refresh_token });
    let reply = worker
        .api
        .call(&Method::POST, "/v1/sessions/refresh", "", Some(&body))
        .await?;
    let reply: serde_json::Value = serde_json::from_slice(&reply.body)?;
    Ok(reply["accessToken"]
        .as_str()
        .context("find the token")?
        .to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageBody<'a> {
    #[serde(borrow)]
    events: Vec<Event<'a>>,
    head: Seq,
    has_more_before: bool,
    has_more_after: bool,
}

/// Reads from history what a resume did not replay.
pub(super) async fn catch_up(worker: Rc<Worker>, index: u32, room: u32, mut after: u64) {
    let client = worker.client(index);
    let generation = client.session.borrow().generation;
    let same = || client.session.borrow().generation == generation;
    while same() && !worker.over.get() {
        match page(&worker, client, room, after).await {
            Ok(Some(next)) => after = next,
            Ok(None) => break,
            Err(_) => {
                worker.stats.borrow_mut().error("history not read");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    let mut session = client.session.borrow_mut();
    if session.generation == generation {
        for cursor in session
            .cursors
            .iter_mut()
            .filter(|cursor| cursor.room == room)
        {
            cursor.last = Some(cursor.last.unwrap_or_default().max(after));
            cursor.stage = SubscriptionState::Live;
        }
        client.check_caught_up(&worker, &mut session);
    }
}

/// Reads one page; returns the start of the next, if there is more.
async fn page(
    worker: &Worker,
    client: &Client,
    room: u32,
    after: u64,
) -> anyhow::Result<Option<u64>> {
    let room_id = &worker.rooms[room as usize];
    let path = format!("/v1/rooms/{room_id}/messages?after={after}&limit={PAGE}");
    let asked_us = worker.clock.now();
    let token = worker.token(client)?;
    let reply = worker.api.call(&Method::GET, &path, &token, None).await?;
    let body: PageBody<'_> = serde_json::from_slice(&reply.body)?;
    let now = worker.clock.now();
    let page = Page {
        asked_us,
        room_id,
        asked: PageQuery::After(Seq::new(after).context("a place")?),
        head: body.head,
        has_more_before: body.has_more_before,
        has_more_after: body.has_more_after,
    };
    if let Some(log) = &*client.log.borrow() {
        log.page(now, &page, &body.events);
    }
    worker.stats.borrow_mut().counts.pages += 1;
    for event in &body.events {
        worker.count_delivery(event, now, false);
    }
    let last = body.events.last().map(|event| event.seq.get());
    Ok(last.filter(|_| body.has_more_after))
}

/// Spawns the task that drives the upgrade.
struct Spawner(TaskTracker);

impl hyper::rt::Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Spawner {
    fn execute(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(future);
    }
}
