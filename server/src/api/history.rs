//! History calls: pages of a room's messages and events for its members.

use roomcast_history::PageQuery;
use roomcast_protocol::limits::PAGE_MAX;
use roomcast_protocol::{MessageId, Refusal, RoomId};

use super::json::to_json;
use super::query::Query;
use super::request::AuthedRequest;
use super::response::{ApiResult, ok, ok_bytes};

/// `GET /v1/rooms/{roomId}/messages`
pub(super) async fn page(call: AuthedRequest) -> ApiResult {
    let room_id: RoomId = call.id("roomId")?;
    let (page, limit) = (page_of(&call.query)?, call.query.limit(PAGE_MAX)?);
    may_read(&call, &room_id).await?;
    let memory = &call.services.page_memory;
    memory.enter(&call.caller).await?;
    let page = call.services.history.page(&room_id, page, limit).await?;
    let bytes = memory.charge(&call.caller, to_json(&page))?;
    Ok(ok_bytes(bytes))
}

/// `GET /v1/rooms/{roomId}/messages/{messageId}`
pub(super) async fn message(call: AuthedRequest) -> ApiResult {
    let (room_id, message_id): (RoomId, MessageId) = (call.id("roomId")?, call.id("messageId")?);
    may_read(&call, &room_id).await?;
    let history = &call.services.history;
    Ok(ok(&history.message_view(&room_id, &message_id).await?))
}

fn page_of(query: &Query) -> Result<PageQuery, Refusal> {
    let (before, after) = (query.seq("before")?, query.seq("after")?);
    match (before, after, query.seq("around")?) {
        (None, None, None) => Ok(PageQuery::Newest),
        (Some(seq), None, None) => Ok(PageQuery::Before(seq)),
        (None, Some(seq), None) => Ok(PageQuery::After(seq)),
        (None, None, Some(seq)) => Ok(PageQuery::Around(seq)),
        _ => Err(Refusal::bad_frame(
            "at most one of before, after and around",
        )),
    }
}

/// Members read their rooms, and the host product's server reads all there are.
async fn may_read(call: &AuthedRequest, room_id: &RoomId) -> Result<(), Refusal> {
    let standing = call
        .services
        .memberships
        .membership(room_id, &call.caller.user_id);
    let standing = standing.await.map_err(|error| {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "failed to authorize a reader"
        );
        Refusal::internal()
    })?;
    if standing.room.is_some() && (standing.role.is_some() || call.caller.admin) {
        Ok(())
    } else {
        Err(Refusal::not_member())
    }
}
