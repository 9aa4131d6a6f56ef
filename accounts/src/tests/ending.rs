//! Ending users: all of it, in whatever part a process dies.

use std::sync::atomic::Ordering;

use roomcast_ports::access::Caller;
use roomcast_ports::accounts::{Ending, EndingStep};
use roomcast_protocol::{ErrorCode, Refusal, RoomId};
use tokio_util::sync::CancellationToken;

use super::fixture::{Fixture, host_caller};

fn rooms(world: &Fixture) {
    let rooms = ["a", "b", "c"].map(|room| RoomId::new(room).unwrap());
    *world.groups.rooms.lock().unwrap() = rooms.to_vec();
}

/// What is noted of users' ends.
async fn unfinished(world: &Fixture) -> usize {
    let accounts = world.embedded.accounts();
    let mut noted = 0;
    for step in [EndingStep::Account, EndingStep::Departure] {
        noted += accounts.endings(step, 10).await.unwrap().len();
    }
    noted
}

/// The call's answer, given while a departure worker runs.
async fn beside_a_worker(
    world: &Fixture,
    call: impl Future<Output = Result<(), Refusal>>,
) -> Result<(), Refusal> {
    tokio::select! {
        answer = call => answer,
        () = world.departures.run(CancellationToken::new()) => panic!("the worker ended"),
    }
}

#[tokio::test]
async fn ended_account_leaves_its_groups_and_nothing_is_left_to_resume() {
    let world = Fixture::new();
    rooms(&world);
    let tokens = world.enter("ana").await;
    let caller = world.caller(&tokens).await;
    let call = world.accounts.delete_account(&caller);
    beside_a_worker(&world, call).await.unwrap();
    assert_eq!(world.groups.deleted.lock().unwrap().len(), 3);
    assert_eq!(unfinished(&world).await, 0);
}

#[tokio::test]
async fn end_that_fails_at_any_step_is_finished_when_it_is_resumed() {
    for step in 0..10 {
        let world = Fixture::new();
        rooms(&world);
        let tokens = world.enter("ana").await;
        let caller = world.caller(&tokens).await;
        world.accounts.end_user(&caller.user_id).await.unwrap();
        world.groups.succeed.store(step, Ordering::SeqCst);
        assert!(!world.departures.round().await, "{step}");
        assert_eq!(
            world.refusal(&tokens.access_token).await,
            "its session has ended"
        );
        assert_eq!(
            world.accounts.user(&caller.user_id).await.unwrap_err().code,
            ErrorCode::NotFound
        );
        world.groups.succeed.store(i64::MAX, Ordering::SeqCst);
        assert!(world.departures.round().await, "{step}");
        assert_eq!(world.groups.deleted.lock().unwrap().len(), 3, "{step}");
        assert_eq!(unfinished(&world).await, 0, "{step}");
    }
}

#[tokio::test]
async fn accounts_service_resumes_an_end_without_leaving_groups() {
    let world = Fixture::new();
    rooms(&world);
    let tokens = world.enter("ana").await;
    let user_id = world.caller(&tokens).await.user_id;
    let begun = Ending {
        step: EndingStep::Account,
        user_id: user_id.clone(),
        room_id: None,
    };
    let accounts = world.embedded.accounts();
    accounts.put_ending(&begun).await.unwrap();
    world.accounts.resume_endings().await;
    assert_eq!(
        world.refusal(&tokens.access_token).await,
        "its session has ended"
    );
    assert_eq!(accounts.by_id(&user_id).await.unwrap(), None);
    assert!(!accounts.has_ending(&begun).await.unwrap());
    assert_eq!(unfinished(&world).await, 1);
    assert_eq!(world.groups.rooms.lock().unwrap().len(), 3);
    assert!(world.departures.round().await);
    assert_eq!(world.groups.rooms.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn only_the_host_ends_other_users() {
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
        let call = world.accounts.delete_user(&host, user_id);
        beside_a_worker(&world, call).await.unwrap();
    }
    assert_eq!(world.groups.rooms.lock().unwrap().len(), 0);
    assert_eq!(
        world.refusal(&tokens.access_token).await,
        "its session has ended"
    );
}
