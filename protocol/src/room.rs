//! Rooms, members and roles.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $wire:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $wire)] $variant,)*
        }

        impl $name {
            /// The word as it goes over the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* }
            }

            /// Reads the word.
            pub fn from_wire(word: &str) -> Option<Self> {
                match word { $($wire => Some(Self::$variant),)* _ => None }
            }
        }
    )*};
}

words! {
    /// How many a room is for.
    RoomKind {
        /// Exactly two members, one room per pair.
        Direct = "DIRECT",
        /// Any number.
        Group = "GROUP",
    }
    /// Who finds a group.
    Visibility {
        /// Anybody may find and join it.
        Public = "PUBLIC",
        /// Only its members know it.
        Private = "PRIVATE",
    }
    /// What a member may do; the greater may more.
    MemberRole {
        /// Talk and leave.
        Member = "MEMBER",
        /// Also rename, add, remove members, delete others' messages.
        Admin = "ADMIN",
        /// Everything.
        Owner = "OWNER",
    }
    /// Who is here.
    PresenceStatus {
        /// Not connected.
        Offline = "OFFLINE",
        /// Connected, not looking.
        Away = "AWAY",
        /// Connected.
        Online = "ONLINE",
    }
    /// What a notification is about.
    NotificationKind {
        /// A new message.
        Message = "MESSAGE",
        /// A message that mentions this user.
        Mention = "MENTION",
        /// A message that replies to one of this user's.
        Reply = "REPLY",
        /// Added to a room.
        Invitation = "INVITATION",
        /// Removed from a room.
        Removal = "REMOVAL",
        /// This user's read mark moved on another connection.
        Read = "READ",
        /// This user joined or made the room on another connection.
        Joined = "JOINED",
        /// This user left the room on another connection.
        Left = "LEFT",
        /// The room's name, topic or visibility changed.
        RoomChanged = "ROOM_CHANGED",
        /// The room was deleted.
        RoomDeleted = "ROOM_DELETED",
        /// The room's last message was edited.
        MessageEdited = "MESSAGE_EDITED",
        /// The room's last message was deleted.
        MessageDeleted = "MESSAGE_DELETED",
    }
}
