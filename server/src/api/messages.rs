//! Sending over HTTP: as the caller, or for a host product's server as any member.

use roomcast_gateway::HttpPublish;
use roomcast_protocol::event::Message;
use roomcast_protocol::limits::{ATTACHMENTS_MAX, MENTIONS_MAX};
use roomcast_protocol::{Refusal, RoomId, ServerFrame, UserId};

use super::body::Fields;
use super::request::AuthedRequest;
use super::response::{ApiResult, created_or_ok};

/// `POST /v1/rooms/{roomId}/messages`
pub(super) async fn send(call: AuthedRequest, mut fields: Fields) -> ApiResult {
    let room_id: RoomId = call.id("roomId")?;
    let message = Message {
        content: Some(fields.text("content")?),
        reply_to: fields.optional_id("replyTo")?,
        attachments: fields.ids("attachments", ATTACHMENTS_MAX)?,
        mentions: fields.ids("mentions", MENTIONS_MAX)?,
    };
    let client_message_id = fields.optional_id("clientMsgId")?;
    let sender_id = sender(&call, fields.optional_id("senderId")?)?;
    let post = HttpPublish {
        room_id,
        sender_id,
        client_message_id,
        message,
        server_side: call.caller.admin,
    };
    let ack = call.services.gateway.publish(post).await?;
    let again = matches!(
        ack,
        ServerFrame::Ack {
            duplicate: true,
            ..
        }
    );
    Ok(created_or_ok(!again, &ack))
}

fn sender(call: &AuthedRequest, named: Option<UserId>) -> Result<UserId, Refusal> {
    let own = &call.caller.user_id;
    match named {
        Some(named) if named != *own && !call.caller.admin => Err(Refusal::forbidden(
            "only the host product's server sends as others",
        )),
        Some(named) => Ok(named),
        None => Ok(own.clone()),
    }
}
