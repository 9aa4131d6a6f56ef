//! Key sets behind a URL, from a small server of the test's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use roomcast_ports::access::Authenticator as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::external_users::{HostKey, key_set};
use super::fixture::{Fixture, TempDir};

const UNKNOWN_KEY: &str = "it is badly signed, or of an unknown key";

/// A host that serves its keys over HTTP, one reply for all.
struct Host {
    reply: watch::Sender<String>,
    asked: Arc<AtomicUsize>,
    url: String,
    _serving: JoinSet<()>,
}

impl Host {
    async fn start(reply: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, reply)
    }

    fn serve(listener: TcpListener, reply: String) -> Self {
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (reply, current) = watch::channel(reply);
        let asked = Arc::new(AtomicUsize::new(0));
        let mut serving = JoinSet::new();
        let counter = Arc::clone(&asked);
        serving.spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 4_096];
                let _ = socket.read(&mut request).await;
                counter.fetch_add(1, Ordering::SeqCst);
                let reply = current.borrow().clone();
                let _ = socket.write_all(reply.as_bytes()).await;
            }
        });
        Self {
            reply,
            asked,
            url,
            _serving: serving,
        }
    }

    fn world(&self) -> Fixture {
        Fixture::with_sources(TempDir::new(), &[&self.url])
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn ok(body: &str) -> String {
    let bytes = body.len();
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n{body}")
}

fn serves(keys: &[(&HostKey, &str)]) -> String {
    let keys: Vec<_> = keys
        .iter()
        .map(|(key, key_id)| key.jwk(Some(key_id)))
        .collect();
    ok(&key_set(&keys))
}

/// Lets the fetches' pause go by, without waiting for it.
async fn let_pass(pause: Duration) {
    tokio::time::pause();
    tokio::time::advance(pause).await;
    tokio::time::resume();
}

#[tokio::test]
async fn the_first_token_waits_for_the_set_instead_of_being_refused() {
    let key = HostKey::ed25519();
    let host = Host::start(serves(&[(&key, "a")])).await;
    let world = host.world();
    let caller = world
        .ring
        .authenticate(&key.token(Some("a")))
        .await
        .unwrap();
    assert_eq!(caller.user_id.as_str(), "host:7");
}

#[tokio::test]
async fn a_token_of_a_new_key_has_the_set_fetched_at_once() {
    let (old, new) = (HostKey::ed25519(), HostKey::p256());
    let host = Host::start(serves(&[(&old, "old")])).await;
    let world = host.world();
    world
        .ring
        .authenticate(&old.token(Some("old")))
        .await
        .unwrap();
    host.reply.send_replace(serves(&[(&new, "new")]));
    let_pass(Duration::from_secs(11)).await;

    world
        .ring
        .authenticate(&new.token(Some("new")))
        .await
        .unwrap();
    assert_eq!(
        world.refusal(&old.token(Some("old"))).await,
        UNKNOWN_KEY,
        "it was withdrawn"
    );
}

#[tokio::test]
async fn many_tokens_of_unknown_keys_have_it_fetched_once_in_10_seconds() {
    let (key, stranger) = (HostKey::ed25519(), HostKey::ed25519());
    let host = Host::start(serves(&[(&key, "a")])).await;
    let world = host.world();
    world
        .ring
        .authenticate(&key.token(Some("a")))
        .await
        .unwrap();
    for _ in 0..20 {
        assert_eq!(world.refusal(&stranger.token(Some("b"))).await, UNKNOWN_KEY);
    }
    assert_eq!(host.asked(), 1);
    let_pass(Duration::from_secs(11)).await;
    let stranger = stranger.token(Some("b"));
    tokio::join!(world.refusal(&stranger), world.refusal(&stranger));
    assert_eq!(host.asked(), 2);
}

#[tokio::test]
async fn a_set_is_fetched_again_every_few_minutes() {
    let key = HostKey::ed25519();
    let host = Host::start(serves(&[(&key, "a")])).await;
    let world = host.world();
    world
        .ring
        .authenticate(&key.token(Some("a")))
        .await
        .unwrap();
    host.reply.send_replace(serves(&[(&HostKey::p256(), "b")]));
    let_pass(Duration::from_secs(11 * 60)).await;
    let refused = async {
        while world.ring.authenticate(&key.token(Some("a"))).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_last_good_set_counts_while_no_other_can_be_had() {
    let (key, stranger) = (HostKey::ed25519(), HostKey::ed25519());
    let good = serves(&[(&key, "a")]);
    let host = Host::start(good.clone()).await;
    let world = host.world();
    world
        .ring
        .authenticate(&key.token(Some("a")))
        .await
        .unwrap();
    let too_large = ok(&good.replace("\r\n\r\n", &" ".repeat((1 << 20) + 1)));
    for bad in [
        "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n",
        "no HTTP at all",
        &ok("no JSON"),
        &ok(r#"{"keys":[]}"#),
        &too_large,
    ] {
        host.reply.send_replace(bad.to_owned());
        let asked = host.asked();
        let_pass(Duration::from_secs(12)).await;
        // An unknown key has the set fetched; the known one goes on.
        assert_eq!(world.refusal(&stranger.token(Some("b"))).await, UNKNOWN_KEY);
        assert!(host.asked() > asked, "{}", &bad[..20.min(bad.len())]);
        world
            .ring
            .authenticate(&key.token(Some("a")))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_host_that_starts_after_us_is_found() {
    let key = HostKey::ed25519();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let world = Fixture::with_sources(TempDir::new(), &[&format!("http://{address}/keys")]);
    assert_eq!(world.refusal(&key.token(Some("a"))).await, UNKNOWN_KEY);

    let listener = TcpListener::bind(address).await.unwrap();
    let _host = Host::serve(listener, serves(&[(&key, "a")]));
    let_pass(Duration::from_secs(12)).await;
    world
        .ring
        .authenticate(&key.token(Some("a")))
        .await
        .unwrap();
}
