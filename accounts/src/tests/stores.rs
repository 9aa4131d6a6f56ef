//! Stores that misbehave on purpose.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::accounts::{
    Account, AccountStore, AccountUpdate, Ending, EndingStep, Registration, Session, SessionStore,
};
use roomcast_ports::departures::{Departure, Departures};
use roomcast_protocol::{Refusal, RoomId, SessionId, UserId};

/// Groups that each have one member, who may leave when nothing is in the way.
#[derive(Default)]
pub(crate) struct Groups {
    pub(crate) rooms: Mutex<Vec<RoomId>>,
    /// Number of calls that succeed before one fails, as if the process had died.
    pub(crate) succeed: AtomicI64,
    pub(crate) deleted: Mutex<Vec<RoomId>>,
}

impl Groups {
    pub(crate) fn with(rooms: &[&str]) -> Arc<Self> {
        let rooms = rooms
            .iter()
            .map(|room| RoomId::new(room).unwrap())
            .collect();
        Arc::new(Self {
            rooms: Mutex::new(rooms),
            succeed: AtomicI64::new(i64::MAX),
            deleted: Mutex::default(),
        })
    }

    fn step(&self) -> Result<(), Refusal> {
        if self.succeed.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        Err(Refusal::internal())
    }
}

#[async_trait]
impl Departures for Groups {
    async fn rooms_of(&self, _: &UserId, _: usize) -> Result<Vec<RoomId>, Refusal> {
        self.step()?;
        Ok(self.rooms.lock().unwrap().clone())
    }
    async fn leave(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        may_empty: bool,
    ) -> Result<Departure, Refusal> {
        self.step()?;
        if !self.rooms.lock().unwrap().contains(room_id) {
            return Ok(Departure::Left);
        }
        if !may_empty {
            return Ok(Departure::WouldBeEmpty);
        }
        self.rooms.lock().unwrap().retain(|room| room != room_id);
        self.delete_if_empty(user_id, room_id).await?;
        Ok(Departure::Left)
    }
    async fn delete_if_empty(&self, _: &UserId, room_id: &RoomId) -> Result<(), Refusal> {
        self.step()?;
        let mut deleted = self.deleted.lock().unwrap();
        if !deleted.contains(room_id) {
            deleted.push(room_id.clone());
        }
        Ok(())
    }
}

/// An unreachable store.
pub(crate) struct Away;

fn away<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("the cable is out".into()))
}

#[async_trait]
impl AccountStore for Away {
    async fn create(&self, _: &Account) -> Result<Registration, StoreError> {
        away()
    }
    async fn by_id(&self, _: &UserId) -> Result<Option<Account>, StoreError> {
        away()
    }
    async fn by_name(&self, _: &str) -> Result<Option<Account>, StoreError> {
        away()
    }
    async fn by_prefix(
        &self,
        _: &str,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<Account>, StoreError> {
        away()
    }
    async fn update(&self, _: &UserId, _: &AccountUpdate) -> Result<Option<Account>, StoreError> {
        away()
    }
    async fn delete(&self, _: &UserId) -> Result<bool, StoreError> {
        away()
    }
    async fn put_ending(&self, _: &Ending) -> Result<(), StoreError> {
        away()
    }
    async fn endings(&self, _: EndingStep, _: usize) -> Result<Vec<Ending>, StoreError> {
        away()
    }
    async fn has_ending(&self, _: &Ending) -> Result<bool, StoreError> {
        away()
    }
    async fn delete_ending(&self, _: &Ending) -> Result<(), StoreError> {
        away()
    }
}

#[async_trait]
impl SessionStore for Away {
    async fn create(&self, _: &Session) -> Result<(), StoreError> {
        away()
    }
    async fn session(&self, _: &SessionId) -> Result<Option<Session>, StoreError> {
        away()
    }
    async fn of_user(&self, _: &UserId) -> Result<Vec<Session>, StoreError> {
        away()
    }
    async fn rotate(&self, _: u64, _: &Session) -> Result<bool, StoreError> {
        away()
    }
    async fn end(&self, _: &UserId, _: &SessionId) -> Result<bool, StoreError> {
        away()
    }
    async fn end_oldest(&self, _: &UserId, _: usize) -> Result<Vec<SessionId>, StoreError> {
        away()
    }
    async fn end_all_but(
        &self,
        _: &UserId,
        _: Option<&SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        away()
    }
    async fn delete_expired(&self, _: Duration) -> Result<u64, StoreError> {
        away()
    }
}

/// A store whose accounts are found by name and have ended by the time they are looked up by id.
pub(crate) struct Vanishing(pub(crate) Arc<dyn AccountStore>);

#[async_trait]
impl AccountStore for Vanishing {
    async fn create(&self, account: &Account) -> Result<Registration, StoreError> {
        self.0.create(account).await
    }
    async fn by_id(&self, _: &UserId) -> Result<Option<Account>, StoreError> {
        Ok(None)
    }
    async fn by_name(&self, name: &str) -> Result<Option<Account>, StoreError> {
        self.0.by_name(name).await
    }
    async fn by_prefix(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        self.0.by_prefix(prefix, after, limit).await
    }
    async fn update(&self, _: &UserId, _: &AccountUpdate) -> Result<Option<Account>, StoreError> {
        Ok(None)
    }
    async fn delete(&self, _: &UserId) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn put_ending(&self, ending: &Ending) -> Result<(), StoreError> {
        self.0.put_ending(ending).await
    }
    async fn endings(&self, step: EndingStep, limit: usize) -> Result<Vec<Ending>, StoreError> {
        self.0.endings(step, limit).await
    }
    async fn has_ending(&self, ending: &Ending) -> Result<bool, StoreError> {
        self.0.has_ending(ending).await
    }
    async fn delete_ending(&self, ending: &Ending) -> Result<(), StoreError> {
        self.0.delete_ending(ending).await
    }
}
