//! Every type of frame and event by its name on the wire.
//!
//! The matches have no wildcard: a new variant does not compile before it has a name here, and then
//! has no golden file and no place in the documents until it gets them.

use roomcast_protocol::{ClientFrame, EventBody, ServerFrame};

macro_rules! types {
    ($all:ident, $type_of:ident, $of:ident: $($variant:ident = $name:literal,)*) => {
        pub(crate) const $all: &[&str] = &[$($name),*];

        pub(crate) const fn $type_of(said: &$of) -> &'static str {
            match said { $($of::$variant { .. } => $name,)* }
        }
    };
}

type Client = ClientFrame<'static>;
type Fleet = ServerFrame<'static>;

types! { CLIENT, client_type, Client:
    Auth = "AUTH",
    Subscribe = "SUBSCRIBE",
    Unsubscribe = "UNSUBSCRIBE",
    SendMessage = "SEND_MESSAGE",
    EditMessage = "EDIT_MESSAGE",
    DeleteMessage = "DELETE_MESSAGE",
    React = "REACT",
    Typing = "TYPING",
    Mark = "MARK",
    WatchPresence = "WATCH_PRESENCE",
    SetStatus = "SET_STATUS",
    Ping = "PING",
}

types! { FLEET, fleet_type, Fleet:
    Message = "MESSAGE",
    MessageEdited = "MESSAGE_EDITED",
    MessageDeleted = "MESSAGE_DELETED",
    Reaction = "REACTION",
    MemberJoined = "MEMBER_JOINED",
    MemberLeft = "MEMBER_LEFT",
    MemberChanged = "MEMBER_CHANGED",
    RoomChanged = "ROOM_CHANGED",
    RoomDeleted = "ROOM_DELETED",
    Ack = "ACK",
    Subscribed = "SUBSCRIBED",
    Unsubscribed = "UNSUBSCRIBED",
    Welcome = "WELCOME",
    Authenticated = "AUTHENTICATED",
    Heartbeat = "HEARTBEAT",
    Pong = "PONG",
    TokenExpiring = "TOKEN_EXPIRING",
    Typing = "TYPING",
    Receipt = "RECEIPT",
    Presence = "PRESENCE",
    Notification = "NOTIFICATION",
    Warning = "WARNING",
    Reconnect = "RECONNECT",
    Error = "ERROR",
}

types! { EVENTS, event_type, EventBody:
    MessageSent = "chat.message.sent.v1",
    MessageEdited = "chat.message.edited.v1",
    MessageDeleted = "chat.message.deleted.v1",
    ReactionChanged = "chat.reaction.changed.v1",
    MemberJoined = "chat.member.joined.v1",
    MemberLeft = "chat.member.left.v1",
    MemberChanged = "chat.member.changed.v1",
    MembersAdded = "chat.members.added.v1",
    RoomChanged = "chat.room.changed.v1",
    RoomDeleted = "chat.room.deleted.v1",
}
