//! The product as it ships, with rooms to fan out to.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use crate::process::{self, Peer};

/// Members of each of an idle connection's three rooms.
pub(crate) const IDLE_ROOM_MEMBERS: usize = 30;
/// The key that signs the benchmark's tokens.
const KEY: &str = "a key for benchmarks, and for nothing else at all";

/// A running `roomcast`.
pub(crate) struct Product {
    child: Child,
    address: String,
    directory: PathBuf,
}

/// A token of `user`.
pub(crate) fn token(user: &str, scope: Option<&str>) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .as_secs();
    let claims = json!({ "sub": user, "exp": now + 86_400, "scope": scope });
    let key = EncodingKey::from_secret(KEY.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).expect("sign a token")
}

impl Product {
    /// Starts it on these cores.
    pub(crate) fn start(cores: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("roomcast-bench-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("make a directory");
        let key_file = directory.join("key");
        std::fs::write(&key_file, KEY).expect("write the key");
        let mut child = process::pinned(cores, env!("CARGO_BIN_EXE_roomcast"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--data",
            ])
            .arg(directory.join("data"))
            .args([
                "--sends-per-second",
                "100000",
                "--send-burst",
                "100000",
                "--token-key",
            ])
            .arg(format!("hs256:{}", key_file.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start roomcast; taskset and nice are needed");
        let ready = process::line(&mut BufReader::new(child.stdout.take().expect("piped")));
        let ready: Value = serde_json::from_str(&ready).expect("the ready line");
        let address = ready["http"]
            .as_str()
            .expect("an address")
            .trim_start_matches("http://");
        Self {
            address: address.to_owned(),
            child,
            directory,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Readers on the second core, each connection subscribed to rooms of this kind.
    pub(crate) fn readers(&self, kind: &str) -> Peer {
        Peer::pinned(1, &["reader", kind, &self.address])
    }

    /// Makes a room of these users.
    pub(crate) fn make_room(&self, room_id: &str, users: Range<usize>) {
        let member_ids: Vec<String> = users.map(|user| format!("u{user}")).collect();
        let body =
            json!({ "kind": "GROUP", "roomId": room_id, "memberIds": member_ids }).to_string();
        let mut stream = TcpStream::connect(&self.address).expect("connect");
        write!(
            stream,
            "POST /v1/rooms HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            token("bench", Some("admin")),
            body.len()
        )
        .expect("ask for a room");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("a reply");
        assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
