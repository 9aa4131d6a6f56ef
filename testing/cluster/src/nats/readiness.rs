//! Whether nats-servers can be used: asked of the client port and of the monitoring, which need no password.

use std::io::Read as _;

use serde_json::Value;

use crate::http;

/// Whether a client would be greeted.
pub(super) fn greets(client: &str) -> Result<(), String> {
    let mut banner = [0; 4];
    http::connect(client)
        .and_then(|mut stream| stream.read_exact(&mut banner))
        .map_err(|error| format!("{client}: {error}"))?;
    match &banner {
        b"INFO" => Ok(()),
        other => Err(format!("{client} greets with {other:?}")),
    }
}

/// Whether the server reports JetStream as available and current.
pub(super) fn is_healthy(monitor: &str) -> Result<(), String> {
    match http::get(monitor, "/healthz") {
        Ok((200, _)) => Ok(()),
        Ok((status, body)) => Err(format!("/healthz: {status} {}", body.trim())),
        Err(error) => Err(format!("/healthz: {error}")),
    }
}

/// Whether the cluster's leader counts every other server as current: before that, a stream of three copies
/// is refused for want of peers.
pub(super) fn is_whole(names: &[String], monitors: &[String]) -> Result<(), String> {
    let mut saw = Vec::new();
    for (name, monitor) in names.iter().zip(monitors) {
        let (_, body) = http::get(monitor, "/jsz").map_err(|error| format!("/jsz: {error}"))?;
        let answer: Value =
            serde_json::from_str(&body).map_err(|error| format!("/jsz: {error}"))?;
        let meta = &answer["meta_cluster"];
        if meta["leader"] == name.as_str() && current_peers(meta) + 1 == names.len() {
            return Ok(());
        }
        saw.push(format!("{name}: {meta}"));
    }
    Err(saw.join("; "))
}

fn current_peers(meta: &Value) -> usize {
    let peers = meta["replicas"].as_array().map_or(&[][..], Vec::as_slice);
    peers
        .iter()
        .filter(|peer| peer["current"] == true && peer["offline"] != true)
        .count()
}
