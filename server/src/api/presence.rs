//! Presence calls. Every caller with a token may read every user's presence; restrictions are up to the host product.

use roomcast_protocol::limits::WATCHED_USERS_MAX;
use roomcast_protocol::{Refusal, UserId};

use super::request::AuthedRequest;
use super::response::{ApiResult, ok};

/// `GET /v1/presence?userId=…&userId=…`
pub(super) async fn read(call: AuthedRequest) -> ApiResult {
    let user_ids: Vec<UserId> = call.query.ids("userId")?;
    if !(1..=WATCHED_USERS_MAX).contains(&user_ids.len()) {
        let message = format!("userId must come 1 to {WATCHED_USERS_MAX} times");
        return Err(Refusal::bad_frame(message).into());
    }
    Ok(ok(&call.services.presence.read(&user_ids).await?))
}
