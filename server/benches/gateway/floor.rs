//! The bare loop: sockets in an epoll set, the same bytes to each, nothing else.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::net::SendFlags;

/// Bytes of one event's frame.
pub(crate) const EVENT_BYTES: usize = 204;

/// Serves until killed: for a byte `n` from any socket, sends `n` events to all with one `send()` each.
pub(crate) fn run() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    println!("{}", listener.local_addr().expect("an address"));
    std::io::stdout().flush().expect("say where");
    listener.set_nonblocking(true).expect("set non-blocking");
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
    let listening = epoll::EventData::new_u64(u64::MAX);
    epoll::add(&poll, &listener, listening, epoll::EventFlags::IN).expect("watch the listener");
    let mut sockets: Vec<TcpStream> = Vec::new();
    let bytes = vec![b'x'; EVENT_BYTES * 64];
    let mut events = Vec::with_capacity(256);
    loop {
        epoll::wait(&poll, spare_capacity(&mut events), None).expect("wait");
        for event in events.drain(..) {
            if event.data.u64() == u64::MAX {
                accept(&listener, &poll, &mut sockets);
                continue;
            }
            let mut word = [0];
            let place = usize::try_from(event.data.u64()).expect("a place");
            match (&sockets[place]).read(&mut word) {
                Ok(0) => return,
                Ok(_) => send(&sockets, &bytes[..EVENT_BYTES * usize::from(word[0])]),
                Err(_) => {}
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &impl std::os::fd::AsFd, sockets: &mut Vec<TcpStream>) {
    while let Ok((socket, _)) = listener.accept() {
        socket.set_nonblocking(true).expect("set non-blocking");
        socket.set_nodelay(true).expect("set no-delay");
        let place = epoll::EventData::new_u64(sockets.len() as u64);
        epoll::add(poll, &socket, place, epoll::EventFlags::IN).expect("watch a socket");
        sockets.push(socket);
    }
}

fn send(sockets: &[TcpStream], bytes: &[u8]) {
    for socket in sockets {
        let sent = rustix::net::send(socket.as_fd(), bytes, SendFlags::NOSIGNAL).expect("send");
        assert_eq!(sent, bytes.len(), "the readers keep up");
    }
}
