//! Server frames.

use std::borrow::Cow;

use roomcast_protocol::room::NotificationKind;
use roomcast_protocol::server_frame::{Limits, WarningCode};
use roomcast_protocol::{
    ClientMessageId, ConnectionId, ErrorCode, MemberRole, MessageId, PresenceStatus, RoomId, Seq,
    ServerFrame, UserId, Visibility, limits,
};

use super::{Case, ODD, SENT_AT, case};

type Frame = ServerFrame<'static>;

const SEQ: Seq = Seq::new(4_712).unwrap();
const PREV: Seq = Seq::new(4_710).unwrap();

pub(crate) fn cases() -> Vec<Case<Frame>> {
    let mut cases = about_messages();
    cases.extend(about_members());
    cases.extend(about_rooms());
    cases.extend(verdicts());
    cases.extend(about_the_session());
    cases.extend(signals());
    cases.extend(notices());
    cases
}

fn room() -> RoomId {
    RoomId::new("R88").unwrap()
}

fn ann() -> UserId {
    UserId::new("u-ann").unwrap()
}

fn ben() -> UserId {
    UserId::new("u-ben").unwrap()
}

fn message_id() -> MessageId {
    MessageId::new("019a9f6e-0001-7000-8000-000000000001").unwrap()
}

fn client_msg_id() -> ClientMessageId {
    ClientMessageId::new("c-1").unwrap()
}

fn message(content: Option<&'static str>) -> Frame {
    Frame::Message {
        room_id: room(),
        seq: SEQ,
        prev: PREV,
        ts: SENT_AT,
        message_id: message_id(),
        sender_id: ann(),
        content: content.map(Cow::Borrowed),
        client_msg_id: None,
        reply_to: None,
        attachments: Cow::default(),
        mentions: Cow::default(),
        deleted: content.is_none(),
    }
}

fn full_message() -> Frame {
    Frame::Message {
        room_id: room(),
        seq: Seq::MAX,
        prev: Seq::ZERO,
        ts: SENT_AT,
        message_id: message_id(),
        sender_id: ann(),
        content: Some("hello @ben".into()),
        client_msg_id: Some(client_msg_id()),
        reply_to: Some(MessageId::new("019a9f6e-0001-7000-8000-000000000000").unwrap()),
        attachments: vec!["a-1".parse().unwrap(), "a-2".parse().unwrap()].into(),
        mentions: vec![ben(), "u-cleo".parse().unwrap()].into(),
        deleted: false,
    }
}

fn about_messages() -> Vec<Case<Frame>> {
    let edited = |content: Option<&'static str>| Frame::MessageEdited {
        room_id: room(),
        seq: SEQ,
        prev: PREV,
        ts: SENT_AT,
        message_id: message_id(),
        sender_id: ann(),
        content: content.map(Cow::Borrowed),
        deleted: content.is_none(),
    };
    let deleted = Frame::MessageDeleted {
        room_id: room(),
        seq: SEQ,
        prev: PREV,
        ts: SENT_AT,
        message_id: message_id(),
        sender_id: ann(),
    };
    let reaction = |removed| Frame::Reaction {
        room_id: room(),
        seq: SEQ,
        prev: PREV,
        ts: SENT_AT,
        message_id: message_id(),
        sender_id: ann(),
        emoji: "👍".into(),
        removed,
    };
    vec![
        case("", message(Some("hello"))),
        case("full", full_message()),
        case("odd", message(Some(ODD))),
        case("deleted", message(None)),
        case("", edited(Some("hello, all"))),
        case("deleted", edited(None)),
        case("", deleted),
        case("", reaction(false)),
        case("removed", reaction(true)),
    ]
}

fn about_members() -> Vec<Case<Frame>> {
    let joined = Frame::MemberJoined {
        room_id: room(),
        seq: SEQ,
        prev: PREV,
        ts: SENT_AT,
        user_id: ben(),
        sender_id: ann(),
        role: MemberRole::Member,
    };
    let left = Frame::MemberLeft {
        room_id: room(),
        seq: SEQ,
        prev: PREV,
        ts: SENT_AT,
        user_id: ben(),
        sender_id: ben(),
        role: MemberRole::Owner,
    };
    let changed = Frame::MemberChanged {
        room_id: room(),
        seq: SEQ,
        prev: PREV,
        ts: SENT_AT,
        user_id: ben(),
        sender_id: ann(),
        role: MemberRole::Admin,
    };
    vec![case("", joined), case("", left), case("", changed)]
}

fn about_rooms() -> Vec<Case<Frame>> {
    let changed = |name, topic, visibility, member_count| Frame::RoomChanged {
        room_id: room(),
        seq: SEQ,
        prev: PREV,
        ts: SENT_AT,
        sender_id: ann(),
        name,
        topic,
        visibility,
        member_count,
    };
    let deleted = Frame::RoomDeleted {
        room_id: room(),
        seq: SEQ,
        prev: PREV,
        ts: SENT_AT,
        sender_id: ann(),
    };
    let full = changed(
        Some("Kitchen".into()),
        Some("What's for lunch?".into()),
        Some(Visibility::Private),
        Some(3),
    );
    vec![
        case("", changed(None, None, None, None)),
        case("members-added", changed(None, None, None, Some(503))),
        case("full", full),
        case("", deleted),
    ]
}

fn verdicts() -> Vec<Case<Frame>> {
    let ack = |reference, client_msg_id, duplicate| Frame::Ack {
        reference,
        room_id: room(),
        message_id: message_id(),
        client_msg_id,
        seq: SEQ,
        ts: SENT_AT,
        duplicate,
    };
    let error = Frame::Error {
        reference: None,
        code: ErrorCode::BadFrame,
        message: "a frame is one JSON object".into(),
        retryable: false,
        retry_after_ms: None,
        room_id: None,
        client_msg_id: None,
    };
    let full_error = Frame::Error {
        reference: Some("7".into()),
        code: ErrorCode::RateLimited,
        message: "too fast".into(),
        retryable: true,
        retry_after_ms: Some(50),
        room_id: Some(room()),
        client_msg_id: Some(client_msg_id()),
    };
    vec![
        case("", ack(None, None, false)),
        case("full", ack(Some(ODD.into()), Some(client_msg_id()), true)),
        case("", error),
        case("full", full_error),
    ]
}

fn about_the_session() -> Vec<Case<Frame>> {
    type Reference = Option<Cow<'static, str>>;
    let welcome = |reference| Frame::Welcome {
        reference,
        connection_id: ConnectionId::new("019a9f6e-0002-7000-8000-000000000001").unwrap(),
        user_id: ann(),
        protocol: 1,
        server_time: SENT_AT,
        heartbeat_ms: 15_000,
        limits: Limits {
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            content_bytes_max: limits::CONTENT_BYTES_MAX,
            rooms_per_connection_max: limits::ROOMS_PER_CONNECTION_MAX,
            sends_per_second: limits::SENDS_PER_SECOND,
            send_burst: limits::SEND_BURST,
            connections_per_user_max: limits::CONNECTIONS_PER_USER_MAX,
            watched_users_max: limits::WATCHED_USERS_MAX,
            replay_max: limits::REPLAY_MAX,
        },
    };
    let subscribed = |reference, recovered, after| Frame::Subscribed {
        reference,
        room_id: room(),
        head: SEQ,
        recovered,
        after,
    };
    let unsubscribed = |reference| Frame::Unsubscribed {
        reference,
        room_id: room(),
    };
    let authenticated = |reference| Frame::Authenticated {
        reference,
        expires_at: SENT_AT,
    };
    let pong = |reference| Frame::Pong {
        reference,
        server_time: SENT_AT,
    };
    let reference = || Reference::Some("7".into());
    vec![
        case("", welcome(None)),
        case("full", welcome(reference())),
        case("", subscribed(None, false, Seq::ZERO)),
        case("full", subscribed(reference(), true, SEQ)),
        case("", unsubscribed(None)),
        case("full", unsubscribed(reference())),
        case("", authenticated(None)),
        case("full", authenticated(reference())),
        case("", pong(None)),
        case("full", pong(reference())),
    ]
}

fn signals() -> Vec<Case<Frame>> {
    let receipt = |read, delivered| Frame::Receipt {
        room_id: room(),
        user_id: ben(),
        read,
        delivered,
    };
    let presence = |status, last_seen| Frame::Presence {
        user_id: ben(),
        status,
        last_seen,
    };
    let notification = |kind, message_id| Frame::Notification {
        kind,
        room_id: room(),
        seq: SEQ,
        message_id,
        sender_id: ann(),
    };
    let typing = Frame::Typing {
        room_id: room(),
        user_id: ben(),
    };
    vec![
        case("", typing),
        case("", receipt(None, Some(SEQ))),
        case("read", receipt(Some(PREV), None)),
        case("full", receipt(Some(PREV), Some(SEQ))),
        case("", presence(PresenceStatus::Online, None)),
        case("away", presence(PresenceStatus::Away, None)),
        case("full", presence(PresenceStatus::Offline, Some(SENT_AT))),
        case("", notification(NotificationKind::Invitation, None)),
        case("removal", notification(NotificationKind::Removal, None)),
        case(
            "message",
            notification(NotificationKind::Message, Some(message_id())),
        ),
        case(
            "full",
            notification(NotificationKind::Mention, Some(message_id())),
        ),
        case(
            "reply",
            notification(NotificationKind::Reply, Some(message_id())),
        ),
        case("read", notification(NotificationKind::Read, None)),
        case("joined", notification(NotificationKind::Joined, None)),
        case("left", notification(NotificationKind::Left, None)),
        case(
            "room-changed",
            notification(NotificationKind::RoomChanged, None),
        ),
        case(
            "room-deleted",
            notification(NotificationKind::RoomDeleted, None),
        ),
        case(
            "message-edited",
            notification(NotificationKind::MessageEdited, Some(message_id())),
        ),
        case(
            "message-deleted",
            notification(NotificationKind::MessageDeleted, Some(message_id())),
        ),
    ]
}

fn notices() -> Vec<Case<Frame>> {
    let warning = |code, message: &'static str| Frame::Warning {
        code,
        message: message.into(),
    };
    let reconnect = Frame::Reconnect {
        after_ms: 2_500,
        reason: "draining".into(),
    };
    let too_large = warning(WarningCode::PresenceTooLarge, "too many members to watch");
    vec![
        case("", Frame::Heartbeat {}),
        case(
            "",
            Frame::TokenExpiring {
                expires_at: SENT_AT,
            },
        ),
        case(
            "",
            warning(WarningCode::LogUnavailable, "messages wait for the log"),
        ),
        case("presence-too-large", too_large),
        case("", reconnect),
    ]
}
