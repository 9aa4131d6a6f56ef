//! Doing what a client's frame says.
//!
//! What can be done at once is done at once. What must ask somebody is a future that the connection's
//! task finishes before it reads the next frame, so that one connection's frames are obeyed in the
//! order they came; only the log's acknowledgements are waited for on the side, so that sends pipeline.

mod asides;
mod wording;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use roomcast_ports::access::{Caller, TokenError};
use roomcast_ports::event_log::{Appended, LogError};
use roomcast_protocol::limits::{ROOMS_PER_CONNECTION_MAX, UNACKNOWLEDGED_SENDS_MAX};
use roomcast_protocol::{
    ClientFrame, Close, Code, FleetFrame, Refusal, RoomId, Seq, Timestamp, UserId,
};
use tracing::{debug, warn};

use crate::Shared;
use crate::connection::Connection;
use crate::connection::send_order::{RefusedSend, behind_refused, fails_later_sends};
use crate::hub::User;
use crate::lock::lock;
use crate::session::Echo;
use crate::speech::{self, Pending, Said, Saying, Speech};
use crate::subscribe::replay::Replay;
use crate::subscribe::{self, Subscription};
use crate::vitals;
use wording::{Worded, to_ids};

/// Lists of users' rooms read at once.
pub(crate) const ROOM_LISTS_AT_ONCE: usize = 16;
/// How long a new connection's first frame waits for them.
const ROOMS_WITHIN: Duration = Duration::from_secs(1);

/// What a frame came to.
#[derive(Debug)]
pub(crate) enum Done {
    /// All that was to be said has been said.
    Nothing,
    /// A refusal to count and to answer.
    Refused(Refusal, Echo<'static>),
    /// A token that was good.
    Authenticated(Caller, Echo<'static>),
    /// The session still holds.
    Rechecked,
    /// The store did not say whether it does.
    NotRechecked,
    /// Whom the connection watches from now on.
    Watching(Vec<UserId>),
    /// What was missed is to be replayed, and what else came of it.
    Replaying(Replay, Box<Done>),
    /// Close.
    Close(Close),
}

/// Something that the connection's next frame waits for.
pub(crate) type Work = BoxFuture<'static, Done>;

/// What was begun with a frame.
pub(crate) enum Begun {
    Done(Done),
    Work(Work),
}

/// Who does it.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Arc<Connection>,
}

impl Actor {
    /// Judges a token.
    pub(crate) fn authenticate(&self, token: &str, echo: Echo<'static>) -> Work {
        let (shared, token) = (self.shared.clone(), token.to_owned());
        Box::pin(async move {
            match shared.ports.authenticator.authenticate(&token).await {
                Ok(caller) => Done::Authenticated(caller, echo),
                Err(error) => Done::Close(close_for(&error)),
            }
        })
    }

    /// Tells that somebody has come, and makes them known in their rooms if this is their `first`
    /// connection here.
    pub(crate) async fn arrive(&self, user: &Arc<User>, first: bool) {
        let shared = &self.shared;
        // Whoever resumes does not wait for a store that is slow or away, nor for everybody else's list.
        let is_soon = !shared.room_lists_fail.load(Ordering::Acquire)
            && shared.room_lists.available_permits() > 0;
        let loaded = first.then(|| {
            let (loading, user) = (shared.clone(), user.clone());
            let load = async move { learn_rooms(&loading, &user).await };
            shared.tracker.spawn(load)
        });
        vitals::arrived(shared, &self.connection).await;
        if let Some(loaded) = loaded
            && is_soon
        {
            let _ = tokio::time::timeout(ROOMS_WITHIN, loaded).await;
        }
    }

    /// Looks at a token's sign-in again.
    pub(crate) fn recheck(&self, caller: Caller) -> Work {
        let shared = self.shared.clone();
        Box::pin(async move {
            match shared.ports.authenticator.session_holds(&caller).await {
                Ok(true) => Done::Rechecked,
                Ok(false) => Done::Close(Close::Unauthorized),
                // Nothing is known against it; it is looked at again soon.
                Err(TokenError::Unavailable(error)) => {
                    warn!(error = &*error, "look at a session again");
                    Done::NotRechecked
                }
                Err(error) => Done::Close(close_for(&error)),
            }
        })
    }

    /// Begins what a frame of `user` says; `watched` is whom the connection watches.
    pub(crate) fn begin(
        &self,
        user: &Arc<User>,
        watched: &[UserId],
        frame: ClientFrame<'_>,
        echo: Echo<'_>,
    ) -> Begun {
        let frame = match wording::of(frame) {
            Ok(worded) => return self.speak(user, worded, echo),
            Err(frame) => frame,
        };
        match frame {
            ClientFrame::Ping {} => {
                let pong = FleetFrame::Pong {
                    reference: echo.reference,
                    server_time: Timestamp::now(),
                };
                self.connection.say(&pong, self.shared.clock.now());
                Begun::Done(Done::Nothing)
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
                Begun::Done(Done::Nothing)
            }
            ClientFrame::Typing { room_id } => self.typing(user, room_id.to_id(), echo),
            ClientFrame::Mark {
                room_id,
                read,
                delivered,
            } => self.mark(user, room_id.to_id(), read, delivered, echo),
            ClientFrame::WatchPresence { user_ids } => self.watch(to_ids(&user_ids)),
            ClientFrame::SetStatus { status } => {
                self.connection.set_status(status);
                self.shared.vitals.alive(self.connection.clone());
                Begun::Done(Done::Nothing)
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
        echo: Echo<'_>,
    ) -> Begun {
        let echo = echo.into_owned();
        if self.has_too_many_rooms(&room_id) {
            let refusal = Refusal::new(Code::TooManyRooms, "too many rooms on this connection");
            return Begun::Done(Done::Refused(refusal, echo));
        }
        let (actor, user, watched) = (self.clone(), user.clone(), watched.to_vec());
        Begun::Work(Box::pin(async move {
            let (shared, connection) = (&actor.shared, &actor.connection);
            let reference = echo.reference.clone();
            let subscription = Subscription {
                room_id: room_id.clone(),
                after,
                reference,
            };
            let replay = subscribe::subscribe(shared, connection, &user, subscription).await;
            let replay = match replay {
                Ok(replay) => replay,
                Err(refusal) => return Done::Refused(refusal, echo),
            };
            let done = if presence {
                actor.watch_members(&room_id, &watched, echo).await
            } else {
                Done::Nothing
            };
            match replay {
                Some(replay) => Done::Replaying(replay, Box::new(done)),
                None => done,
            }
        }))
    }

    /// Watches the room's members beside those watched already.
    async fn watch_members(
        &self,
        room_id: &RoomId,
        watched: &[UserId],
        echo: Echo<'static>,
    ) -> Done {
        match subscribe::watchable_members(&self.shared, room_id, watched).await {
            Ok(Some(all)) => self.tell_presence(all).await,
            Ok(None) => {
                subscribe::warn_too_large(&self.shared, &self.connection);
                Done::Nothing
            }
            Err(refusal) => Done::Refused(refusal, echo),
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

    fn unsubscribe(&self, room_id: RoomId, echo: Echo<'_>) {
        let mut subscriptions = self.connection.subscriptions();
        if let Some(at) = subscriptions.iter().position(|room| room.id == room_id) {
            let room = subscriptions.swap_remove(at);
            lock(&room.state).unsubscribe(&self.connection);
        }
        drop(subscriptions);
        let frame = FleetFrame::Unsubscribed {
            reference: echo.reference,
            room_id,
        };
        self.connection.say(&frame, self.shared.clock.now());
    }

    fn speak(&self, user: &Arc<User>, worded: Worded<'_>, echo: Echo<'_>) -> Begun {
        let echo = echo.into_owned();
        if let Err(refusal) = self.take_rate(user) {
            return Begun::Done(Done::Refused(refusal, echo));
        }
        let room_id = worded.room_id;
        let said = Said {
            room_id: room_id.to_id(),
            sender_id: user.id.clone(),
            client_message_id: worded.client_msg_id.map(|id| id.to_id()),
            speech: worded.speech,
            connection: Some(self.connection.clone()),
        };
        if self.connection.is_behind_refused(&said.room_id) {
            self.refuse_send(behind_refused(), echo, false);
            return Begun::Done(Done::Nothing);
        }
        let certain = self.shared.certain_room(room_id.as_str(), user).is_some();
        // What would be refused may have been said before: that is looked up on the slow way.
        if certain
            && speech::is_plain(&said.speech)
            && speech::is_new(&self.shared, &said)
            && let Ok(pending) = speech::say_plainly(&self.shared, &said)
        {
            self.await_log(pending, echo);
            return Begun::Done(Done::Nothing);
        }
        let (actor, user) = (self.clone(), user.clone());
        Begun::Work(Box::pin(async move {
            match actor.judge(&user, said).await {
                Ok(Saying::Pending(pending)) => actor.await_log(pending, echo),
                Ok(Saying::Settled(appended)) => actor.acknowledge(&appended, echo),
                Err(refusal) if fails_later_sends(&refusal) => {
                    actor.refuse_send(refusal, echo, false);
                }
                Err(refusal) => return Done::Refused(refusal, echo),
            }
            Done::Nothing
        }))
    }

    fn take_rate(&self, user: &Arc<User>) -> Result<(), Refusal> {
        self.shared.take_rate(&user.id)?;
        if usize::from(self.connection.unacknowledged()) >= UNACKNOWLEDGED_SENDS_MAX {
            return Err(Refusal {
                message: "too many sends wait for their acknowledgement".into(),
                ..Refusal::rate_limited(50)
            });
        }
        Ok(())
    }

    async fn judge(&self, user: &Arc<User>, said: Said) -> Result<Saying, Refusal> {
        let pinned = self.shared.pin(&said.room_id);
        let mut role = None;
        if matches!(said.speech, Speech::Delete { .. }) {
            role = self.shared.ask(&pinned.room, user).await?.role;
            role.ok_or_else(Refusal::not_member)?;
        } else {
            self.shared.ensure_member(&pinned.room, user).await?;
        }
        speech::say(&self.shared, said, role).await
    }

    /// Waits for the log on the side, and answers.
    fn await_log(&self, mut pending: Pending, echo: Echo<'static>) {
        // A refusal on the spot must be known before the next frame is judged.
        if let Some(answer) = (&mut pending).now_or_never() {
            return self.answer(answer, echo, false);
        }
        self.connection.send_begun();
        let given = self.shared.given();
        let actor = self.clone();
        self.shared.tracker.spawn(async move {
            let answer = match &echo.room_id {
                Some(room_id) => speech::patiently(&actor.shared, room_id, pending).await,
                None => pending.await,
            };
            drop(given);
            actor.connection.send_acknowledged();
            actor.answer(answer, echo, true);
        });
    }

    /// Tells the client what the log answered; `was_given` says whether the send counts as waiting.
    fn answer(&self, answer: Result<Appended, LogError>, echo: Echo<'static>, was_given: bool) {
        match answer.map_err(|error| speech::refusal_of(&error)) {
            Ok(appended) => self.acknowledge(&appended, echo),
            Err(refusal) if fails_later_sends(&refusal) => {
                return self.refuse_send(refusal, echo, was_given);
            }
            Err(refusal) => self.refuse(&refusal, echo),
        }
        if was_given {
            self.connection.send_answered();
        }
    }

    fn refuse_send(&self, refusal: Refusal, echo: Echo<'static>, was_given: bool) {
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
                self.connection.send_answered();
            }
        }
    }

    fn acknowledge(&self, appended: &Appended, echo: Echo<'static>) {
        let Some(room_id) = echo.room_id else { return };
        let frame = speech::ack(room_id, echo.client_message_id, echo.reference, appended);
        self.connection.say(&frame, self.shared.clock.now());
    }

    /// Answers with a refusal.
    pub(crate) fn refuse(&self, refusal: &Refusal, echo: Echo<'_>) {
        metrics::counter!("chat_refusals_total", "code" => refusal.code.as_str()).increment(1);
        let mut frame = FleetFrame::error(refusal);
        if let FleetFrame::Error {
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
        self.connection.say(&frame, self.shared.clock.now());
    }
}

/// Makes the user known in the rooms that the directory lists for them. When a gateway's clients all
/// come at once these lists wait for each other, behind what the clients themselves ask for.
async fn learn_rooms(shared: &Shared, user: &Arc<User>) {
    let Ok(_turn) = shared.room_lists.acquire().await else {
        return;
    };
    if user.connection_count() == 0 {
        return;
    }
    let room_ids = shared
        .ports
        .directory
        .room_ids_of(&user.id, ROOMS_PER_CONNECTION_MAX)
        .await;
    shared
        .room_lists_fail
        .store(room_ids.is_err(), Ordering::Release);
    match room_ids {
        Ok(room_ids) => shared.hub.enter_rooms(user, room_ids),
        Err(error) => warn!(
            error = &error as &dyn std::error::Error,
            "read a user's rooms"
        ),
    }
}

fn close_for(error: &TokenError) -> Close {
    match error {
        TokenError::Refused(reason) => {
            debug!(reason, "refused a token");
            Close::Unauthorized
        }
        TokenError::AccountRefused => Close::AccountRefused,
        TokenError::Unavailable(cause) => {
            warn!(error = &**cause, "judge a token");
            Close::PromisesLost
        }
    }
}
