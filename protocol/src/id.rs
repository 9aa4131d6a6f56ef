//! Ids of rooms, users, messages and connections.
//!
//! Ids are 1 to 64 characters of `A-Z a-z 0-9 _ - . :`, but not `.` or `..`: a host product brings its
//! own, ours are UUIDv7. They are cheap to clone, since one room's id is held wherever it is spoken of.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::Timestamp;
use crate::limits::ID_BYTES_MAX;

/// The text is no id: empty, too long, a forbidden character, or a path segment that means something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 1 to {ID_BYTES_MAX} characters of A-Z a-z 0-9 _ - . :")]
pub struct InvalidId;

/// Validates the text of an id.
pub fn validate(text: &str) -> Result<(), InvalidId> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    let length_fits = (1..=ID_BYTES_MAX).contains(&text.len());
    if length_fits && text.bytes().all(allowed) && text != "." && text != ".." {
        Ok(())
    } else {
        Err(InvalidId)
    }
}

/// An id type, so that borrowed ids in frames know whose they are.
pub trait Id: Sized {
    /// Takes text that [`validate`] has already passed.
    fn from_checked(text: &str) -> Self;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and keeps a copy of it.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                validate(text).map(|()| Self(text.into()))
            }

            /// The id as it goes over the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A new id that sorts by the time it was made (UUIDv7).
            pub fn generate() -> Self {
                Self(uuid::Uuid::now_v7().to_string().into())
            }
        }

        impl Id for $name {
            fn from_checked(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": "^[A-Za-z0-9_.:-]{1,64}$",
                    "not": { "enum": [".", ".."] },
                })
            }
        }
    )*};
}

ids! {
    /// A room: the place where people talk, and the unit of order.
    RoomId;
    /// A user, of the host product or of the built-in accounts.
    UserId;
    /// A message, named by the fleet. It is the [`EventId`] of the event that sent it.
    MessageId;
    /// An event of a room's log. Appending the same id to the same room again adds nothing.
    EventId;
    /// The name a client gives to what it sends, so that a resend is known as one.
    ClientMessageId;
    /// One WebSocket.
    ConnectionId;
    /// A sign-in with the built-in accounts; every token refreshed from it carries its name.
    SessionId;
    /// An uploaded file.
    AttachmentId;
}

impl EventId {
    /// The id of what `sender` calls `client_message_id` in `room`: the same on every gateway and at
    /// every attempt, which makes a resend recognisable without a lookup.
    ///
    /// 128 bits of SHA-256 over the three length-prefixed names, in base64url (22 characters).
    pub fn for_client_message(
        room_id: &RoomId,
        sender_id: &UserId,
        client_message_id: &ClientMessageId,
    ) -> Self {
        Self::hash_of(&[
            room_id.as_str(),
            sender_id.as_str(),
            client_message_id.as_str(),
        ])
    }

    /// An id derived from names alone, for events that must happen once however often they are tried.
    pub fn hash_of(names: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for name in names {
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name);
        }
        Self(URL_SAFE_NO_PAD.encode(&hash.finalize()[..16]).into())
    }
}

impl ClientMessageId {
    /// Creation time by the client's clock, if it is a UUIDv7.
    pub fn uuid_timestamp(&self) -> Option<Timestamp> {
        let id = uuid::Uuid::try_parse(self.as_str()).ok()?;
        if id.get_version() != Some(uuid::Version::SortRand) {
            return None;
        }
        let (seconds, nanos) = id.get_timestamp()?.to_unix();
        let millis = seconds.checked_mul(1_000)? + u64::from(nanos) / 1_000_000;
        Some(Timestamp::from_millis(millis))
    }
}

impl From<EventId> for MessageId {
    fn from(id: EventId) -> Self {
        Self(id.0)
    }
}

impl From<MessageId> for EventId {
    fn from(id: MessageId) -> Self {
        Self(id.0)
    }
}

/// A checked id inside a frame that has not been copied out of it.
pub struct IdRef<'a, T> {
    text: Cow<'a, str>,
    of: PhantomData<fn() -> T>,
}

impl<'a, T: Id> IdRef<'a, T> {
    /// Checks `text`.
    pub fn new(text: impl Into<Cow<'a, str>>) -> Result<Self, InvalidId> {
        let text = text.into();
        validate(&text)?;
        Ok(Self {
            text,
            of: PhantomData,
        })
    }

    /// The id as it came.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Copies the id out of the frame.
    pub fn to_id(&self) -> T {
        T::from_checked(&self.text)
    }
}

impl<T> Clone for IdRef<'_, T> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            of: PhantomData,
        }
    }
}

impl<T> PartialEq for IdRef<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<T> fmt::Debug for IdRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<T> Serialize for IdRef<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for IdRef<'_, T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_and_of_plain_characters() {
        for good in ["R88", "a", "A-Z_0.9:", &"x".repeat(64), "...", ".a"] {
            assert!(RoomId::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "é", &"x".repeat(65), "a\n"] {
            assert!(RoomId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn client_message_id_has_a_creation_time_only_if_it_is_a_uuid_of_version_7() {
        let at = |text: &str| ClientMessageId::new(text).unwrap().uuid_timestamp();
        let made = at("017f22e2-79b0-7cc3-98c4-dc0c0c07398f").unwrap();
        assert_eq!(made.as_millis(), 0x017F_22E2_79B0);
        for silent in [
            "m-1",
            "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
        ] {
            assert_eq!(at(silent), None, "{silent}");
        }
        let now = ClientMessageId::generate()
            .uuid_timestamp()
            .unwrap()
            .as_millis();
        assert!(now.abs_diff(Timestamp::now().as_millis()) < 10_000);
    }

    #[test]
    fn the_same_names_make_the_same_event_id_and_others_another() {
        let id = |room: &str, user: &str, message: &str| {
            EventId::for_client_message(
                &RoomId::new(room).unwrap(),
                &UserId::new(user).unwrap(),
                &ClientMessageId::new(message).unwrap(),
            )
        };
        assert_eq!(id("r", "u", "m"), id("r", "u", "m"));
        assert_eq!(id("r", "u", "m").as_str().len(), 22);
        assert_ne!(id("r", "u", "m"), id("ru", "m", "m"));
        assert_ne!(id("r1", "u", "m"), id("r", "1u", "m"));
        assert!(validate(id("r", "u", "m").as_str()).is_ok());
    }
}
