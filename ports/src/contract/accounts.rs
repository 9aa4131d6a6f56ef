//! The promises of [`AccountStore`].

use std::sync::Arc;

use async_trait::async_trait;
use roomcast_protocol::{Timestamp, UserId};

use super::sample::unique_name;
use crate::accounts::{Account, AccountStore, Registration};

/// An account store to test.
#[async_trait]
pub trait AccountHarness: Send {
    /// The store.
    fn accounts(&self) -> Arc<dyn AccountStore>;

    /// Ends the store as a restart does and starts it on what it has kept.
    async fn restart(&mut self);
}

fn account(name: &str) -> Account {
    Account {
        user_id: UserId::generate(),
        name: name.to_owned(),
        display_name: format!("{name} \u{1f600}"),
        password_hash: "$argon2id$v=19$not-a-real-one".to_owned(),
        created_at: Timestamp::now(),
    }
}

async fn create(accounts: &Arc<dyn AccountStore>, account: &Account) -> Registration {
    accounts.create(account).await.expect("create an account")
}

/// An account is found by its id and its name, as it was made, after a restart too.
pub async fn an_account_is_found_by_id_and_name(harness: &mut impl AccountHarness) {
    let account = account(&format!("Ann-{}", unique_name()));
    assert_eq!(
        create(&harness.accounts(), &account).await,
        Registration::Made
    );
    harness.restart().await;
    let accounts = harness.accounts();
    let by_id = accounts
        .by_id(&account.user_id)
        .await
        .expect("find an account");
    assert_eq!(by_id.as_ref(), Some(&account));
    assert_eq!(
        accounts
            .by_name(&account.name)
            .await
            .expect("find an account"),
        by_id
    );
    assert_eq!(
        accounts
            .by_id(&UserId::generate())
            .await
            .expect("find an account"),
        None
    );
    assert_eq!(
        accounts
            .by_name(&unique_name())
            .await
            .expect("find an account"),
        None
    );
}

/// Names are compared without case, and kept as they were written.
pub async fn names_are_compared_without_case(harness: &mut impl AccountHarness) {
    let (accounts, name) = (harness.accounts(), unique_name());
    let first = account(&name.to_uppercase());
    assert_eq!(create(&accounts, &first).await, Registration::Made);
    assert_eq!(
        create(&accounts, &account(&name)).await,
        Registration::NameTaken
    );
    assert_eq!(
        accounts.by_name(&name).await.expect("find an account"),
        Some(first)
    );
}

/// Of many who want a name at once, one gets it.
pub async fn of_many_who_want_a_name_one_gets_it(harness: &mut impl AccountHarness) {
    let (accounts, name) = (harness.accounts(), unique_name());
    let rivals: Vec<Account> = (0..8).map(|_| account(&name)).collect();
    let answers = rivals.iter().map(|rival| create(&accounts, rival));
    let answers = futures_util::future::join_all(answers).await;
    let winners: Vec<&Account> = rivals
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| **answer == Registration::Made)
        .map(|(rival, _)| rival)
        .collect();
    assert_eq!(winners.len(), 1);
    let kept = accounts.by_name(&name).await.expect("find an account");
    assert_eq!(kept.as_ref(), Some(winners[0]));
}

/// The display name and the password's hash may change, the rest stays.
pub async fn an_update_changes_what_may_change(harness: &mut impl AccountHarness) {
    let (accounts, first) = (harness.accounts(), account(&unique_name()));
    create(&accounts, &first).await;
    let changed = Account {
        name: unique_name(),
        display_name: "another".to_owned(),
        password_hash: "$argon2id$another".to_owned(),
        ..first.clone()
    };
    assert!(accounts.update(&changed).await.expect("update an account"));
    let kept = accounts
        .by_id(&first.user_id)
        .await
        .expect("find an account");
    assert_eq!(
        kept,
        Some(Account {
            name: first.name,
            ..changed
        })
    );
    assert!(
        !accounts
            .update(&account(&unique_name()))
            .await
            .expect("update an account")
    );
}

/// A deleted account is gone and its name is free.
pub async fn a_deleted_accounts_name_is_free(harness: &mut impl AccountHarness) {
    let (accounts, first) = (harness.accounts(), account(&unique_name()));
    create(&accounts, &first).await;
    assert!(
        accounts
            .delete(&first.user_id)
            .await
            .expect("delete an account")
    );
    assert!(
        !accounts
            .delete(&first.user_id)
            .await
            .expect("delete an account")
    );
    assert_eq!(
        accounts
            .by_id(&first.user_id)
            .await
            .expect("find an account"),
        None
    );
    assert_eq!(
        accounts
            .by_name(&first.name)
            .await
            .expect("find an account"),
        None
    );
    let next = account(&first.name);
    assert_eq!(create(&accounts, &next).await, Registration::Made);
}

/// A beginning of names finds them by name, page by page, without case.
pub async fn a_prefix_finds_accounts_in_pages(harness: &mut impl AccountHarness) {
    let (accounts, prefix) = (harness.accounts(), unique_name());
    let mut names: Vec<String> = ["", "_b", "a", "B", "c-d", "z"]
        .iter()
        .map(|end| format!("{prefix}{end}"))
        .collect();
    for name in &names {
        create(&accounts, &account(name)).await;
    }
    create(&accounts, &account(&format!("x{prefix}"))).await;
    names.sort_by_key(|name| name.to_ascii_lowercase());
    let mut found: Vec<String> = Vec::new();
    loop {
        let after = found.last().map(String::as_str);
        let page = accounts
            .by_prefix(&prefix.to_uppercase(), after, 2)
            .await
            .expect("find accounts");
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|account| account.name));
    }
    assert_eq!(found, names);
}

/// Makes a test of every promise of accounts; `$make` is an async function that gives a harness.
#[macro_export]
macro_rules! account_contract {
    ($make:ident) => {
        $crate::contract_tests!(
            $make,
            accounts,
            [
                an_account_is_found_by_id_and_name,
                names_are_compared_without_case,
                of_many_who_want_a_name_one_gets_it,
                an_update_changes_what_may_change,
                a_deleted_accounts_name_is_free,
                a_prefix_finds_accounts_in_pages,
            ]
        );
    };
}
