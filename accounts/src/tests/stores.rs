//! Stores that misbehave on purpose.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roomcast_ports::StoreError;
use roomcast_ports::accounts::{
    Account, AccountStore, AccountUpdate, Registration, Session, SessionStore,
};
use roomcast_protocol::{SessionId, UserId};

/// A store nobody can reach.
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
    async fn forget_expired(&self, _: Duration) -> Result<u64, StoreError> {
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
}
