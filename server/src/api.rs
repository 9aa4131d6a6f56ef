//! The HTTP API: the calls of the contract's section 7, mapped onto the services.
//!
//! Nothing here decides anything about chat: a handler reads what was sent, asks one service, and puts
//! the answer into JSON. Every refusal is a problem document.

mod accounts;
mod anonymous_request;
mod body;
mod change_budget;
mod cors;
mod history;
mod json;
mod members;
mod messages;
mod middleware;
mod page_memory;
mod presence;
mod problem;
mod query;
mod request;
mod response;
mod rooms;
pub mod routes;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::MethodRouter;
use roomcast_accounts::Accounts;
use roomcast_gateway::Gateway;
use roomcast_gateway::origin::AllowedOrigins;
use roomcast_history::History;
use roomcast_ports::access::{Authenticator, Memberships};
use roomcast_presence::PresenceService;
use roomcast_rooms::Rooms;

use crate::config::Role;
use crate::trusted_proxies::TrustedProxies;
use crate::web_ui;

pub use change_budget::ChangeBudget;
pub use page_memory::PageMemory;
pub use problem::ProblemResponse;
pub(crate) use problem::{unknown_method, unknown_route};

/// Who does the work behind the calls.
pub struct Services {
    /// Judges tokens.
    pub authenticator: Arc<dyn Authenticator>,
    /// Decides who may read a room.
    pub memberships: Arc<dyn Memberships>,
    /// Sign-up, sign-in, profiles.
    pub accounts: Accounts,
    /// Whose word on a client's address is taken.
    pub trusted_proxies: TrustedProxies,
    /// Rooms and their members.
    pub rooms: Arc<Rooms>,
    /// Messages to readers.
    pub history: History,
    /// Messages from writers.
    pub gateway: Gateway,
    /// Who is here.
    pub presence: PresenceService,
    /// How many changing calls each user has left.
    pub change_budget: ChangeBudget,
    /// Pages of history that clients have not taken yet.
    pub page_memory: PageMemory,
}

/// The calls of these roles, and the page where people are let in.
pub fn router(services: Arc<Services>, roles: &[Role], origins: AllowedOrigins) -> Router {
    let mut by_path: BTreeMap<&str, MethodRouter<Arc<Services>>> = BTreeMap::new();
    for route in routes::ROUTES {
        if roles.contains(&route.role) {
            let methods = by_path.remove(route.path).unwrap_or_default();
            by_path.insert(route.path, methods.merge((route.handler)()));
        }
    }
    let mut router = Router::new();
    for (path, methods) in by_path {
        router = router.route(path, methods);
    }
    if roles.contains(&Role::Gateway) {
        for file in web_ui::files() {
            router = router.route(file.path, web_ui::route(file));
        }
    }
    router
        .fallback(problem::unknown_route)
        .method_not_allowed_fallback(problem::unknown_method)
        .layer(from_fn_with_state(Arc::new(origins), cors::guard))
        .layer(from_fn(middleware::panic_and_headers))
        .with_state(services)
}
