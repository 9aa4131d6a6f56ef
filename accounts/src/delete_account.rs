//! Account deletion: sessions and account end here; the departure worker leaves the groups.
//!
//! Each step is put into the store before it begins and deleted from there after it ended, so that
//! [`Accounts::run`] of any process finishes what a crash interrupted. Every step may be repeated.

use std::time::Duration;

use roomcast_ports::access::Caller;
use roomcast_ports::accounts::{Ending, EndingStep};
use roomcast_ports::back_off::BackOff;
use roomcast_protocol::limits::DEPARTURE_WAIT;
use roomcast_protocol::{Refusal, UserId};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::service::{Accounts, failed_to, no_account};

/// Endings resumed in one round.
const RESUMED_AT_ONCE: usize = 100;
/// Delays between two looks at whether the departure worker has finished.
const LOOK_AFTER: Duration = Duration::from_millis(10);
const LOOK_MAX: Duration = Duration::from_millis(200);

impl Accounts {
    /// Ends the caller's account and all its sessions and takes them out of their groups; what they
    /// wrote stays under their id, and the name is free again. A host product's user has no account to
    /// end: `NOT_FOUND`.
    pub async fn delete_account(&self, caller: &Caller) -> Result<(), Refusal> {
        let account = self.accounts.by_id(&caller.user_id).await;
        let account = account.map_err(failed_to("look for an account"))?;
        account.ok_or_else(no_account)?;
        self.end_user(&caller.user_id).await?;
        self.await_departure(&caller.user_id).await;
        Ok(())
    }

    /// Ends any user, a host product's too, in the name of the host product's server.
    pub async fn delete_user(&self, caller: &Caller, user_id: &UserId) -> Result<(), Refusal> {
        if !caller.admin {
            return Err(Refusal::forbidden("only the host product ends other users"));
        }
        self.end_user(user_id).await?;
        self.await_departure(user_id).await;
        Ok(())
    }

    /// Ends sessions and account, and notes the departure. Continues when the caller goes away.
    pub(crate) async fn end_user(&self, user_id: &UserId) -> Result<(), Refusal> {
        let ending = of_user(EndingStep::Account, user_id);
        let noted = self.accounts.put_ending(&ending).await;
        noted.map_err(failed_to("note the end of a user"))?;
        let accounts = self.clone();
        let finishing = self
            .tasks
            .spawn(async move { accounts.finish_account(&ending).await });
        finishing.await.unwrap_or_else(|panicked| {
            error!(%panicked, "failed to delete an account");
            Err(Refusal::internal())
        })
    }

    /// Sessions end before and after the account does: see `sign_in`.
    async fn finish_account(&self, ending: &Ending) -> Result<(), Refusal> {
        let user_id = &ending.user_id;
        self.end_all_sessions(user_id).await?;
        let deleted = self.accounts.delete(user_id).await;
        deleted.map_err(failed_to("end an account"))?;
        self.end_all_sessions(user_id).await?;
        let departure = of_user(EndingStep::Departure, user_id);
        let noted = self.accounts.put_ending(&departure).await;
        noted.map_err(failed_to("note the departure of a user"))?;
        self.departure_noted.notify_one();
        let forgotten = self.accounts.delete_ending(ending).await;
        forgotten.map_err(failed_to("forget the end of a user"))
    }

    /// Waits until the user has left all groups, up to [`DEPARTURE_WAIT`].
    async fn await_departure(&self, user_id: &UserId) {
        let departure = of_user(EndingStep::Departure, user_id);
        let departed = async {
            let mut back_off = BackOff::new(LOOK_AFTER, LOOK_MAX);
            while !matches!(self.accounts.has_ending(&departure).await, Ok(false)) {
                sleep(back_off.next_delay()).await;
            }
        };
        if timeout(DEPARTURE_WAIT, departed).await.is_err() {
            info!(%user_id, "answered an account deletion before the last departure");
        }
    }

    /// Finishes what another process, or this one before it died, has left unfinished.
    pub(crate) async fn resume_endings(&self) {
        let endings = self.accounts.endings(EndingStep::Account, RESUMED_AT_ONCE);
        let endings = match endings.await {
            Ok(endings) => endings,
            Err(cause) => {
                warn!(?cause, "failed to list pending account deletions");
                return;
            }
        };
        for ending in endings {
            info!(user_id = %ending.user_id, "resumed an account deletion");
            if let Err(refusal) = self.finish_account(&ending).await {
                warn!(user_id = %ending.user_id, %refusal, "failed to delete an account");
            }
        }
    }
}

fn of_user(step: EndingStep, user_id: &UserId) -> Ending {
    Ending {
        step,
        user_id: user_id.clone(),
        room_id: None,
    }
}
