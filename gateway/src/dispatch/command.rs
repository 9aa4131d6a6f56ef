//! Parses message frames into commands.

use roomcast_protocol::event::Message;
use roomcast_protocol::id::{Id, IdRef};
use roomcast_protocol::{ClientFrame, ClientMessageId, RoomId};

use crate::publish::MessageCommand;

/// A message command, its room and its client message id.
pub(super) struct ParsedCommand<'a> {
    pub(super) room_id: IdRef<'a, RoomId>,
    pub(super) client_msg_id: Option<IdRef<'a, ClientMessageId>>,
    pub(super) speech: MessageCommand,
}

/// The frame's command, or the frame itself when it is no message command.
#[expect(
    clippy::result_large_err,
    reason = "both are frames, moved once; boxing one would cost an allocation"
)]
pub(super) fn from_frame(frame: ClientFrame<'_>) -> Result<ParsedCommand<'_>, ClientFrame<'_>> {
    let (room_id, client_msg_id, speech) = match frame {
        ClientFrame::SendMessage {
            room_id,
            content,
            client_msg_id,
            reply_to,
            attachments,
            mentions,
        } => {
            let message = Message {
                content: Some(content.into_owned()),
                reply_to: reply_to.map(|id| id.to_id()),
                attachments: to_ids(&attachments),
                mentions: to_ids(&mentions),
            };
            (room_id, client_msg_id, MessageCommand::Send(message))
        }
        ClientFrame::EditMessage {
            room_id,
            message_id,
            content,
            client_msg_id,
        } => {
            let (message_id, content) = (message_id.to_id(), content.into_owned());
            (
                room_id,
                client_msg_id,
                MessageCommand::Edit {
                    message_id,
                    content,
                },
            )
        }
        ClientFrame::DeleteMessage {
            room_id,
            message_id,
            client_msg_id,
        } => {
            let message_id = message_id.to_id();
            (
                room_id,
                client_msg_id,
                MessageCommand::Delete { message_id },
            )
        }
        ClientFrame::React {
            room_id,
            message_id,
            emoji,
            remove,
            client_msg_id,
        } => {
            let (message_id, emoji) = (message_id.to_id(), emoji.into_owned());
            let speech = MessageCommand::React {
                message_id,
                emoji,
                remove,
            };
            (room_id, client_msg_id, speech)
        }
        other => return Err(other),
    };
    Ok(ParsedCommand {
        room_id,
        client_msg_id,
        speech,
    })
}

/// Ids copied out of their frame.
pub(super) fn to_ids<T: Id>(ids: &[IdRef<'_, T>]) -> Vec<T> {
    ids.iter().map(IdRef::to_id).collect()
}
