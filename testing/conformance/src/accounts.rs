//! The promises of [`AccountStore`].

use std::sync::Arc;

use async_trait::async_trait;
use roomcast_protocol::{RoomId, Timestamp, UserId};

use super::sample::unique_name;
use roomcast_ports::accounts::{
    Account, AccountStore, AccountUpdate, Ending, EndingStep, Registration,
};

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

/// Of many concurrent claims of a name, one succeeds.
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

fn display_name(text: &str) -> AccountUpdate {
    AccountUpdate {
        display_name: Some(text.to_owned()),
        password_hash: None,
    }
}

fn password_hash(text: &str) -> AccountUpdate {
    AccountUpdate {
        display_name: None,
        password_hash: Some(text.to_owned()),
    }
}

async fn update(
    accounts: &Arc<dyn AccountStore>,
    user_id: &UserId,
    update: &AccountUpdate,
) -> Option<Account> {
    let updated = accounts.update(user_id, update).await;
    updated.expect("update an account")
}

/// An update changes the fields it names and returns the account; without an account it changes nothing.
pub async fn an_update_changes_only_the_fields_it_names(harness: &mut impl AccountHarness) {
    let (accounts, first) = (harness.accounts(), account(&unique_name()));
    create(&accounts, &first).await;
    let user_id = &first.user_id;
    let renamed = Account {
        display_name: "another".to_owned(),
        ..first.clone()
    };
    let kept = update(&accounts, user_id, &display_name("another")).await;
    assert_eq!(kept.as_ref(), Some(&renamed));
    let both = Account {
        password_hash: "$argon2id$another".to_owned(),
        ..renamed
    };
    let kept = update(&accounts, user_id, &password_hash("$argon2id$another")).await;
    assert_eq!(kept.as_ref(), Some(&both));
    let kept = update(&accounts, user_id, &AccountUpdate::default()).await;
    assert_eq!(kept.as_ref(), Some(&both));
    let found = accounts.by_id(user_id).await.expect("find an account");
    assert_eq!(found, Some(both));

    let unknown = UserId::generate();
    assert_eq!(update(&accounts, &unknown, &display_name("x")).await, None);
    let found = accounts.by_id(&unknown).await.expect("find an account");
    assert_eq!(found, None);
}

/// Of concurrent updates of different fields each takes effect.
pub async fn concurrent_updates_of_different_fields_all_take_effect(
    harness: &mut impl AccountHarness,
) {
    let accounts = harness.accounts();
    for round in 0..8 {
        let first = account(&unique_name());
        create(&accounts, &first).await;
        let hash = format!("$argon2id$round-{round}");
        let mut updates = vec![display_name("another"); 4];
        updates.insert(round % 5, password_hash(&hash));
        let all = updates
            .iter()
            .map(|named| update(&accounts, &first.user_id, named));
        futures_util::future::join_all(all).await;
        let kept = accounts.by_id(&first.user_id).await;
        let expected = Account {
            display_name: "another".to_owned(),
            password_hash: hash,
            ..first
        };
        assert_eq!(kept.expect("find an account"), Some(expected));
    }
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

/// A started account deletion is kept over a restart until it is deleted.
pub async fn an_ending_is_kept_until_it_is_forgotten(harness: &mut impl AccountHarness) {
    let (user_id, room_id) = (UserId::generate(), RoomId::generate());
    let of_account = Ending {
        step: EndingStep::Account,
        user_id: user_id.clone(),
        room_id: None,
    };
    let of_room = Ending {
        step: EndingStep::Departure,
        user_id: user_id.clone(),
        room_id: Some(room_id),
    };
    let of_user = Ending {
        step: EndingStep::Departure,
        user_id: user_id.clone(),
        room_id: None,
    };
    let accounts = harness.accounts();
    for ending in [&of_room, &of_user, &of_user, &of_account] {
        let noted = accounts.put_ending(ending).await;
        noted.expect("note an ending");
    }
    harness.restart().await;
    let accounts = harness.accounts();
    let mine = async |step| {
        let endings = accounts.endings(step, 10_000).await;
        let mut endings = endings.expect("list endings");
        endings.retain(|ending| ending.user_id == user_id);
        endings
    };
    let departure = EndingStep::Departure;
    assert_eq!(mine(departure).await, [of_user.clone(), of_room.clone()]);
    let one = accounts.endings(departure, 1).await;
    assert_eq!(one.expect("list endings").len(), 1);
    for (forgotten, left) in [(&of_user, vec![of_room.clone()]), (&of_room, Vec::new())] {
        let noted = async || accounts.has_ending(forgotten).await.expect("look");
        assert!(noted().await);
        let gone = accounts.delete_ending(forgotten).await;
        gone.expect("forget an ending");
        assert!(!noted().await);
        assert_eq!(mine(departure).await, left);
    }
    let left = mine(EndingStep::Account).await;
    assert_eq!(left, std::slice::from_ref(&of_account));
    let gone = accounts.delete_ending(&of_account).await;
    gone.expect("forget an ending");
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
macro_rules! account_conformance {
    ($make:ident) => {
        $crate::conformance_tests!(
            $make,
            accounts,
            [
                an_account_is_found_by_id_and_name,
                names_are_compared_without_case,
                of_many_who_want_a_name_one_gets_it,
                an_update_changes_only_the_fields_it_names,
                concurrent_updates_of_different_fields_all_take_effect,
                a_deleted_accounts_name_is_free,
                an_ending_is_kept_until_it_is_forgotten,
                a_prefix_finds_accounts_in_pages,
            ]
        );
    };
}
