//! Client frames.

use roomcast_protocol::id::{Id, IdRef};
use roomcast_protocol::{ClientFrame, PresenceStatus, RoomAfter, Seq};

use super::{Case, ODD, case};

type Said = (Option<&'static str>, ClientFrame<'static>);

pub(crate) fn cases() -> Vec<Case<Said>> {
    let mut cases = about_messages();
    cases.extend(about_rooms());
    cases.extend(about_oneself());
    cases
}

fn id<T: Id>(text: &'static str) -> IdRef<'static, T> {
    IdRef::new(text).expect("the case has good ids")
}

fn send(content: &'static str) -> ClientFrame<'static> {
    ClientFrame::SendMessage {
        room_id: id("R88"),
        content: content.into(),
        client_msg_id: None,
        reply_to: None,
        attachments: Vec::new(),
        mentions: Vec::new(),
    }
}

fn about_messages() -> Vec<Case<Said>> {
    let message = || id("019a9f6e-0001-7000-8000-000000000001");
    let edit = |client_msg_id| ClientFrame::EditMessage {
        room_id: id("R88"),
        message_id: message(),
        content: "hello, all".into(),
        client_msg_id,
    };
    let delete = |client_msg_id| ClientFrame::DeleteMessage {
        room_id: id("R88"),
        message_id: message(),
        client_msg_id,
    };
    let react = |remove, client_msg_id| ClientFrame::React {
        room_id: id("R88"),
        message_id: message(),
        emoji: "👍".into(),
        remove,
        client_msg_id,
    };
    let send_full = ClientFrame::SendMessage {
        room_id: id("R88"),
        content: "hello @ben".into(),
        client_msg_id: Some(id("c-1")),
        reply_to: Some(message()),
        attachments: vec![id("a-1"), id("a-2")],
        mentions: vec![id("u-ben"), id("u-cleo")],
    };
    vec![
        case("", (None, send("hello"))),
        case("full", (Some("7"), send_full)),
        case("odd", (Some(ODD), send(ODD))),
        case("", (None, edit(None))),
        case("full", (Some("7"), edit(Some(id("c-2"))))),
        case("", (None, delete(None))),
        case("full", (Some("7"), delete(Some(id("c-3"))))),
        case("", (None, react(false, None))),
        case("full", (Some("7"), react(true, Some(id("c-4"))))),
    ]
}

fn about_rooms() -> Vec<Case<Said>> {
    let subscribe = |after, presence| ClientFrame::Subscribe {
        room_id: Some(id("R88")),
        after,
        presence,
        rooms: Vec::new(),
    };
    let room = |name, after| RoomAfter {
        room_id: id(name),
        after,
    };
    let subscribe_many = ClientFrame::Subscribe {
        room_id: None,
        after: None,
        presence: false,
        rooms: vec![room("R88", None), room("R89", Seq::new(4_711))],
    };
    let mark = |read, delivered| ClientFrame::Mark {
        room_id: id("R88"),
        read,
        delivered,
    };
    let unsubscribe = || ClientFrame::Unsubscribe { room_id: id("R88") };
    let typing = || ClientFrame::Typing { room_id: id("R88") };
    let mark_full = mark(Seq::new(4_711), Seq::new(4_712));
    vec![
        case("", (None, subscribe(None, false))),
        case("full", (Some("7"), subscribe(Some(Seq::MAX), true))),
        case("from-the-start", (None, subscribe(Some(Seq::ZERO), false))),
        case("rooms", (Some("7"), subscribe_many)),
        case("", (None, unsubscribe())),
        case("full", (Some("7"), unsubscribe())),
        case("", (None, typing())),
        case("full", (Some("7"), typing())),
        case("", (None, mark(Seq::new(4_711), None))),
        case("delivered", (None, mark(None, Seq::new(4_712)))),
        case("full", (Some("7"), mark_full)),
    ]
}

fn about_oneself() -> Vec<Case<Said>> {
    let auth = || ClientFrame::Auth {
        token: "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1LWFubiJ9.c2ln".into(),
    };
    let watch = |user_ids| ClientFrame::WatchPresence { user_ids };
    let status = |status| ClientFrame::SetStatus { status };
    let two = vec![id("u-ben"), id("u-cleo")];
    vec![
        case("", (None, auth())),
        case("full", (Some("7"), auth())),
        case("", (None, watch(Vec::new()))),
        case("full", (Some("7"), watch(two))),
        case("", (None, status(PresenceStatus::Online))),
        case("full", (Some("7"), status(PresenceStatus::Away))),
        case("", (None, ClientFrame::Ping {})),
        case("full", (Some("7"), ClientFrame::Ping {})),
    ]
}
