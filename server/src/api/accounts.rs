//! Handlers of accounts, sessions and profiles.

use std::sync::Arc;

use axum::extract::State;
use roomcast_accounts::{AccountPatch, Client, PasswordChange};
use roomcast_protocol::limits::PAGE_MAX;
use roomcast_protocol::{Refusal, SessionId, UserId};

use super::Services;
use super::anonymous_request::{Address, AnonymousRequest};
use super::body::Fields;
use super::request::AuthedRequest;
use super::response::{ApiResult, created_or_ok, no_content, ok, with_location};

/// `POST /v1/accounts`
pub(super) async fn register(
    State(services): State<Arc<Services>>,
    AnonymousRequest(client): AnonymousRequest,
    mut fields: Fields,
) -> ApiResult {
    let (name, password) = (fields.text("name")?, fields.text("password")?);
    let display_name = fields.optional_text("displayName")?;
    let accounts = &services.accounts;
    let user = accounts
        .register(&name, &password, display_name.as_deref(), &client)
        .await?;
    let place = format!("/v1/users/{}", user.user_id);
    Ok(with_location(&place, created_or_ok(true, &user)))
}

/// `POST /v1/sessions`
pub(super) async fn sign_in(
    State(services): State<Arc<Services>>,
    AnonymousRequest(client): AnonymousRequest,
    mut fields: Fields,
) -> ApiResult {
    let (name, password) = (fields.text("name")?, fields.text("password")?);
    let accounts = &services.accounts;
    let tokens = accounts.sign_in(&name, &password, &client).await?;
    Ok(created_or_ok(true, &tokens))
}

/// `POST /v1/sessions/refresh`
pub(super) async fn refresh(
    State(services): State<Arc<Services>>,
    mut fields: Fields,
) -> ApiResult {
    let refresh_token = fields.text("refreshToken")?;
    Ok(ok(&services.accounts.refresh(&refresh_token).await?))
}

/// `DELETE /v1/sessions/current`
pub(super) async fn sign_out(call: AuthedRequest) -> ApiResult {
    call.services.accounts.sign_out(&call.caller).await?;
    Ok(no_content())
}

/// `GET /v1/me`
pub(super) async fn me(call: AuthedRequest) -> ApiResult {
    Ok(ok(&call
        .services
        .accounts
        .get_profile(&call.caller)
        .await?))
}

/// `PATCH /v1/me`
pub(super) async fn change_me(
    call: AuthedRequest,
    address: Address,
    mut fields: Fields,
) -> ApiResult {
    let password = match fields.optional_text("password")? {
        Some(new) => Some(PasswordChange {
            current: fields.text("currentPassword")?,
            new,
        }),
        None => None,
    };
    let patch = AccountPatch {
        display_name: fields.optional_text("displayName")?,
        password,
    };
    let client = Client {
        address: address.0,
        user_agent: None,
        exempt: call.caller.admin,
    };
    let accounts = &call.services.accounts;
    let changed = accounts
        .update_profile(&call.caller, patch, &client)
        .await?;
    Ok(ok(&changed))
}

/// `DELETE /v1/me`
pub(super) async fn delete_me(call: AuthedRequest) -> ApiResult {
    call.services.accounts.delete_account(&call.caller).await?;
    Ok(no_content())
}

/// `GET /v1/me/sessions`
pub(super) async fn sessions(call: AuthedRequest) -> ApiResult {
    Ok(ok(&call.services.accounts.sessions(&call.caller).await?))
}

/// `DELETE /v1/me/sessions`
pub(super) async fn end_other_sessions(call: AuthedRequest) -> ApiResult {
    let accounts = &call.services.accounts;
    accounts.end_my_other_sessions(&call.caller).await?;
    Ok(no_content())
}

/// `DELETE /v1/me/sessions/{sessionId}`
pub(super) async fn end_session(call: AuthedRequest) -> ApiResult {
    let session_id: SessionId = call.id("sessionId")?;
    let accounts = &call.services.accounts;
    accounts.end_my_session(&call.caller, &session_id).await?;
    Ok(no_content())
}

/// `GET /v1/users/{userId}`
pub(super) async fn user(call: AuthedRequest) -> ApiResult {
    let user_id: UserId = call.id("userId")?;
    Ok(ok(&call.services.accounts.user(&user_id).await?))
}

/// `DELETE /v1/users/{userId}`
pub(super) async fn delete_user(call: AuthedRequest) -> ApiResult {
    let user_id: UserId = call.id("userId")?;
    let accounts = &call.services.accounts;
    accounts.delete_user(&call.caller, &user_id).await?;
    Ok(no_content())
}

/// `GET /v1/users?name=`
pub(super) async fn find(call: AuthedRequest) -> ApiResult {
    let (query, accounts) = (&call.query, &call.services.accounts);
    let name = query
        .one("name")?
        .ok_or_else(|| Refusal::bad_frame("name is missing"))?;
    let (cursor, limit) = (query.one("cursor")?, query.limit(PAGE_MAX)?);
    Ok(ok(&accounts.search_users(name, cursor, limit).await?))
}
