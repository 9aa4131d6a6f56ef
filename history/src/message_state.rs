//! Folds later events into a message's state.
//!
//! The store has folded what it has written and the log's tail is folded on top of it here, by the
//! same rules, so it does not matter where the one ends and the other begins; what the store has
//! already written of the tail changes nothing when it comes again.

use roomcast_ports::message_store::MessageState;
use roomcast_ports::reactions::{ReactionChange, Reactions};
use roomcast_protocol::event::Message;
use roomcast_protocol::{EventBody, StoredEvent, UserId};

/// The message as it was sent, if the event sends one; `user_id` is whose own reactions are wanted.
pub(crate) fn from_sent(stored: &StoredEvent, user_id: Option<&UserId>) -> Option<MessageState> {
    let EventBody::MessageSent(message) = &stored.event.body else {
        return None;
    };
    Some(MessageState {
        room_id: stored.event.room_id.clone(),
        seq: stored.seq,
        message_id: stored.event.id.clone().into(),
        sender_id: stored.event.sender_id.clone(),
        client_message_id: stored.event.client_message_id.clone(),
        sent_at: stored.event.sent_at,
        message: message.clone(),
        edited_at: None,
        reactions: Reactions::new(user_id),
    })
}

/// Changes `state` by an event of its room, if the event is about it. Nothing brings a deleted
/// message back.
pub(crate) fn apply(state: &mut MessageState, stored: &StoredEvent) {
    let event = &stored.event;
    if event.body.target() != Some(&state.message_id) {
        return;
    }
    match &event.body {
        EventBody::MessageEdited { content, .. } => {
            if !state.is_deleted() && content.is_some() {
                state.message.content.clone_from(content);
            }
            state.edited_at = Some(event.sent_at);
        }
        EventBody::MessageDeleted { .. } => {
            let reply_to = state.message.reply_to.take();
            state.message = Message {
                reply_to,
                ..Message::default()
            };
        }
        EventBody::ReactionChanged { emoji, removed, .. } => {
            state.reactions.apply(ReactionChange {
                seq: stored.seq,
                emoji,
                user_id: &event.sender_id,
                removed: *removed,
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
