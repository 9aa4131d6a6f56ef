//! The product's table of calls, read from its source: this crate may not name the server's.

use std::path::Path;

/// One call, and the role that answers it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) role: String,
    pub(crate) method: String,
    pub(crate) path: String,
}

/// Every row of `server/src/api/routes.rs`.
pub(crate) fn all() -> Vec<Route> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = root.join("server/src/api/routes.rs");
    let text = std::fs::read_to_string(&table).expect("the table of calls");
    let (_, rows) = text
        .split_once("\nroutes! {\n")
        .expect("the table begins so");
    let rows = rows.lines().take_while(|line| *line != "}");
    let rows = rows
        .map(str::trim)
        .filter(|row| !row.is_empty() && !row.starts_with("//"));
    let routes: Vec<Route> = rows.map(|row| read(row).expect(row)).collect();
    assert!(routes.len() >= 20, "only {} rows", routes.len());
    routes
}

/// Reads `History  "GET"  "/v1/rooms/{roomId}/messages"  get(history::page);`.
fn read(row: &str) -> Option<Route> {
    let mut parts = row.split('"');
    let role = parts.next()?.trim().to_lowercase();
    let method = parts.next()?.to_owned();
    let path = parts.nth(1)?.replace(['{', '}'], "");
    Some(Route { role, method, path })
}
