//! Handlers of rooms: create, read, update, delete.

use roomcast_protocol::limits::{NEW_MEMBERS_BY_HOST_MAX, PAGE_MAX};
use roomcast_protocol::{Refusal, RoomId, RoomKind, Visibility};
use roomcast_rooms::{CreateRoom, RoomPatch};

use super::body::Fields;
use super::request::AuthedRequest;
use super::response::{ApiResult, created_or_ok, no_content, ok, with_location};

/// `POST /v1/rooms`
pub(super) async fn create(call: AuthedRequest, mut fields: Fields) -> ApiResult {
    let wanted = CreateRoom {
        kind: fields.word("kind", RoomKind::from_wire)?,
        name: fields.optional_text("name")?,
        visibility: fields.optional_word("visibility", Visibility::from_wire)?,
        member_ids: fields.ids("memberIds", NEW_MEMBERS_BY_HOST_MAX)?,
        room_id: fields.optional_id("roomId")?,
    };
    let budget = &call.services.change_budget;
    budget.charge_members(&call.caller, wanted.member_ids.len())?;
    let (room, made) = call.services.rooms.create(&call.caller, wanted).await?;
    let place = format!("/v1/rooms/{}", room.room_id);
    Ok(with_location(&place, created_or_ok(made, &room)))
}

/// `GET /v1/rooms`: my rooms, all or those named by `roomId`; or with `visibility=PUBLIC` the rooms that
/// every user may join.
pub(super) async fn list(call: AuthedRequest) -> ApiResult {
    let (query, rooms) = (&call.query, &call.services.rooms);
    let (cursor, limit) = (query.one("cursor")?, query.limit(PAGE_MAX)?);
    let (visibility, name) = (query.one("visibility")?, query.one("name")?);
    if query.has("roomId") {
        if cursor.is_some() || visibility.is_some() || name.is_some() {
            let message = "roomId stands without cursor, visibility and name";
            return Err(Refusal::bad_frame(message).into());
        }
        let wanted: Vec<RoomId> = query.ids("roomId")?;
        return Ok(ok(&rooms.list_among(&call.caller, &wanted).await?));
    }
    match (visibility, name) {
        (Some("PUBLIC"), name) => {
            let name = name.unwrap_or_default();
            Ok(ok(&rooms.search_public(name, cursor, limit).await?))
        }
        (Some(_), _) => Err(Refusal::bad_frame("visibility can only be PUBLIC here").into()),
        (None, Some(_)) => Err(Refusal::bad_frame("name needs visibility=PUBLIC").into()),
        (None, None) => Ok(ok(&rooms.list(&call.caller, cursor, limit).await?)),
    }
}

/// `GET /v1/rooms/{roomId}`
pub(super) async fn room(call: AuthedRequest) -> ApiResult {
    let room_id: RoomId = call.id("roomId")?;
    Ok(ok(&call.services.rooms.get(&call.caller, &room_id).await?))
}

/// `PATCH /v1/rooms/{roomId}`
pub(super) async fn change(call: AuthedRequest, mut fields: Fields) -> ApiResult {
    let room_id: RoomId = call.id("roomId")?;
    let patch = RoomPatch {
        name: fields.optional_text("name")?,
        topic: fields.optional_text("topic")?,
        visibility: fields.optional_word("visibility", Visibility::from_wire)?,
    };
    let rooms = &call.services.rooms;
    Ok(ok(&rooms.update(&call.caller, &room_id, patch).await?))
}

/// `DELETE /v1/rooms/{roomId}`
pub(super) async fn remove(call: AuthedRequest) -> ApiResult {
    let room_id: RoomId = call.id("roomId")?;
    call.services.rooms.delete(&call.caller, &room_id).await?;
    Ok(no_content())
}
