//! Handlers of members: joining, adding, roles, leaving, removing.

use roomcast_protocol::limits::MEMBERS_PAGE_MAX;
use roomcast_protocol::{MemberRole, Refusal, RoomId, UserId};

use super::body::{Fields, OptionalFields};
use super::request::AuthedRequest;
use super::response::{ApiResult, created_or_ok, no_content, ok};

fn ids(call: &AuthedRequest) -> Result<(RoomId, UserId), Refusal> {
    Ok((call.id("roomId")?, call.id("userId")?))
}

/// `GET /v1/rooms/{roomId}/members`
pub(super) async fn list(call: AuthedRequest) -> ApiResult {
    let room_id: RoomId = call.id("roomId")?;
    let cursor = call.query.one("cursor")?;
    let limit = call.query.limit(MEMBERS_PAGE_MAX)?;
    let rooms = &call.services.rooms;
    Ok(ok(&rooms
        .members(&call.caller, &room_id, cursor, limit)
        .await?))
}

/// `PUT /v1/rooms/{roomId}/members/{userId}`
pub(super) async fn put(
    call: AuthedRequest,
    OptionalFields(mut fields): OptionalFields,
) -> ApiResult {
    let (room_id, user_id) = ids(&call)?;
    let role = fields.optional_word("role", MemberRole::from_wire)?;
    let rooms = &call.services.rooms;
    let (member, made) = rooms
        .add_member(&call.caller, &room_id, &user_id, role)
        .await?;
    Ok(created_or_ok(made, &member))
}

/// `PATCH /v1/rooms/{roomId}/members/{userId}`
pub(super) async fn change_role(call: AuthedRequest, mut fields: Fields) -> ApiResult {
    let (room_id, user_id) = ids(&call)?;
    let role = fields.word("role", MemberRole::from_wire)?;
    let rooms = &call.services.rooms;
    Ok(ok(&rooms
        .change_role(&call.caller, &room_id, &user_id, role)
        .await?))
}

/// `DELETE /v1/rooms/{roomId}/members/{userId}`
pub(super) async fn remove(call: AuthedRequest) -> ApiResult {
    let (room_id, user_id) = ids(&call)?;
    let rooms = &call.services.rooms;
    rooms
        .remove_member(&call.caller, &room_id, &user_id)
        .await?;
    Ok(no_content())
}
