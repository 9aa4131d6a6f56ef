//! Ending users: all of it, in whatever part a process dies.

use std::sync::atomic::Ordering;

use roomcast_ports::access::Caller;
use roomcast_protocol::{ErrorCode, RoomId};

use super::fixture::{Fixture, host_caller};

fn rooms(world: &Fixture) {
    let rooms = ["a", "b", "c"].map(|room| RoomId::new(room).unwrap());
    *world.groups.rooms.lock().unwrap() = rooms.to_vec();
}

#[tokio::test]
async fn ended_account_leaves_its_groups_and_nothing_is_left_to_resume() {
    let world = Fixture::new();
    rooms(&world);
    let tokens = world.enter("ana").await;
    let caller = world.caller(&tokens).await;
    world.accounts.delete_account(&caller).await.unwrap();
    assert_eq!(world.groups.deleted.lock().unwrap().len(), 3);
    let endings = world.embedded.accounts().endings(10).await.unwrap();
    assert_eq!(endings, []);
}

#[tokio::test]
async fn end_that_fails_at_any_step_is_finished_when_it_is_resumed() {
    for step in 0..10 {
        let world = Fixture::new();
        rooms(&world);
        let tokens = world.enter("ana").await;
        let caller = world.caller(&tokens).await;
        world.groups.succeed.store(step, Ordering::SeqCst);
        world.accounts.delete_account(&caller).await.unwrap_err();
        assert_eq!(
            world.refusal(&tokens.access_token).await,
            "its session has ended"
        );
        assert_eq!(
            world.accounts.user(&caller.user_id).await.unwrap_err().code,
            ErrorCode::NotFound
        );
        world.groups.succeed.store(i64::MAX, Ordering::SeqCst);
        world.accounts.resume_endings().await;
        assert_eq!(world.groups.deleted.lock().unwrap().len(), 3, "{step}");
        let endings = world.embedded.accounts().endings(10).await.unwrap();
        assert_eq!(endings, [], "{step}");
    }
}

#[tokio::test]
async fn host_ends_any_user_and_nobody_else_does() {
    let world = Fixture::new();
    rooms(&world);
    let tokens = world.enter("ana").await;
    let ana = world.caller(&tokens).await;
    let hana = host_caller(Some("Hana"));
    let refused = world.accounts.delete_user(&ana, &hana.user_id).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::Forbidden);
    let refused = world.accounts.delete_account(&hana).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(world.groups.rooms.lock().unwrap().len(), 3);

    let host = Caller {
        admin: true,
        ..host_caller(None)
    };
    for user_id in [&hana.user_id, &ana.user_id, &ana.user_id] {
        world.accounts.delete_user(&host, user_id).await.unwrap();
    }
    assert_eq!(world.groups.rooms.lock().unwrap().len(), 0);
    assert_eq!(
        world.refusal(&tokens.access_token).await,
        "its session has ended"
    );
}
