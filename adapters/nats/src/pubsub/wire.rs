//! The encoding of ephemeral events on the bus.

use roomcast_ports::pubsub::EphemeralEvent;
use roomcast_protocol::api::Marks;
use roomcast_protocol::{PresenceStatus, RoomId, Seq, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::subjects;

/// One signal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum Wire {
    Typing {
        room_id: RoomId,
        user_id: UserId,
    },
    Receipt {
        room_id: RoomId,
        user_id: UserId,
        read_to: Seq,
        delivered_to: Seq,
        read: bool,
        delivered: bool,
    },
    Presence {
        user_id: UserId,
        status: PresenceStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_seen: Option<Timestamp>,
    },
}

/// Where the signal goes: to its room, or to its user.
pub(super) fn subject(signal: &EphemeralEvent) -> String {
    match signal {
        EphemeralEvent::Typing { room_id, .. } | EphemeralEvent::Receipt { room_id, .. } => {
            subjects::signal("room", room_id.as_str())
        }
        EphemeralEvent::Presence { user_id, .. } => subjects::signal("user", user_id.as_str()),
    }
}

/// The signal's bytes.
pub(super) fn encode(signal: EphemeralEvent) -> Result<Vec<u8>, serde_json::Error> {
    let wire = match signal {
        EphemeralEvent::Typing { room_id, user_id } => Wire::Typing { room_id, user_id },
        EphemeralEvent::Receipt {
            room_id,
            user_id,
            marks,
            read,
            delivered,
        } => Wire::Receipt {
            room_id,
            user_id,
            read_to: marks.read,
            delivered_to: marks.delivered,
            read,
            delivered,
        },
        EphemeralEvent::Presence {
            user_id,
            status,
            last_seen,
        } => Wire::Presence {
            user_id,
            status,
            last_seen,
        },
    };
    serde_json::to_vec(&wire)
}

/// The signal in the bytes; an error is one of a later version, or none of ours.
pub(super) fn decode(bytes: &[u8]) -> Result<EphemeralEvent, serde_json::Error> {
    Ok(match serde_json::from_slice(bytes)? {
        Wire::Typing { room_id, user_id } => EphemeralEvent::Typing { room_id, user_id },
        Wire::Receipt {
            room_id,
            user_id,
            read_to,
            delivered_to,
            read,
            delivered,
        } => EphemeralEvent::Receipt {
            room_id,
            user_id,
            marks: Marks {
                read: read_to,
                delivered: delivered_to,
            },
            read,
            delivered,
        },
        Wire::Presence {
            user_id,
            status,
            last_seen,
        } => EphemeralEvent::Presence {
            user_id,
            status,
            last_seen,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_comes_back_as_it_was() {
        let (room_id, user_id) = (RoomId::new("a.room").unwrap(), UserId::new("u.1").unwrap());
        let signals = [
            EphemeralEvent::Typing {
                room_id: room_id.clone(),
                user_id: user_id.clone(),
            },
            EphemeralEvent::Receipt {
                room_id,
                user_id: user_id.clone(),
                marks: Marks {
                    read: Seq::new(7).unwrap(),
                    delivered: Seq::new(9).unwrap(),
                },
                read: true,
                delivered: false,
            },
            EphemeralEvent::Presence {
                user_id,
                status: PresenceStatus::Online,
                last_seen: Some(Timestamp::from_millis(12)),
            },
        ];
        for signal in signals {
            let bytes = encode(signal.clone()).unwrap();
            assert_eq!(decode(&bytes).unwrap(), signal);
            let subject = subject(&signal);
            assert_eq!(subject.split('.').count(), 3, "{subject}");
        }
    }
}
