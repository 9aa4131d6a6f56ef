//! The wire protocol between the fleet, its clients and the host product, as pure data.
//!
//! Ids, client and fleet frames, the events of a room's log, refusals, close codes and limits. There
//! is no I/O here and no clock but [`Timestamp::now`]; every published form stays readable,
//! which `golden/` holds.

pub mod api;
pub mod client_frame;
pub mod close;
pub mod event;
pub mod id;
pub mod limits;
pub mod refusal;
pub mod room;
#[cfg(feature = "schema")]
pub mod schema;
pub mod seq;
pub mod server_frame;
pub mod text;
pub mod timestamp;

mod decode;
mod number;

pub use client_frame::{ClientFrame, RoomAfter};
pub use close::CloseCode;
pub use decode::ParsedFrame;
pub use event::{EventBody, RoomEvent, StoredEvent};
pub use id::{
    AttachmentId, ClientMessageId, ConnectionId, EventId, MessageId, RoomId, SessionId, UserId,
};
pub use refusal::{ErrorCode, Refusal};
pub use room::{MemberRole, PresenceStatus, RoomKind, Visibility};
pub use seq::Seq;
pub use server_frame::ServerFrame;
pub use timestamp::Timestamp;
