//! What the log and the bus keep.

use roomcast_protocol::event::{Message, RoomChange, RoomCreation};
use roomcast_protocol::{
    ClientMessageId, EventBody, EventId, MemberRole, MessageId, RoomEvent, RoomId, RoomKind,
    UserId, Visibility,
};

use super::{Case, ODD, SENT_AT, case};

pub(crate) fn cases() -> Vec<Case<RoomEvent>> {
    let mut cases = of_messages();
    cases.extend(of_members());
    cases.extend(of_rooms());
    cases
}

pub(crate) fn event(client_message_id: Option<&str>, body: EventBody) -> RoomEvent {
    RoomEvent {
        id: EventId::new("019a9f6e-0001-7000-8000-000000000009").unwrap(),
        room_id: RoomId::new("R88").unwrap(),
        sender_id: UserId::new("u-ann").unwrap(),
        client_message_id: client_message_id.map(|id| ClientMessageId::new(id).unwrap()),
        sent_at: SENT_AT,
        body,
    }
}

fn message_id() -> MessageId {
    MessageId::new("019a9f6e-0001-7000-8000-000000000001").unwrap()
}

fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

pub(crate) fn full_message() -> Message {
    Message {
        content: Some("hello @ben".to_owned()),
        reply_to: Some(message_id()),
        attachments: vec!["a-1".parse().unwrap(), "a-2".parse().unwrap()],
        mentions: vec![user("u-ben"), user("u-cleo")],
    }
}

fn of_messages() -> Vec<Case<RoomEvent>> {
    let says = |content: &str| Message {
        content: Some(content.to_owned()),
        ..Message::default()
    };
    let sent = |message| EventBody::MessageSent(message);
    let edited = |content: Option<&str>| EventBody::MessageEdited {
        message_id: message_id(),
        content: content.map(str::to_owned),
    };
    let deleted = || EventBody::MessageDeleted {
        message_id: message_id(),
    };
    let reaction = |removed| EventBody::ReactionChanged {
        message_id: message_id(),
        emoji: "👍".to_owned(),
        removed,
    };
    let redacted = |mut event: RoomEvent| {
        assert!(event.redact(), "there was something to take away");
        event
    };
    vec![
        case("", event(None, sent(says("hello")))),
        case("full", event(Some("c-1"), sent(full_message()))),
        case("odd", event(None, sent(says(ODD)))),
        case("redacted", redacted(event(None, sent(says("hello"))))),
        case(
            "full-redacted",
            redacted(event(Some("c-1"), sent(full_message()))),
        ),
        case("", event(None, edited(Some("hello, all")))),
        case("full", event(Some("c-2"), edited(Some("hello, all")))),
        case(
            "redacted",
            redacted(event(None, edited(Some("hello, all")))),
        ),
        case("", event(None, deleted())),
        case("full", event(Some("c-3"), deleted())),
        case("", event(None, reaction(false))),
        case("full", event(Some("c-4"), reaction(true))),
    ]
}

fn of_members() -> Vec<Case<RoomEvent>> {
    let joined = |role, founding| EventBody::MemberJoined {
        user_id: user("u-ben"),
        role,
        founding,
    };
    let direct = RoomCreation {
        kind: RoomKind::Direct,
        visibility: None,
        name: None,
    };
    let group = RoomCreation {
        kind: RoomKind::Group,
        visibility: Some(Visibility::Public),
        name: Some("Lobby".to_owned()),
    };
    let left = || EventBody::MemberLeft {
        user_id: user("u-ben"),
        role: MemberRole::Member,
    };
    let changed = || EventBody::MemberChanged {
        user_id: user("u-ben"),
        role: MemberRole::Admin,
    };
    let added = || EventBody::MembersAdded {
        user_ids: vec![user("u-ben"), user("u-cleo")],
        member_count: 3,
    };
    vec![
        case("", event(None, joined(MemberRole::Member, None))),
        case(
            "direct",
            event(None, joined(MemberRole::Member, Some(direct))),
        ),
        case(
            "full",
            event(Some("c-5"), joined(MemberRole::Owner, Some(group))),
        ),
        case("", event(None, left())),
        case("full", event(Some("c-6"), left())),
        case("", event(None, changed())),
        case("full", event(Some("c-7"), changed())),
        case("", event(None, added())),
        case("full", event(Some("c-8"), added())),
    ]
}

fn of_rooms() -> Vec<Case<RoomEvent>> {
    let all = RoomChange {
        name: Some("Kitchen".to_owned()),
        topic: Some("What's for lunch?".to_owned()),
        visibility: Some(Visibility::Private),
    };
    vec![
        case(
            "",
            event(None, EventBody::RoomChanged(RoomChange::default())),
        ),
        case("full", event(Some("c-9"), EventBody::RoomChanged(all))),
        case("", event(None, EventBody::RoomDeleted)),
        case("full", event(Some("c-10"), EventBody::RoomDeleted)),
    ]
}
