//! The configuration of one nats-server.

use std::fmt::Write as _;
use std::path::Path;

use super::Node;

/// What the server at `index` reads: its ports, its data under `directory`, and the way to the others.
pub(super) fn of(
    nodes: &[Node],
    index: usize,
    cluster: &str,
    directory: &Path,
    extra: &str,
) -> String {
    let Node {
        name,
        client,
        monitor,
        route,
        ..
    } = &nodes[index];
    let data = directory.join(format!("{name}-data"));
    let data = data.display();
    // Streams reserve their greatest size, and by default a server promises no more than its disk has: that is
    // an error for a full disk, and not for a small laptop at the start.
    let mut text = format!(
        "server_name: {name}\n\
         listen: {client:?}\n\
         http: {monitor:?}\n\
         jetstream {{\n  store_dir: \"{data}\"\n  sync_interval: always\n  \
         max_file_store: 1TB\n}}\n"
    );
    if nodes.len() > 1 {
        let routes: Vec<String> = nodes
            .iter()
            .map(|node| format!("{:?}", format!("nats://{}", node.route)))
            .collect();
        let routes = routes.join(", ");
        let _ = write!(
            text,
            "cluster {{\n  name: \"cluster-{cluster}\"\n  listen: {route:?}\n  routes: [{routes}]\n}}\n"
        );
    }
    text + extra
}
