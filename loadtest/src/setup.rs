//! Creates rooms, members and accounts before a run, and removes them afterwards.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use hyper::Method;
use roomcast_protocol::{RoomId, UserId};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::api::{Api, Reply};
use crate::plan::Plan;
use crate::users::{Account, Given, Signer, TestUsers};

/// Concurrent calls of setup and teardown.
const CONCURRENCY_MAX: usize = 16;
/// Accounts registered per address; the fleet allows 20 a minute.
const REGISTRATIONS_PER_ADDRESS: usize = 15;

/// The rooms and accounts of a run.
#[derive(Clone)]
pub struct SetupClient {
    api: Api,
    plan: Arc<Plan>,
    names: Arc<TestUsers>,
    /// The token of the server API, if the secret is known.
    token: Option<String>,
}

impl SetupClient {
    /// Creates the rooms with their members; first the accounts, without a token key.
    pub async fn set_up(
        api: Api,
        plan: Arc<Plan>,
        signer: Option<&Signer>,
        prefix: String,
    ) -> anyhow::Result<Self> {
        let mut names = TestUsers {
            prefix,
            given: None,
        };
        if signer.is_none() {
            names.given = Some(
                register(&api, &plan, &names.prefix)
                    .await
                    .context("register accounts")?,
            );
        }
        let token = signer.map(Signer::host).transpose()?;
        let mut host = Self {
            api,
            plan,
            names: Arc::new(names),
            token,
        };
        let rooms = host.make_rooms().await;
        let rooms = match rooms {
            Ok(rooms) => rooms,
            Err(error) => {
                let _ = host.teardown().await;
                return Err(error.context("make rooms"));
            }
        };
        let mut names = (*host.names).clone();
        if let Some(given) = &mut names.given {
            given.rooms = rooms;
        }
        host.names = Arc::new(names);
        Ok(host)
    }

    /// The users and rooms of the run.
    pub fn names(&self) -> &TestUsers {
        &self.names
    }

    /// A user that may read the room, and its token.
    pub fn reader_of(&self, room: usize) -> (UserId, String) {
        match (&self.token, &self.names.given) {
            (Some(token), _) => (UserId::new("loadtest").expect("an id"), token.clone()),
            (None, given) => {
                let owner = self.plan.members[room][0];
                let account =
                    &given.as_ref().expect("no key, so accounts").accounts[owner as usize];
                (account.user_id.clone(), account.access_token.clone())
            }
        }
    }

    async fn make_rooms(&self) -> anyhow::Result<Vec<RoomId>> {
        let rooms = self.plan.members.len();
        let made = all(rooms, |room| {
            let host = self.clone();
            async move { host.make_room(room).await }
        });
        made.await
    }

    async fn make_room(&self, room: usize) -> anyhow::Result<RoomId> {
        let members: Vec<UserId> = self.plan.members[room]
            .iter()
            .map(|&one| self.names.user(one))
            .collect();
        let mut body = json!({
            "kind": "GROUP",
            "visibility": "PRIVATE",
            "name": format!("load test {room}"),
            "memberIds": members,
        });
        let token = if let Some(token) = &self.token {
            body["roomId"] = json!(self.names.room(room));
            token.clone()
        } else {
            self.reader_of(room).1
        };
        let reply = self
            .api
            .call(&Method::POST, "/v1/rooms", &token, Some(&body))
            .await?;
        let made: Value = serde_json::from_slice(&reply.body).context("read the room")?;
        let id = made["roomId"].as_str().context("find the room's id")?;
        ensure!(
            made["memberCount"].as_u64() == Some(members.len() as u64),
            "room {id} was made with {} members instead of {}",
            made["memberCount"],
            members.len()
        );
        Ok(RoomId::new(id)?)
    }

    /// A page of a room's history, every event after `after`.
    pub async fn events_after(
        &self,
        room: usize,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Reply> {
        let path = format!(
            "/v1/rooms/{}/messages?after={after}&limit={limit}",
            self.names.room(room)
        );
        self.api
            .call(&Method::GET, &path, &self.reader_of(room).1, None)
            .await
    }

    /// Deletes the rooms and accounts; missing ones are ignored.
    pub async fn teardown(&self) -> anyhow::Result<()> {
        if self
            .names
            .given
            .as_ref()
            .is_none_or(|given| !given.rooms.is_empty())
        {
            all(self.plan.members.len(), |room| {
                let host = self.clone();
                async move {
                    let path = format!("/v1/rooms/{}", host.names.room(room));
                    gone(
                        host.api
                            .call(&Method::DELETE, &path, &host.reader_of(room).1, None)
                            .await,
                    )
                }
            })
            .await
            .context("delete rooms")?;
        }
        let accounts = self
            .names
            .given
            .as_ref()
            .map_or(0, |given| given.accounts.len());
        all(accounts, |account| {
            let host = self.clone();
            async move {
                let given = host.names.given.as_ref().expect("there are accounts");
                let token = &given.accounts[account].access_token;
                gone(host.api.call(&Method::DELETE, "/v1/me", token, None).await)
            }
        })
        .await
        .context("delete accounts")?;
        Ok(())
    }
}

fn gone(deleted: anyhow::Result<Reply>) -> anyhow::Result<()> {
    match deleted {
        Err(error)
            if !format!("{error:#}").contains("404")
                && !format!("{error:#}").contains("NOT_MEMBER") =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// An address of the loopback network, chosen by a hash of the run: the limits of a minute
/// outlast a short run.
fn source_address(prefix: &str, number: usize) -> Ipv4Addr {
    let hash = prefix.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let byte = |value: u32| u8::try_from(value % 250 + 1).expect("at most 250");
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let (second, third) = (byte(hash), byte((hash >> 8).wrapping_add(number / 250)));
    Ipv4Addr::new(127, second, third, byte(number))
}

async fn register(api: &Api, plan: &Plan, prefix: &str) -> anyhow::Result<Given> {
    let sources: Vec<Api> = (0..plan.rooms_of.len().div_ceil(REGISTRATIONS_PER_ADDRESS))
        .map(|number| api.at_loopback(source_address(prefix, number)))
        .collect();
    // Names have 32 characters at most; the prefix's end distinguishes runs.
    let accounts = all(plan.rooms_of.len(), |number| {
        let api = sources[number / REGISTRATIONS_PER_ADDRESS].clone();
        let name = format!("{prefix}-{number}");
        async move {
            let body = json!({ "name": name, "password": format!("{name} for a load test") });
            let made = api
                .call(&Method::POST, "/v1/accounts", "", Some(&body))
                .await?;
            let signed_in = api
                .call(&Method::POST, "/v1/sessions", "", Some(&body))
                .await?;
            let made: Value = serde_json::from_slice(&made.body).context("read the account")?;
            let session: Value =
                serde_json::from_slice(&signed_in.body).context("read the session")?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            Ok(Account {
                user_id: UserId::new(&text(&made["userId"]))?,
                access_token: text(&session["accessToken"]),
                refresh_token: text(&session["refreshToken"]),
            })
        }
    });
    Ok(Given {
        accounts: accounts.await?,
        rooms: Vec::new(),
    })
}

/// Does `work` for every number below `count`, some at a time; gives the results in order, or the first failure.
pub async fn all<T, F>(count: usize, work: impl Fn(usize) -> F) -> anyhow::Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut done: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let mut next = 0;
    loop {
        while next < count && running.len() < CONCURRENCY_MAX {
            let (number, future) = (next, work(next));
            running.spawn(async move { future.await.map(|result| (number, result)) });
            next += 1;
        }
        let Some(finished) = running.join_next().await else {
            break;
        };
        let (number, result) = finished.context("a task of ours panicked")??;
        done[number] = Some(result);
    }
    Ok(done.into_iter().flatten().collect())
}
