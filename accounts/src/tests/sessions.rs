//! Listing one's sessions and ending them.

use std::time::Duration;

use roomcast_protocol::api::SessionView;
use roomcast_protocol::{ErrorCode, SessionId};

use super::fixture::{Fixture, PASSWORD, client, host_caller, wait};
use crate::Client;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn named(user_agent: &str) -> Client {
    Client {
        user_agent: Some(user_agent.to_owned()),
        ..client()
    }
}

async fn list(world: &Fixture, caller: &roomcast_ports::access::Caller) -> Vec<SessionView> {
    world.accounts.sessions(caller).await.unwrap().sessions
}

#[tokio::test]
async fn sessions_are_listed_with_their_use_and_which_one_is_current() {
    let world = Fixture::new();
    world.register("ana").await;
    let desk = world
        .accounts
        .sign_in("ana", PASSWORD, &named("Desk/1.0\u{7}\n"))
        .await
        .unwrap();
    wait(HOUR);
    let long = "é".repeat(200);
    let phone = world.accounts.sign_in("ana", PASSWORD, &named(&long)).await;
    let phone = world.caller(&phone.unwrap()).await;
    wait(HOUR);
    let desk = world.accounts.refresh(&desk.refresh_token).await.unwrap();
    let desk = world.caller(&desk).await;

    let sessions = list(&world, &desk).await;
    let [first, second] = &sessions[..] else {
        panic!("{sessions:?}");
    };
    assert_eq!(Some(&first.session_id), desk.session_id.as_ref());
    assert_eq!(first.user_agent.as_deref(), Some("Desk/1.0"));
    assert!(first.current && !second.current);
    assert!(first.last_used_at >= first.created_at.plus(2 * HOUR));
    assert_eq!(Some(&second.session_id), phone.session_id.as_ref());
    assert_eq!(second.user_agent.as_deref(), Some(&long[..256]));
    assert_eq!(second.last_used_at, second.created_at);

    let of_phone = list(&world, &phone).await;
    assert_eq!(of_phone.iter().filter(|it| it.current).count(), 1);
    assert!(of_phone[1].current);
}

#[tokio::test]
async fn expired_and_ended_sessions_are_not_listed() {
    let world = Fixture::new();
    world.enter("ana").await;
    wait(29 * 24 * HOUR);
    let other = world.sign_in("ana").await;
    let other = world.caller(&other).await;
    let tokens = world.sign_in("ana").await;
    let caller = world.caller(&tokens).await;
    assert_eq!(list(&world, &caller).await.len(), 3);
    wait(24 * HOUR + Duration::from_secs(1));
    world.accounts.sign_out(&other).await.unwrap();
    let left = list(&world, &caller).await;
    assert_eq!(left.len(), 1);
    assert!(left[0].current);
}

#[tokio::test]
async fn session_of_another_device_can_be_ended_once() {
    let world = Fixture::new();
    let tokens = world.enter("ana").await;
    let phone = world.sign_in("ana").await;
    let (caller, lost) = (world.caller(&tokens).await, world.caller(&phone).await);
    let lost = lost.session_id.unwrap();
    world.accounts.end_my_session(&caller, &lost).await.unwrap();
    assert_eq!(
        world.refusal(&phone.access_token).await,
        "its session has ended"
    );
    world.caller(&tokens).await;
    let again = world.accounts.end_my_session(&caller, &lost).await;
    assert_eq!(again.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test]
async fn session_of_another_user_is_not_found_and_goes_on() {
    let world = Fixture::new();
    let (ana, bob) = (world.enter("ana").await, world.enter("bob").await);
    let (ana, bobs) = (world.caller(&ana).await, world.caller(&bob).await);
    let bobs = bobs.session_id.unwrap();
    for (caller, session_id) in [
        (&ana, bobs),
        (&ana, SessionId::generate()),
        (&host_caller(None), ana.session_id.clone().unwrap()),
    ] {
        let refused = world.accounts.end_my_session(caller, &session_id).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::NotFound);
    }
    world.caller(&bob).await;
    assert_eq!(list(&world, &ana).await.len(), 1);
}

#[tokio::test]
async fn all_other_sessions_can_be_ended_at_once() {
    let world = Fixture::new();
    let tokens = world.enter("ana").await;
    let others = [world.sign_in("ana").await, world.sign_in("ana").await];
    let stranger = world.enter("bob").await;
    let caller = world.caller(&tokens).await;
    world.accounts.end_my_other_sessions(&caller).await.unwrap();
    for other in &others {
        assert_eq!(
            world.refusal(&other.access_token).await,
            "its session has ended"
        );
    }
    let left = list(&world, &caller).await;
    assert_eq!(left.len(), 1);
    assert!(left[0].current);
    world.caller(&stranger).await;
}

#[tokio::test]
async fn user_of_the_host_product_has_no_sessions() {
    let world = Fixture::new();
    world.enter("ana").await;
    let caller = host_caller(Some("Hana"));
    assert_eq!(list(&world, &caller).await, []);
    world.accounts.end_my_other_sessions(&caller).await.unwrap();
}
