//! Ending users: their account, their sessions, their places in groups.
//!
//! What is begun is noted first and forgotten last, so that a process that dies halfway leaves the rest
//! to [`Accounts::run`] of any other. Every step may be taken again.

use std::collections::HashSet;

use roomcast_ports::access::Caller;
use roomcast_ports::accounts::Ending;
use roomcast_ports::departures::Departure;
use roomcast_protocol::{Refusal, RoomId, UserId};
use tracing::{error, info, warn};

use crate::service::{Accounts, failed_to, no_account};

/// Rooms of a user listed at once.
const ROOMS_AT_ONCE: usize = 10_000;
/// Endings resumed in one round.
const RESUMED_AT_ONCE: usize = 100;

impl Accounts {
    /// Ends the caller's account and all its sessions and takes them out of their groups; what they
    /// wrote stays under their id, and the name is free again. A host product's user has no account to
    /// end: `NOT_FOUND`.
    pub async fn delete_account(&self, caller: &Caller) -> Result<(), Refusal> {
        let account = self.accounts.by_id(&caller.user_id).await;
        let account = account.map_err(failed_to("look for an account"))?;
        account.ok_or_else(no_account)?;
        self.end_user(&caller.user_id).await
    }

    /// Ends any user, a host product's too, in the name of the host product's server.
    pub async fn delete_user(&self, caller: &Caller, user_id: &UserId) -> Result<(), Refusal> {
        if !caller.admin {
            return Err(Refusal::forbidden("only the host product ends other users"));
        }
        self.end_user(user_id).await
    }

    /// Goes on by itself when the caller goes away.
    async fn end_user(&self, user_id: &UserId) -> Result<(), Refusal> {
        let ending = Ending {
            user_id: user_id.clone(),
            room_id: None,
        };
        let noted = self.accounts.put_ending(&ending).await;
        noted.map_err(failed_to("note the end of a user"))?;
        let accounts = self.clone();
        let finishing = self
            .tasks
            .spawn(async move { accounts.finish_user(&ending).await });
        finishing.await.unwrap_or_else(|panicked| {
            error!(%panicked, "failed to end a user");
            Err(Refusal::internal())
        })
    }

    /// Sessions end before and after the account does: see `sign_in`.
    async fn finish_user(&self, ending: &Ending) -> Result<(), Refusal> {
        let user_id = &ending.user_id;
        self.end_all_sessions(user_id).await?;
        let deleted = self.accounts.delete(user_id).await;
        deleted.map_err(failed_to("end an account"))?;
        self.end_all_sessions(user_id).await?;
        self.leave_groups(user_id).await?;
        let forgotten = self.accounts.delete_ending(ending).await;
        forgotten.map_err(failed_to("forget the end of a user"))
    }

    async fn leave_groups(&self, user_id: &UserId) -> Result<(), Refusal> {
        let mut seen = HashSet::new();
        loop {
            let rooms = self.departures.rooms_of(user_id, ROOMS_AT_ONCE).await?;
            let mut new = rooms.into_iter().filter(|room_id| !seen.contains(room_id));
            let new: Vec<RoomId> = new.by_ref().collect();
            if new.is_empty() {
                return Ok(());
            }
            for room_id in new {
                self.leave_group(user_id, &room_id).await?;
                seen.insert(room_id);
            }
        }
    }

    async fn leave_group(&self, user_id: &UserId, room_id: &RoomId) -> Result<(), Refusal> {
        match self.departures.leave(user_id, room_id, false).await? {
            Departure::Left => return Ok(()),
            Departure::WouldBeEmpty => {}
        }
        // Once the last member has left, no list of anybody's rooms has the group any more.
        let ending = Ending {
            user_id: user_id.clone(),
            room_id: Some(room_id.clone()),
        };
        let noted = self.accounts.put_ending(&ending).await;
        noted.map_err(failed_to("note the end of a group"))?;
        self.departures.leave(user_id, room_id, true).await?;
        let forgotten = self.accounts.delete_ending(&ending).await;
        forgotten.map_err(failed_to("forget the end of a group"))
    }

    /// Finishes what another process, or this one before it died, has left unfinished.
    pub(crate) async fn resume_endings(&self) {
        let endings = match self.accounts.endings(RESUMED_AT_ONCE).await {
            Ok(endings) => endings,
            Err(cause) => {
                warn!(?cause, "failed to list users that are being ended");
                return;
            }
        };
        for ending in endings {
            info!(user_id = %ending.user_id, "resumed the end of a user");
            if let Err(refusal) = self.resume(&ending).await {
                warn!(user_id = %ending.user_id, %refusal, "failed to end a user");
            }
        }
    }

    async fn resume(&self, ending: &Ending) -> Result<(), Refusal> {
        let Some(room_id) = &ending.room_id else {
            return self.finish_user(ending).await;
        };
        let user_id = &ending.user_id;
        self.departures.leave(user_id, room_id, true).await?;
        self.departures.delete_if_empty(user_id, room_id).await?;
        let forgotten = self.accounts.delete_ending(ending).await;
        forgotten.map_err(failed_to("forget the end of a group"))
    }
}
