//! Publishes messages over HTTP: the same checks and the same acknowledgement as on sockets.

use roomcast_protocol::event::Message;
use roomcast_protocol::{ClientMessageId, Refusal, RoomId, ServerFrame, UserId};

use crate::Gateway;
use crate::port_errors::{log_error_to_refusal, read_error_to_refusal};
use crate::publish::{self, MessageCommand, PublishOutcome, PublishRequest};

/// A message to send over HTTP.
#[derive(Debug, Clone)]
pub struct HttpPublish {
    /// Where.
    pub room_id: RoomId,
    /// As whom.
    pub sender_id: UserId,
    /// What the client calls it.
    pub client_message_id: Option<ClientMessageId>,
    /// The content.
    pub message: Message,
    /// The host product sends it: no rate limit.
    pub server_side: bool,
}

impl Gateway {
    /// Publishes a message and waits for the log; returns the `ACK`, whose `duplicate` is false if an event
    /// was added.
    pub async fn publish(&self, post: HttpPublish) -> Result<ServerFrame<'static>, Refusal> {
        let shared = &*self.shared;
        let hub = &*shared.hub;
        if !post.server_side {
            publish::check_rate_limit(&shared.rates, &shared.config, &post.sender_id)?;
        }
        let standing = shared
            .ports
            .memberships
            .membership(&post.room_id, &post.sender_id)
            .await;
        let standing = standing.map_err(|error| read_error_to_refusal(&error))?;
        let role = standing.role.ok_or_else(Refusal::not_member)?;
        let said = PublishRequest {
            room_id: post.room_id,
            sender_id: post.sender_id,
            client_message_id: post.client_message_id,
            speech: MessageCommand::Send(post.message),
            connection: None,
        };
        let (room_id, client_message_id) = (said.room_id.clone(), said.client_message_id.clone());
        let appended =
            match publish::publish(hub, &shared.optional_lookups, said, Some(role)).await? {
                PublishOutcome::Completed(appended) => appended,
                PublishOutcome::Pending(pending) => publish::await_append(hub, &room_id, pending)
                    .await
                    .map_err(|error| log_error_to_refusal(&error))?,
            };
        Ok(publish::ack(room_id, client_message_id, None, &appended))
    }
}
