//! Registering.

use roomcast_protocol::ErrorCode;

use super::fixture::{Fixture, PASSWORD, client};

#[tokio::test]
async fn a_new_account_shows_its_name_until_it_has_a_display_name() {
    let world = Fixture::new();
    let ana = world.register("Ana").await;
    assert_eq!(ana.name.as_deref(), Some("Ana"));
    assert_eq!(ana.display_name.as_deref(), Some("Ana"));
    let bo = world
        .accounts
        .register("bo.", PASSWORD, Some("Bo ✨"), &client())
        .await
        .unwrap();
    assert_eq!(bo.display_name.as_deref(), Some("Bo ✨"));
    assert_ne!(ana.user_id, bo.user_id);
    assert_eq!(world.accounts.user(&bo.user_id).await.unwrap(), bo);
}

#[tokio::test]
async fn a_name_is_taken_in_whatever_case() {
    let world = Fixture::new();
    world.register("Ana").await;
    for name in ["Ana", "ana", "ANA"] {
        let refusal = world
            .accounts
            .register(name, PASSWORD, None, &client())
            .await
            .unwrap_err();
        assert_eq!(refusal.code, ErrorCode::Conflict, "{name}");
    }
}

#[tokio::test]
async fn of_two_who_want_a_name_at_once_one_gets_it() {
    let world = Fixture::new();
    let from = client();
    let register = || world.accounts.register("ana", PASSWORD, None, &from);
    let (one, other) = tokio::join!(register(), register());
    let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].code, ErrorCode::Conflict);
}

#[tokio::test]
async fn what_breaks_a_rule_is_a_bad_frame_that_names_the_field() {
    let world = Fixture::new();
    let long = "é".repeat(65);
    for (name, password, display_name, field) in [
        ("an", PASSWORD, None, "name"),
        ("a na", PASSWORD, None, "name"),
        ("ana", "1234567", None, "password"),
        ("ana", PASSWORD, Some(long.as_str()), "displayName"),
    ] {
        let refusal = world
            .accounts
            .register(name, password, display_name, &client())
            .await
            .unwrap_err();
        assert_eq!(refusal.code, ErrorCode::BadFrame);
        assert!(refusal.message.starts_with(field), "{field}: {refusal}");
    }
}

#[tokio::test]
async fn the_store_keeps_a_hash_and_not_the_password() {
    let world = Fixture::new();
    let ana = world.register("ana").await;
    let account = world
        .embedded
        .accounts()
        .by_id(&ana.user_id)
        .await
        .unwrap()
        .unwrap();
    assert!(account.password_hash.starts_with("$argon2id$"));
    assert!(!format!("{account:?}").contains(PASSWORD));
}

#[tokio::test]
async fn display_name_is_stored_normalized_and_an_empty_one_is_the_name() {
    let world = Fixture::new();
    for (number, (given, stored)) in [
        ("Ame\u{301}lie\tB.\u{202e}\u{7}", "Am\u{e9}lie B."),
        ("\u{1f469}\u{200d}\u{1f52c}", "\u{1f469}\u{200d}\u{1f52c}"),
        (" ", " "),
        ("\u{200f}\u{0}", "ana-3"),
        ("", "ana-4"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("ana-{number}");
        let made = world
            .accounts
            .register(&name, PASSWORD, Some(given), &client())
            .await;
        assert_eq!(made.unwrap().display_name.as_deref(), Some(stored));
    }
}
