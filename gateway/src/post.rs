//! Saying something over HTTP: the same judgement, the same acknowledgement.

use roomcast_protocol::event::Message;
use roomcast_protocol::{ClientMessageId, FleetFrame, Refusal, RoomId, UserId};

use crate::rate::Rate;
use crate::speech::{self, Said, Saying, Speech};
use crate::{Gateway, Shared};

/// A message to send over HTTP.
#[derive(Debug, Clone)]
pub struct Post {
    /// Where.
    pub room_id: RoomId,
    /// As whom.
    pub sender_id: UserId,
    /// What the client calls it.
    pub client_message_id: Option<ClientMessageId>,
    /// What it says.
    pub message: Message,
    /// The host product sends it: no rate limit.
    pub by_host: bool,
}

impl Gateway {
    /// Sends a message and waits for the log; gives the `ACK`, whose `duplicate` says whether anything
    /// was added.
    pub async fn post(&self, post: Post) -> Result<FleetFrame<'static>, Refusal> {
        let shared = &*self.shared;
        if !post.by_host {
            shared.take_rate(&post.sender_id)?;
        }
        let standing = shared
            .ports
            .memberships
            .standing(&post.room_id, &post.sender_id)
            .await;
        let standing = standing.map_err(|error| speech::unreadable(&error))?;
        let role = standing.role.ok_or_else(Refusal::not_member)?;
        let said = Said {
            room_id: post.room_id,
            sender_id: post.sender_id,
            client_message_id: post.client_message_id,
            speech: Speech::Send(post.message),
            connection: None,
        };
        let (room_id, client_message_id) = (said.room_id.clone(), said.client_message_id.clone());
        let appended = match speech::say(shared, said, Some(role)).await? {
            Saying::Settled(appended) => appended,
            Saying::Pending(pending) => speech::patiently(shared, &room_id, pending)
                .await
                .map_err(|error| speech::refusal_of(&error))?,
        };
        Ok(speech::ack(room_id, client_message_id, None, &appended))
    }
}

impl Shared {
    /// Takes one send from the user's rate, which sockets and HTTP share.
    pub(crate) fn take_rate(&self, user_id: &UserId) -> Result<(), Refusal> {
        let rate = Rate {
            per_second: self.config.sends_per_second,
            burst: self.config.send_burst,
        };
        self.rates
            .take(user_id, 1, rate)
            .map_err(Refusal::rate_limited)
    }
}
