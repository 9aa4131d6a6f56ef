//! The table of calls: whose they are, where they are, and who answers. `docs/openapi.yaml` has the same
//! rows, and a test holds the two together.

use std::sync::Arc;

use axum::routing::{MethodRouter, delete, get, patch, post, put};

use super::{Services, accounts, history, members, messages, presence, rooms};
use crate::config::Role;

/// A call.
pub struct Route {
    /// Which role answers it.
    pub role: Role,
    /// Its method.
    pub method: &'static str,
    /// Its path, with names for the parts that vary.
    pub path: &'static str,
    pub(super) handler: fn() -> MethodRouter<Arc<Services>>,
}

macro_rules! routes {
    ($($role:ident $method:literal $path:literal $handler:expr;)*) => {
        /// Every call but `GET /v1/ws`, which the gateway adds itself.
        pub const ROUTES: &[Route] = &[$(Route {
            role: Role::$role,
            method: $method,
            path: $path,
            handler: || $handler,
        }),*];
    };
}

routes! {
    History  "GET"    "/v1/rooms/{roomId}/messages"             get(history::page);
    History  "GET"    "/v1/rooms/{roomId}/messages/{messageId}" get(history::message);
    Gateway  "POST"   "/v1/rooms/{roomId}/messages"             post(messages::send);

    Rooms    "POST"   "/v1/rooms"                               post(rooms::create);
    Rooms    "GET"    "/v1/rooms"                               get(rooms::list);
    Rooms    "GET"    "/v1/rooms/{roomId}"                      get(rooms::room);
    Rooms    "PATCH"  "/v1/rooms/{roomId}"                      patch(rooms::change);
    Rooms    "DELETE" "/v1/rooms/{roomId}"                      delete(rooms::remove);
    Rooms    "GET"    "/v1/rooms/{roomId}/members"              get(members::list);
    Rooms    "PUT"    "/v1/rooms/{roomId}/members/{userId}"     put(members::put);
    Rooms    "PATCH"  "/v1/rooms/{roomId}/members/{userId}"     patch(members::change_role);
    Rooms    "DELETE" "/v1/rooms/{roomId}/members/{userId}"     delete(members::remove);

    Presence "GET"    "/v1/presence"                            get(presence::read);

    Accounts "POST"   "/v1/accounts"                            post(accounts::register);
    Accounts "POST"   "/v1/sessions"                            post(accounts::sign_in);
    Accounts "POST"   "/v1/sessions/refresh"                    post(accounts::refresh);
    Accounts "DELETE" "/v1/sessions/current"                    delete(accounts::sign_out);
    Accounts "GET"    "/v1/me"                                  get(accounts::me);
    Accounts "PATCH"  "/v1/me"                                  patch(accounts::change_me);
    Accounts "DELETE" "/v1/me"                                  delete(accounts::delete_me);
    Accounts "GET"    "/v1/me/sessions"                         get(accounts::sessions);
    Accounts "DELETE" "/v1/me/sessions"                         delete(accounts::end_other_sessions);
    Accounts "DELETE" "/v1/me/sessions/{sessionId}"             delete(accounts::end_session);
    Accounts "GET"    "/v1/users"                               get(accounts::find);
    Accounts "GET"    "/v1/users/{userId}"                      get(accounts::user);
    Accounts "DELETE" "/v1/users/{userId}"                      delete(accounts::delete_user);
}
