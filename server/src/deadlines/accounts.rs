//! The deadlines of the store of accounts and sessions.

use std::time::Duration;

use roomcast_ports::StoreError;
use roomcast_ports::accounts::{
    Account, AccountStore, AccountUpdate, Ending, EndingStep, Registration, Session, SessionStore,
};
use roomcast_protocol::limits::BATCH_TIMEOUT;
use roomcast_protocol::{SessionId, UserId};

use super::{bounded_port, within};

bounded_port! {
    impl AccountStore, StoreError {
        fn create(account: &Account) -> Registration;
        fn by_id(user_id: &UserId) -> Option<Account>;
        fn by_name(name: &str) -> Option<Account>;
        fn by_prefix(prefix: &str, after: Option<&str>, limit: usize) -> Vec<Account>;
        fn update(user_id: &UserId, update: &AccountUpdate) -> Option<Account>;
        fn delete(user_id: &UserId) -> bool;
        fn put_ending(ending: &Ending) -> ();
        fn endings(step: EndingStep, limit: usize) -> Vec<Ending>;
        fn has_ending(ending: &Ending) -> bool;
        fn delete_ending(ending: &Ending) -> ();
    }
    also {}
}

bounded_port! {
    impl SessionStore, StoreError {
        fn create(session: &Session) -> ();
        fn session(session_id: &SessionId) -> Option<Session>;
        fn of_user(user_id: &UserId) -> Vec<Session>;
        fn rotate(expected: u64, next: &Session) -> bool;
        fn end(user_id: &UserId, session_id: &SessionId) -> bool;
        fn end_all_but(user_id: &UserId, kept: Option<&SessionId>) -> Vec<SessionId>;
        fn end_oldest(user_id: &UserId, kept: usize) -> Vec<SessionId>;
    }
    also {
        async fn delete_expired(&self, older_than: Duration) -> Result<u64, StoreError> {
            within(BATCH_TIMEOUT, self.0.delete_expired(older_than)).await
        }
    }
}
