//! Dispatches client frames to their handlers.
//!
//! A handler without I/O completes immediately. Other handlers return a future that the connection's
//! task finishes before it reads the next frame, so that one connection's frames are obeyed in the
//! order they came; only the log's acknowledgements are waited for on the side, so that sends pipeline.

mod command;
mod ephemeral;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use roomcast_ports::access::{Caller, TokenError};
use roomcast_ports::event_log::{Appended, LogError};
use roomcast_protocol::limits::{IN_FLIGHT_SENDS_MAX, ROOMS_PER_CONNECTION_MAX};
use roomcast_protocol::{
    ClientFrame, CloseCode, ErrorCode, Refusal, RoomId, Seq, ServerFrame, Timestamp, UserId,
};
use tracing::{debug, warn};

use crate::connection::send_order::{RefusedSend, behind_refused, fails_later_sends};
use crate::hub::{User, UserConnection};
use crate::lock::lock;
use crate::port_errors::log_error_to_refusal;
use crate::publish::{self, MessageCommand, PendingAppend, PublishOutcome, PublishRequest};
use crate::session::RequestRef;
use crate::state::GatewayState;
use crate::subscribe::replay::Replay;
use crate::subscribe::{self, Subscription};
use command::{ParsedCommand, to_ids};

/// How long a new connection's first frame waits for the list of the user's rooms.
const ROOM_LIST_TIMEOUT: Duration = Duration::from_secs(1);

/// What a frame came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All answers have been sent.
    Nothing,
    /// A refusal to count and to answer.
    Refused(Refusal, RequestRef<'static>),
    /// A token that was good.
    Authenticated(Caller, RequestRef<'static>),
    /// The session still holds.
    Rechecked,
    /// The store gave no answer.
    NotRechecked,
    /// Whom the connection watches from now on.
    Watching(Vec<UserId>),
    /// What was missed is to be replayed, and what else came of it.
    Replaying(Replay, Box<Outcome>),
    /// Close.
    Close(CloseCode),
}

/// Something that the connection's next frame waits for.
pub(crate) type DeferredWork = BoxFuture<'static, Outcome>;

/// The result of starting a frame's handler.
pub(crate) enum HandlerResult {
    Ready(Outcome),
    Deferred(DeferredWork),
}

/// Who does it.
#[derive(Clone)]
pub(crate) struct FrameHandler {
    pub(crate) shared: Arc<GatewayState>,
    pub(crate) connection: Arc<UserConnection>,
}

impl FrameHandler {
    /// Judges a token.
    pub(crate) fn authenticate(&self, token: &str, echo: RequestRef<'static>) -> DeferredWork {
        let (shared, token) = (self.shared.clone(), token.to_owned());
        Box::pin(async move {
            match shared.ports.authenticator.authenticate(&token).await {
                Ok(caller) => Outcome::Authenticated(caller, echo),
                Err(error) => Outcome::Close(close_for(&error)),
            }
        })
    }

    /// Registers a new connection's presence, and adds the user to its rooms if this is its `first`
    /// connection here.
    pub(crate) async fn on_connected(&self, user: &Arc<User>, first: bool) {
        let shared = &self.shared;
        // A resuming client waits neither for a slow or unavailable store nor for other users' lists.
        let is_soon = shared.room_lists.are_ready();
        let loaded = first.then(|| {
            let (loading, user) = (shared.clone(), user.clone());
            let load = async move {
                let directory = &*loading.ports.directory;
                loading
                    .room_lists
                    .load(&loading.hub, directory, &user)
                    .await;
            };
            shared.tracker.spawn(load)
        });
        shared.presence_reporter.renew_now(&self.connection).await;
        if let Some(loaded) = loaded
            && is_soon
        {
            let _ = tokio::time::timeout(ROOM_LIST_TIMEOUT, loaded).await;
        }
    }

    /// Looks at a token's sign-in again.
    pub(crate) fn revalidate_session(&self, caller: Caller) -> DeferredWork {
        let shared = self.shared.clone();
        Box::pin(async move {
            match shared.ports.authenticator.is_session_active(&caller).await {
                Ok(true) => Outcome::Rechecked,
                Ok(false) => Outcome::Close(CloseCode::Unauthorized),
                // Nothing is known against it; it is looked at again soon.
                Err(TokenError::Unavailable(error)) => {
                    warn!(error = &*error, "failed to revalidate a session");
                    Outcome::NotRechecked
                }
                Err(error) => Outcome::Close(close_for(&error)),
            }
        })
    }

    /// Starts the handler of a frame of `user`; `watched` are the users the connection watches.
    pub(crate) fn handle_frame(
        &self,
        user: &Arc<User>,
        watched: &[UserId],
        frame: ClientFrame<'_>,
        echo: RequestRef<'_>,
    ) -> HandlerResult {
        let frame = match command::from_frame(frame) {
            Ok(worded) => return self.on_message_command(user, worded, echo),
            Err(frame) => frame,
        };
        match frame {
            ClientFrame::Ping {} => {
                let pong = ServerFrame::Pong {
                    reference: echo.reference,
                    server_time: Timestamp::now(),
                };
                self.connection.send_frame(&pong, self.shared.clock.now());
                HandlerResult::Ready(Outcome::Nothing)
            }
            ClientFrame::Subscribe {
                room_id: Some(room_id),
                after,
                presence,
                ..
            } => self.subscribe(user, watched, room_id.to_id(), after, presence, echo),
            ClientFrame::Subscribe { room_id: None, .. } => {
                unreachable!("the task takes the rooms one by one")
            }
            ClientFrame::Unsubscribe { room_id } => {
                self.unsubscribe(room_id.to_id(), echo);
                HandlerResult::Ready(Outcome::Nothing)
            }
            ClientFrame::Typing { room_id } => self.on_typing(user, room_id.to_id(), echo),
            ClientFrame::Mark {
                room_id,
                read,
                delivered,
            } => self.on_mark(user, room_id.to_id(), read, delivered, echo),
            ClientFrame::WatchPresence { user_ids } => self.on_watch_presence(to_ids(&user_ids)),
            ClientFrame::SetStatus { status } => {
                self.connection.set_status(status);
                self.shared
                    .presence_reporter
                    .report_online(self.connection.clone());
                HandlerResult::Ready(Outcome::Nothing)
            }
            ClientFrame::Auth { .. } => unreachable!("the session keeps tokens to itself"),
            ClientFrame::SendMessage { .. }
            | ClientFrame::EditMessage { .. }
            | ClientFrame::DeleteMessage { .. }
            | ClientFrame::React { .. } => unreachable!("worded above"),
        }
    }

    pub(crate) fn subscribe(
        &self,
        user: &Arc<User>,
        watched: &[UserId],
        room_id: RoomId,
        after: Option<Seq>,
        presence: bool,
        echo: RequestRef<'_>,
    ) -> HandlerResult {
        let echo = echo.into_owned();
        if self.has_too_many_rooms(&room_id) {
            let refusal =
                Refusal::new(ErrorCode::TooManyRooms, "too many rooms on this connection");
            return HandlerResult::Ready(Outcome::Refused(refusal, echo));
        }
        let (actor, user, watched) = (self.clone(), user.clone(), watched.to_vec());
        HandlerResult::Deferred(Box::pin(async move {
            let (shared, connection) = (&actor.shared, &actor.connection);
            let reference = echo.reference.clone();
            let subscription = Subscription {
                room_id: room_id.clone(),
                after,
                reference,
            };
            let replay = subscribe::subscribe(
                &shared.hub,
                &*shared.ports.memberships,
                &shared.replay_limits,
                connection,
                &user,
                subscription,
            )
            .await;
            let replay = match replay {
                Ok(replay) => replay,
                Err(refusal) => return Outcome::Refused(refusal, echo),
            };
            let done = if presence {
                actor.watch_members(&room_id, &watched, echo).await
            } else {
                Outcome::Nothing
            };
            match replay {
                Some(replay) => Outcome::Replaying(replay, Box::new(done)),
                None => done,
            }
        }))
    }

    /// Watches the room's members beside those watched already.
    async fn watch_members(
        &self,
        room_id: &RoomId,
        watched: &[UserId],
        echo: RequestRef<'static>,
    ) -> Outcome {
        match subscribe::watchable_members(&*self.shared.ports.directory, room_id, watched).await {
            Ok(Some(all)) => self.send_presence_snapshot(all).await,
            Ok(None) => {
                subscribe::warn_too_large(&self.connection, self.shared.clock.now());
                Outcome::Nothing
            }
            Err(refusal) => Outcome::Refused(refusal, echo),
        }
    }

    fn has_too_many_rooms(&self, room_id: &RoomId) -> bool {
        let mut subscriptions = self.connection.subscriptions();
        if subscriptions.len() < ROOMS_PER_CONNECTION_MAX {
            return false;
        }
        // Rooms that ended a subscription by themselves are still on the list.
        subscriptions.retain(|room| lock(&room.state).is_subscribed(&self.connection));
        subscriptions.len() >= ROOMS_PER_CONNECTION_MAX
            && !subscriptions.iter().any(|room| room.id == *room_id)
    }

    fn unsubscribe(&self, room_id: RoomId, echo: RequestRef<'_>) {
        let mut subscriptions = self.connection.subscriptions();
        if let Some(at) = subscriptions.iter().position(|room| room.id == room_id) {
            let room = subscriptions.swap_remove(at);
            lock(&room.state).unsubscribe(&self.connection);
        }
        drop(subscriptions);
        let frame = ServerFrame::Unsubscribed {
            reference: echo.reference,
            room_id,
        };
        self.connection.send_frame(&frame, self.shared.clock.now());
    }

    fn on_message_command(
        &self,
        user: &Arc<User>,
        worded: ParsedCommand<'_>,
        echo: RequestRef<'_>,
    ) -> HandlerResult {
        let echo = echo.into_owned();
        if let Err(refusal) = self.check_rate_limit(user) {
            return HandlerResult::Ready(Outcome::Refused(refusal, echo));
        }
        let room_id = worded.room_id;
        let said = PublishRequest {
            room_id: room_id.to_id(),
            sender_id: user.id.clone(),
            client_message_id: worded.client_msg_id.map(|id| id.to_id()),
            speech: worded.speech,
            connection: Some(self.connection.clone()),
        };
        if self.connection.is_behind_refused(&said.room_id) {
            self.refuse_send(behind_refused(), echo, false);
            return HandlerResult::Ready(Outcome::Nothing);
        }
        let certain = self
            .shared
            .hub
            .room_if_confirmed_member(room_id.as_str(), user)
            .is_some();
        let log = &*self.shared.ports.log;
        // A send that would be refused may be a resend: the slow path looks it up.
        if certain
            && publish::is_fast_path(&said.speech)
            && publish::is_new(log, &self.shared.optional_lookups, &said)
            && let Ok(pending) = publish::publish_fast_path(log, &said)
        {
            self.await_log(pending, echo);
            return HandlerResult::Ready(Outcome::Nothing);
        }
        let (actor, user) = (self.clone(), user.clone());
        HandlerResult::Deferred(Box::pin(async move {
            match actor.authorize_and_publish(&user, said).await {
                Ok(PublishOutcome::Pending(pending)) => actor.await_log(pending, echo),
                Ok(PublishOutcome::Completed(appended)) => actor.acknowledge(&appended, echo),
                Err(refusal) if fails_later_sends(&refusal) => {
                    actor.refuse_send(refusal, echo, false);
                }
                Err(refusal) => return Outcome::Refused(refusal, echo),
            }
            Outcome::Nothing
        }))
    }

    fn check_rate_limit(&self, user: &Arc<User>) -> Result<(), Refusal> {
        publish::check_rate_limit(&self.shared.rates, &self.shared.config, &user.id)?;
        if usize::from(self.connection.unacknowledged()) >= IN_FLIGHT_SENDS_MAX {
            return Err(Refusal {
                message: "too many sends wait for their acknowledgement".into(),
                ..Refusal::rate_limited(50)
            });
        }
        Ok(())
    }

    async fn authorize_and_publish(
        &self,
        user: &Arc<User>,
        said: PublishRequest,
    ) -> Result<PublishOutcome, Refusal> {
        let (hub, memberships) = (&self.shared.hub, &*self.shared.ports.memberships);
        let pinned = hub.pin_room(&said.room_id);
        let mut role = None;
        if matches!(said.speech, MessageCommand::Delete { .. }) {
            role = hub
                .fetch_membership(memberships, &pinned.room, user)
                .await?
                .role;
            role.ok_or_else(Refusal::not_member)?;
        } else {
            hub.ensure_member(memberships, &pinned.room, user).await?;
        }
        publish::publish(hub, &self.shared.optional_lookups, said, role).await
    }

    /// Waits for the log on the side, and answers.
    fn await_log(&self, mut pending: PendingAppend, echo: RequestRef<'static>) {
        // A refusal on the spot must be known before the next frame is judged.
        if let Some(answer) = (&mut pending).now_or_never() {
            return self.answer(answer, echo, false);
        }
        self.connection.send_started();
        let given = self.shared.hub.track_in_flight();
        let actor = self.clone();
        self.shared.tracker.spawn(async move {
            let answer = match &echo.room_id {
                Some(room_id) => publish::await_append(&actor.shared.hub, room_id, pending).await,
                None => pending.await,
            };
            drop(given);
            actor.connection.send_committed();
            actor.answer(answer, echo, true);
        });
    }

    /// Sends the client the log's answer; `was_given`: whether the send counts as in flight.
    fn answer(
        &self,
        answer: Result<Appended, LogError>,
        echo: RequestRef<'static>,
        was_given: bool,
    ) {
        match answer.map_err(|error| log_error_to_refusal(&error)) {
            Ok(appended) => self.acknowledge(&appended, echo),
            Err(refusal) if fails_later_sends(&refusal) => {
                return self.refuse_send(refusal, echo, was_given);
            }
            Err(refusal) => self.refuse(&refusal, echo),
        }
        if was_given {
            self.connection.ack_written();
        }
    }

    fn refuse_send(&self, refusal: Refusal, echo: RequestRef<'static>, was_given: bool) {
        self.connection.refuse_send(RefusedSend {
            refusal,
            echo,
            was_given,
        });
    }

    /// Answers refused sends.
    pub(crate) fn answer_refused(&self, refused: Vec<RefusedSend>) {
        for send in refused {
            self.refuse(&send.refusal, send.echo);
            if send.was_given {
                self.connection.ack_written();
            }
        }
    }

    fn acknowledge(&self, appended: &Appended, echo: RequestRef<'static>) {
        let Some(room_id) = echo.room_id else { return };
        let frame = publish::ack(room_id, echo.client_message_id, echo.reference, appended);
        self.connection.send_frame(&frame, self.shared.clock.now());
    }

    /// Answers with a refusal.
    pub(crate) fn refuse(&self, refusal: &Refusal, echo: RequestRef<'_>) {
        metrics::counter!("chat_refusals_total", "code" => refusal.code.as_str()).increment(1);
        let mut frame = ServerFrame::error(refusal);
        if let ServerFrame::Error {
            reference,
            room_id,
            client_msg_id,
            ..
        } = &mut frame
        {
            *reference = echo.reference.map(|text| text.into_owned().into());
            *room_id = echo.room_id;
            *client_msg_id = echo.client_message_id;
        }
        self.connection.send_frame(&frame, self.shared.clock.now());
    }
}

fn close_for(error: &TokenError) -> CloseCode {
    match error {
        TokenError::Invalid(reason) => {
            debug!(reason, "refused a token");
            CloseCode::Unauthorized
        }
        TokenError::AccountDisabled => CloseCode::AccountRefused,
        TokenError::Unavailable(cause) => {
            warn!(error = &**cause, "failed to validate a token");
            CloseCode::StateLost
        }
    }
}
