//! Finding users by name.

use roomcast_protocol::ErrorCode;

use super::fixture::Fixture;

async fn names(world: &Fixture, prefix: &str) -> Vec<String> {
    let found = world.accounts.search_users(prefix, None, 50).await.unwrap();
    assert_eq!(found.next_cursor, None);
    found
        .users
        .into_iter()
        .map(|user| user.name.unwrap())
        .collect()
}

#[tokio::test]
async fn users_are_found_by_how_their_name_begins_in_whatever_case() {
    let world = Fixture::new();
    for name in ["Anna", "ana", "a_a", "bob"] {
        world.register(name).await;
    }
    assert_eq!(names(&world, "AN").await, ["ana", "Anna"]);
    assert_eq!(
        names(&world, "a_").await,
        ["a_a"],
        "an underscore is itself"
    );
    assert_eq!(names(&world, "").await.len(), 4);
    for nobody in ["na", "x", "%", "a b", "ñ"] {
        assert!(names(&world, nobody).await.is_empty(), "{nobody}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap_and_the_last_has_no_cursor() {
    let world = Fixture::new();
    for name in ["ana", "Anb", "anc", "and", "bob"] {
        world.register(name).await;
    }
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = world
            .accounts
            .search_users("an", cursor.as_deref(), 2)
            .await
            .unwrap();
        assert_eq!(page.users.len(), 2);
        found.extend(page.users.into_iter().map(|user| user.name.unwrap()));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, ["ana", "Anb", "anc", "and"]);
}

#[tokio::test]
async fn a_cursor_that_is_none_of_ours_is_a_bad_frame() {
    let world = Fixture::new();
    for bad in ["", "!", "AAAA", "ana"] {
        let refusal = world
            .accounts
            .search_users("an", Some(bad), 2)
            .await
            .unwrap_err();
        assert_eq!(refusal.code, ErrorCode::BadFrame, "{bad}");
    }
}
