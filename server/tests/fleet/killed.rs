//! SIGKILL for each kind of part while people talk: nothing acknowledged is lost, doubled or moved.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, pause};
use crate::conversation::Conversation;
use crate::fixture::{Fixture, eventually, message};
use crate::support::node::unique;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_killed_gateways_clients_are_whole_on_another_within_three_seconds() {
    let mut fixture = Fixture::shared();
    let mut talk = Conversation::new(&fixture, 4, 40);
    let edge = [fixture.edge.http().to_owned()];
    let received = talk.during(&mut fixture, &edge, |fixture| {
        pause(2 * SECOND);
        let connections = fixture.metric("gateway-2", "chat_ws_active_sessions");
        assert!(connections > 0.0, "it has clients");
        fixture.fleet.part_mut("gateway-2").expect("it").kill();
        pause(4 * SECOND);
    });
    assert!(received.longest_silence < 3 * SECOND, "{received:?}");
    let gateway = fixture.fleet.part_mut("gateway-2").expect("it");
    gateway.start().expect("start it again");
}

#[test]
fn a_killed_leader_of_a_rooms_partition_costs_ten_seconds_and_no_message() {
    let mut fixture = Fixture::shared();
    let mut talk = Conversation::new(&fixture, 3, 20);
    let (doors, room) = (fixture.gateways(), talk.room.clone());
    let mut killed = 0;
    let received = talk.during(&mut fixture, &doors, |fixture| {
        pause(SECOND);
        killed = leader_of(fixture, &room);
        fixture.fleet.nats_mut().kill(killed);
        pause(14 * SECOND);
    });
    assert!(received.longest_silence < 10 * SECOND, "{received:?}");
    let nats = fixture.fleet.nats_mut();
    nats.start_node(killed).expect("start it again");
    nats.wait_until_ready().expect("all are there again");
}

/// The server that leads the room's partition.
fn leader_of(fixture: &Fixture, room: &str) -> usize {
    // FNV-1a, as the contract of subjects has it.
    let hash = room.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let name = format!("CHAT_{}", hash % 32);
    let nats = fixture.fleet.nats();
    let said = nats.monitoring(0, "/jsz?accounts=true&streams=true");
    let said: Value = serde_json::from_str(&said.expect("ask a server")).expect("JSON");
    let accounts = said["account_details"].as_array().expect("accounts");
    let mut streams = accounts
        .iter()
        .flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
    let stream = streams.find(|stream| stream["name"] == name.as_str());
    let leader = stream.expect("the partition's stream")["cluster"]["leader"].clone();
    let leader = leader.as_str().expect("it has a leader");
    nats.node_named(leader).expect("one of ours")
}

#[test]
fn a_killed_ingest_workers_partitions_are_taken_over_within_seconds() {
    let mut fixture = Fixture::shared();
    let mut talk = Conversation::new(&fixture, 3, 5);
    let (doors, room, speaker) = (
        fixture.gateways(),
        talk.room.clone(),
        talk.speaker().to_owned(),
    );
    talk.during(&mut fixture, &doors, |fixture| {
        for worker in ["ingest-1", "ingest-2"] {
            pause(2 * SECOND);
            fixture.fleet.part_mut(worker).expect("it").kill();
            pause(2 * SECOND);
            // What the list shows of the last message is in the store; the head is the log's.
            let behind = fixture.listed(&speaker, &room).expect("it is listed");
            let behind = behind["lastMessage"]["seq"].clone();
            let taken = eventually("the other goes on", 15 * SECOND, || {
                fixture
                    .listed(&speaker, &room)
                    .is_some_and(|it| it["lastMessage"]["seq"] != behind)
            });
            println!("{worker} was replaced after {:?}", 2 * SECOND + taken);
            let worker = fixture.fleet.part_mut(worker).expect("it");
            worker.start().expect("start it again");
        }
    });
    let last = fixture.edge.http().to_owned();
    let mut line = Client::connect(&last, &fixture.edge.token(&speaker));
    let ack = line.acknowledged(message(&room, "after-all"));
    eventually("the store has all of it", 15 * SECOND, || {
        fixture
            .listed(&speaker, &room)
            .is_some_and(|it| it["lastMessage"]["seq"] == ack["seq"])
    });
}

#[test]
fn presence_store_restarted_empty_has_all_users_again() {
    let mut fixture = Fixture::shared();
    let mut talk = Conversation::new(&fixture, 2, 20);
    let (doors, listeners) = (fixture.gateways(), talk.listeners().to_vec());
    let token = fixture.edge.token(&listeners[0]);
    let query: Vec<String> = listeners
        .iter()
        .map(|name| format!("userId={name}"))
        .collect();
    let path = format!("/v1/presence?{}", query.join("&"));
    let all_online = |fixture: &Fixture| {
        let reply = fixture.edge.call("GET", &path, &token, Value::Null);
        reply.status == 200 && {
            let said = reply.ok(200);
            let users = said["users"].as_array().expect("users");
            users.iter().all(|user| user["status"] == "ONLINE")
        }
    };
    talk.during(&mut fixture, &doors, |fixture| {
        eventually("all are online", 10 * SECOND, || all_online(fixture));
        fixture.fleet.redis_mut().kill();
        pause(3 * SECOND);
        fixture.fleet.redis_mut().restart().expect("start it again");
        let healed = eventually("all are online again", 15 * SECOND, || all_online(fixture));
        println!("presence healed {healed:?} after the store was back");
    });
}

#[test]
fn without_the_store_people_talk_and_resume_and_history_is_whole_afterwards() {
    let mut fixture = Fixture::shared();
    let mut talk = Conversation::new(&fixture, 3, 20);
    let (doors, room, speaker) = (
        fixture.gateways(),
        talk.room.clone(),
        talk.speaker().to_owned(),
    );
    let received = talk.during(&mut fixture, &doors, |fixture| {
        pause(2 * SECOND);
        fixture.fleet.cassandra_mut().kill(0);
        pause(8 * SECOND);
        let cassandra = fixture.fleet.cassandra_mut();
        cassandra.start_node(0).expect("start it again");
        eventually("the list follows again", 60 * SECOND, || {
            fixture.listed(&speaker, &room).is_some()
        });
    });
    assert!(received.longest_silence < 6 * SECOND, "{received:?}");
    assert!(
        received.connections > 20,
        "some came back meanwhile: {received:?}"
    );
}

#[test]
fn a_store_that_forgets_what_it_acknowledged_is_whole_after_its_return() {
    let mut fixture = Fixture::shared();
    let mut talk = Conversation::new(&fixture, 6, 5);
    let (doors, room, speaker) = (
        fixture.gateways(),
        talk.room.clone(),
        talk.speaker().to_owned(),
    );
    talk.during(&mut fixture, &doors, |fixture| {
        for _ in 0..3 {
            pause(3 * SECOND);
            let cassandra = fixture.fleet.cassandra_mut();
            cassandra.kill(0);
            cassandra.start_node(0).expect("start it again");
        }
        eventually("the list follows again", 60 * SECOND, || {
            fixture.listed(&speaker, &room).is_some()
        });
    });
}

/// A signed-in account that owns a group with a guest: its token, the group, the guest.
fn owner_of_a_group(fixture: &Fixture) -> (String, String, String) {
    let name = unique("dora").replace('-', "_")[..20].to_owned();
    let body = json!({ "name": name, "password": "long enough" });
    let edge = &fixture.edge;
    let account = edge.call("POST", "/v1/accounts", "", body.clone()).ok(201);
    let session = edge.call("POST", "/v1/sessions", "", body).ok(201);
    let token = session["accessToken"].as_str().expect("a token").to_owned();
    let guest = unique("guest");
    let user_id = account["userId"].as_str().expect("an id");
    let room = edge.room(&[user_id, &guest]);
    (token, room, guest)
}

/// The members of a group, as the host product sees them.
fn members(fixture: &Fixture, room: &str) -> Option<Vec<(Value, Value)>> {
    let path = format!("/v1/rooms/{room}/members");
    let edge = &fixture.edge;
    let reply = edge.call("GET", &path, &edge.admin_token(), Value::Null);
    (reply.status == 200).then(|| {
        let page = reply.ok(200);
        let members = page["members"].as_array().expect("members").iter();
        members
            .map(|member| (member["userId"].clone(), member["role"].clone()))
            .collect()
    })
}

#[test]
fn ended_account_leaves_its_groups_after_a_killed_rooms_process_returns() {
    let mut fixture = Fixture::shared();
    let (token, room, guest) = owner_of_a_group(&fixture);
    let left = vec![(json!(guest), json!("OWNER"))];
    let delete = |fixture: &Fixture, token: &str| {
        let began = Instant::now();
        let edge = &fixture.edge;
        edge.call("DELETE", "/v1/me", token, Value::Null).ok(204);
        let taken = began.elapsed();
        assert_eq!(edge.call("GET", "/v1/me", token, Value::Null).status, 401);
        taken
    };
    let taken = delete(&fixture, &token);
    println!("answered after {taken:?}");
    assert_eq!(members(&fixture, &room), Some(left));

    let (token, room, guest) = owner_of_a_group(&fixture);
    let left = vec![(json!(guest), json!("OWNER"))];
    fixture.fleet.part_mut("rooms-1").expect("it").kill();
    let taken = delete(&fixture, &token);
    assert!(taken < 4 * SECOND, "{taken:?}");
    let rooms = fixture.fleet.part_mut("rooms-1").expect("it");
    rooms.start().expect("start it again");
    let taken = eventually("the user has left the group", 10 * SECOND, || {
        members(&fixture, &room).as_ref() == Some(&left)
    });
    println!("left {taken:?} after the return of the rooms process");
}
