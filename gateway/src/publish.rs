//! Publishes message commands from sockets and HTTP: authorizes, appends to the log, acknowledges.
//!
//! The order of judgement is the contract's: the rate, then membership, then memory (a resend gets
//! its first answer whatever else is wrong with it), then the rest. What depends on a message's state
//! is appended on condition that the room has not moved since that was read, and judged again if it has.

mod resend;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use roomcast_ports::event_log::{Append, Appended, EventLog, LogError};
use roomcast_ports::message_store::MessageState;
use roomcast_ports::reactions::{ReactionState, Reactions};
use roomcast_ports::timeline::Timeline;
use roomcast_protocol::event::Message;
use roomcast_protocol::limits::{
    CONTENT_BYTES_MAX, FRAME_BYTES_MAX, REACTIONS_MAX, REACTIONS_PER_USER_MAX,
};
use roomcast_protocol::server_frame::WarningCode;
use roomcast_protocol::{
    ClientMessageId, ErrorCode, EventBody, EventId, MemberRole, MessageId, Refusal, RoomEvent,
    RoomId, Seq, ServerFrame, StoredEvent, Timestamp, UserId,
};

use crate::config::GatewayConfig;
use crate::connection;
use crate::connection::send_order::behind_refused;
use crate::connection::sender_clock::SenderClock;
use crate::hub::{Hub, UserConnection};
use crate::lock::lock;
use crate::port_errors::{content_too_large, log_error_to_refusal, read_error_to_refusal};
use crate::rate_limit::{Rate, RateLimiter};
pub(crate) use resend::{OptionalLookups, is_new};

/// Tries to append on an unmoved room before appending anyway.
const CONDITIONAL_TRIES: usize = 8;

/// Tries to append a reaction, which is only appended to a room that has not moved; then the room is too
/// busy, and it is refused as `LOG_UNAVAILABLE`.
const COUNTED_TRIES: usize = 100;

/// An append that takes longer is one that waits for the log to recover.
const LOG_SLOW_WARNING_DELAY: Duration = Duration::from_secs(1);

/// A message command with its sender and room.
#[derive(Debug, Clone)]
pub(crate) struct PublishRequest {
    pub(crate) room_id: RoomId,
    pub(crate) sender_id: UserId,
    pub(crate) client_message_id: Option<ClientMessageId>,
    pub(crate) speech: MessageCommand,
    /// The connection it came on; `None` over HTTP.
    pub(crate) connection: Option<Arc<UserConnection>>,
}

/// The command.
#[derive(Debug, Clone)]
pub(crate) enum MessageCommand {
    Send(Message),
    Edit {
        message_id: MessageId,
        content: String,
    },
    Delete {
        message_id: MessageId,
    },
    React {
        message_id: MessageId,
        emoji: String,
        remove: bool,
    },
}

/// The log's answer to come.
pub(crate) type PendingAppend = BoxFuture<'static, Result<Appended, LogError>>;

/// The progress of a publish.
pub(crate) enum PublishOutcome {
    /// It is with the log.
    Pending(PendingAppend),
    /// There is nothing to append: a resend, or the state is so already.
    Completed(Appended),
}

impl PublishRequest {
    /// What is known of the clock that made its id.
    fn clock(&self) -> Option<&SenderClock> {
        self.connection
            .as_ref()
            .map(|connection| &connection.sender_clock)
    }

    fn event_id(&self) -> EventId {
        match &self.client_message_id {
            Some(client) => EventId::for_client_message(&self.room_id, &self.sender_id, client),
            None => EventId::generate(),
        }
    }

    fn event(&self, body: EventBody) -> RoomEvent {
        RoomEvent {
            id: self.event_id(),
            room_id: self.room_id.clone(),
            sender_id: self.sender_id.clone(),
            client_message_id: self.client_message_id.clone(),
            sent_at: Timestamp::now(),
            body,
        }
    }
}

/// Takes one send from the user's rate, which sockets and HTTP share.
pub(crate) fn check_rate_limit(
    rates: &RateLimiter,
    config: &GatewayConfig,
    user_id: &UserId,
) -> Result<(), Refusal> {
    let rate = Rate {
        per_second: config.sends_per_second,
        burst: config.send_burst,
    };
    rates.take(user_id, 1, rate).map_err(Refusal::rate_limited)
}

/// Whether a message can be judged by itself alone: new, with nothing to look up.
pub(crate) fn is_fast_path(speech: &MessageCommand) -> bool {
    matches!(speech, MessageCommand::Send(message) if message.reply_to.is_none() && check(message.content.as_deref()).is_ok())
}

/// Waits for the log. While that takes long, the room's members get a `WARNING`.
pub(crate) async fn await_append(
    hub: &Hub,
    room_id: &RoomId,
    mut pending: PendingAppend,
) -> Result<Appended, LogError> {
    match tokio::time::timeout(LOG_SLOW_WARNING_DELAY, &mut pending).await {
        Ok(answer) => return answer,
        Err(_) => warn_log_unavailable(hub, room_id),
    }
    pending.await
}

fn warn_log_unavailable(hub: &Hub, room_id: &RoomId) {
    let Some(room) = hub.room(room_id) else {
        return;
    };
    let now = hub.clock.now();
    let mut state = lock(&room.state);
    if state.may_warn(now) {
        let frame = connection::encode(&ServerFrame::Warning {
            code: WarningCode::LogUnavailable,
            message: "messages wait until the log takes them again".into(),
        });
        state.broadcast_ephemeral(&frame, None, now);
    }
}

/// Gives a plain message of a certain member to the log, immediately and in the order of the calls.
pub(crate) fn publish_fast_path(
    log: &dyn EventLog,
    said: &PublishRequest,
) -> Result<PendingAppend, Refusal> {
    let MessageCommand::Send(message) = said.speech.clone() else {
        unreachable!("only a message is plain")
    };
    let event = said.event(EventBody::MessageSent(message));
    append(log, said, Append::new(event))
}

/// Gives an event to the log, unless an earlier send of its connection has just been refused.
fn append(
    log: &dyn EventLog,
    said: &PublishRequest,
    append: Append,
) -> Result<PendingAppend, Refusal> {
    check_size(&append.event)?;
    let connection = said.connection.as_ref();
    if connection.is_some_and(|it| it.is_behind_refused(&said.room_id)) {
        return Err(behind_refused());
    }
    if let Some(connection) = connection
        && !connection.may_read_events(&said.room_id)
    {
        connection.remember_append(append.event.id.clone());
    }
    Ok(log.append(append))
}

/// Validates the command of a confirmed member, and appends it to the log.
pub(crate) async fn publish(
    hub: &Hub,
    lookups: &OptionalLookups,
    said: PublishRequest,
    role: Option<MemberRole>,
) -> Result<PublishOutcome, Refusal> {
    if let Some(first) = resend::first(hub, lookups, &said).await? {
        return Ok(PublishOutcome::Completed(first));
    }
    match judge(hub, &said, role).await {
        Ok(saying) => Ok(saying),
        // Memory goes before judgement, and is asked only when it matters.
        Err(refusal) => resend::first_or_refusal(hub, &said, refusal)
            .await
            .map(PublishOutcome::Completed),
    }
}

async fn judge(
    hub: &Hub,
    said: &PublishRequest,
    role: Option<MemberRole>,
) -> Result<PublishOutcome, Refusal> {
    if let MessageCommand::Send(message) = &said.speech {
        check(message.content.as_deref())?;
        if let Some(target) = &message.reply_to {
            load_live_message(&*hub.timeline, &said.room_id, target, None).await?;
        }
        return publish_fast_path(&*hub.log, said).map(PublishOutcome::Pending);
    }
    // Two reactions that race must not both be the last that is allowed.
    let counted = matches!(&said.speech, MessageCommand::React { .. });
    for attempt in 0.. {
        let head = hub
            .timeline
            .head(&said.room_id)
            .await
            .map_err(|error| read_error_to_refusal(&error))?;
        let body = match validate_command(&*hub.timeline, said, role).await? {
            Decision::Append(body) => body,
            Decision::NoOp(state) => {
                let first = resend::find_duplicate(hub, said).await?;
                return Ok(PublishOutcome::Completed(
                    first.unwrap_or_else(|| unchanged_ack(&state)),
                ));
            }
        };
        let conditional = Append {
            event: said.event(body),
            expected_head: (counted || attempt < CONDITIONAL_TRIES).then_some(head),
        };
        let pending = append(&*hub.log, said, conditional)?;
        match await_append(hub, &said.room_id, pending).await {
            Err(LogError::HeadMismatch { .. }) if attempt < COUNTED_TRIES => {}
            Err(error) => return Err(log_error_to_refusal(&error)),
            Ok(appended) => return Ok(PublishOutcome::Completed(appended)),
        }
    }
    unreachable!("an append without a condition does not meet a moved room")
}

enum Decision {
    Append(EventBody),
    NoOp(MessageState),
}

async fn validate_command(
    timeline: &dyn Timeline,
    said: &PublishRequest,
    role: Option<MemberRole>,
) -> Result<Decision, Refusal> {
    match said.speech.clone() {
        MessageCommand::Edit {
            message_id,
            content,
        } => {
            check(Some(&content))?;
            let target = load_live_message(timeline, &said.room_id, &message_id, None).await?;
            if target.sender_id != said.sender_id {
                return Err(Refusal::forbidden("only its sender edits a message"));
            }
            Ok(Decision::Append(EventBody::MessageEdited {
                message_id,
                content: Some(content),
            }))
        }
        MessageCommand::Delete { message_id } => {
            let target = load_message(timeline, &said.room_id, &message_id, None).await?;
            if target.sender_id != said.sender_id && role < Some(MemberRole::Admin) {
                return Err(Refusal::forbidden(
                    "only its sender and the room's admins delete a message",
                ));
            }
            if target.is_deleted() {
                return Ok(Decision::NoOp(target));
            }
            Ok(Decision::Append(EventBody::MessageDeleted { message_id }))
        }
        MessageCommand::React {
            message_id,
            emoji,
            remove,
        } => {
            let target =
                load_live_message(timeline, &said.room_id, &message_id, Some(&said.sender_id))
                    .await?;
            if target.reactions.is_own(&emoji) != remove {
                return Ok(Decision::NoOp(target));
            }
            let held = target.reactions.get(&emoji);
            if !remove {
                check_reactions(&target.reactions, held)?;
            }
            Ok(Decision::Append(EventBody::ReactionChanged {
                message_id,
                emoji: held.map_or(emoji, |it| it.emoji.clone()),
                removed: remove,
            }))
        }
        MessageCommand::Send(_) => unreachable!("messages are judged without the room's state"),
    }
}

/// Refuses one reaction more than the message, or this user of it, may have.
fn check_reactions(reactions: &Reactions, held: Option<&ReactionState>) -> Result<(), Refusal> {
    let message = if reactions.own_count() >= REACTIONS_PER_USER_MAX {
        "you have reacted to this message as often as one user may"
    } else if held.is_none() && reactions.len() >= REACTIONS_MAX {
        "the message has as many different reactions as it may"
    } else {
        return Ok(());
    };
    Err(Refusal::new(ErrorCode::TooManyReactions, message))
}

fn unchanged_ack(state: &MessageState) -> Appended {
    Appended {
        seq: state.seq,
        prev: Seq::ZERO,
        sent_at: state.sent_at,
        message_id: Some(state.message_id.clone()),
        duplicate: true,
    }
}

async fn load_message(
    timeline: &dyn Timeline,
    room_id: &RoomId,
    message_id: &MessageId,
    user_id: Option<&UserId>,
) -> Result<MessageState, Refusal> {
    let found = timeline.message(room_id, message_id, user_id).await;
    found
        .map_err(|error| read_error_to_refusal(&error))?
        .ok_or_else(|| Refusal::not_found("there is no such message in this room"))
}

async fn load_live_message(
    timeline: &dyn Timeline,
    room_id: &RoomId,
    message_id: &MessageId,
    user_id: Option<&UserId>,
) -> Result<MessageState, Refusal> {
    let state = load_message(timeline, room_id, message_id, user_id).await?;
    if state.is_deleted() {
        return Err(Refusal::not_found("the message is deleted"));
    }
    Ok(state)
}

fn check(content: Option<&str>) -> Result<(), Refusal> {
    match content.map_or(0, str::len) {
        0 => Err(Refusal::new(
            ErrorCode::ContentEmpty,
            "a message needs content",
        )),
        1..=CONTENT_BYTES_MAX => Ok(()),
        _ => Err(content_too_large()),
    }
}

/// Escapes can make a frame six times its content; what could never be delivered is not taken.
fn check_size(event: &RoomEvent) -> Result<(), Refusal> {
    let content = match &event.body {
        EventBody::MessageSent(message) => message.content.as_deref(),
        EventBody::MessageEdited { content, .. } => content.as_deref(),
        _ => None,
    };
    if content.map_or(0, str::len) <= CONTENT_BYTES_MAX / 2 {
        return Ok(());
    }
    let stored = StoredEvent {
        seq: Seq::MAX,
        prev: Seq::MAX,
        event: event.clone(),
    };
    if stored.frame().encoded_len() > FRAME_BYTES_MAX {
        Err(content_too_large())
    } else {
        Ok(())
    }
}

/// The acknowledgement of a command. Without a message of its own (the first event with this id added
/// a member, for example) the seq identifies it.
pub(crate) fn ack<'a>(
    room_id: RoomId,
    client_msg_id: Option<ClientMessageId>,
    reference: Option<Cow<'a, str>>,
    appended: &Appended,
) -> ServerFrame<'a> {
    let message_id = appended.message_id.clone();
    ServerFrame::Ack {
        reference,
        room_id,
        message_id: message_id
            .unwrap_or_else(|| EventId::hash_of(&[&appended.seq.to_string()]).into()),
        client_msg_id,
        seq: appended.seq,
        ts: appended.sent_at,
        duplicate: appended.duplicate,
    }
}
