//! After the load: waits until all clients have caught up, then reads history.

use std::time::Duration;

use anyhow::Context as _;
use roomcast_protocol::{RoomId, Seq};
use serde::Deserialize;

use super::Coordinator;
use crate::clock::{RunClock, micros};
use crate::ipc::WorkerCommand;
use crate::setup::{SetupClient, all};
use crate::worker_pool::WorkerPool;
use roomcast_checker::history::{ConnectionLog, Event, Page, PageQuery, Recorder};

/// Timeout of responses and deliveries after the last message was due; what has not arrived by then
/// is lost.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Events per page of history.
const PAGE: usize = 200;
/// Limit of events read per room, from its first event.
const EVENTS_READ_MAX: usize = 200_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageBody<'a> {
    #[serde(borrow)]
    events: Vec<Event<'a>>,
    head: Seq,
    has_more_before: bool,
    has_more_after: bool,
}

impl Coordinator<'_> {
    /// Waits until every message has a response and all clients have reached the rooms' heads.
    pub(super) async fn settle(&mut self, workers: &mut WorkerPool) -> anyhow::Result<()> {
        self.view.print("waiting for what is still under way");
        let deadline = self.clock.now() + micros(SETTLE_TIMEOUT);
        loop {
            let snapshot = self.progress(workers).await?;
            if snapshot.pending == 0 && snapshot.all_caught_up_since.is_some()
                || self.clock.now() > deadline
            {
                break;
            }
        }
        let heads = self.heads().await.context("ask for the rooms' heads")?;
        workers
            .send_command(&WorkerCommand::Await { heads })
            .await?;
        let deadline = self.clock.now() + micros(SETTLE_TIMEOUT);
        loop {
            let snapshot = self.progress(workers).await?;
            self.events.caught_up_at_end =
                snapshot.behind == Some(0) && snapshot.all_caught_up_since.is_some();
            if self.events.caught_up_at_end || self.clock.now() > deadline {
                return Ok(());
            }
        }
    }

    /// The head of each room.
    pub(super) async fn heads(&self) -> anyhow::Result<Vec<u64>> {
        let heads = all(self.settings.rooms, |room| {
            let host = self.host.clone();
            async move {
                let reply = host.events_after(room, 0, 1).await?;
                let page: PageBody<'_> =
                    serde_json::from_slice(&reply.body).context("read a page")?;
                Ok(page.head.get())
            }
        });
        heads.await
    }

    /// Reads every room's history from its first event, and records it for the checker.
    pub(super) async fn read_history(&mut self, recorder: &Recorder) -> anyhow::Result<()> {
        self.view.print("reading the history of every room");
        let endpoint = self.settings.endpoints[0].authority.clone();
        let cut_short = all(self.settings.rooms, |room| {
            let (host, clock) = (self.host.clone(), self.clock);
            let log = recorder.connection(clock.now(), &host.reader_of(room).0, &endpoint);
            async move {
                let room_id = host.names().room(room);
                let cut_short = read_room(&host, &clock, &log, room, &room_id).await?;
                log.ended(clock.now(), roomcast_checker::history::Disconnect::Finished);
                Ok(usize::from(cut_short))
            }
        });
        let cut_short: usize = cut_short.await?.into_iter().sum();
        if cut_short > 0 {
            self.view.print(&format!(
                "{cut_short} rooms have more than {EVENTS_READ_MAX} events; the rest of their history was not read back"
            ));
        }
        Ok(())
    }
}

/// Reads a room from its first event; returns whether it stopped before the end.
async fn read_room(
    host: &SetupClient,
    clock: &RunClock,
    log: &ConnectionLog,
    room: usize,
    room_id: &RoomId,
) -> anyhow::Result<bool> {
    let mut after = 0;
    let mut events = 0;
    loop {
        let asked_us = clock.now();
        let reply = host.events_after(room, after, PAGE).await?;
        let body: PageBody<'_> = serde_json::from_slice(&reply.body).context("read a page")?;
        let page = Page {
            asked_us,
            room_id,
            asked: PageQuery::After(Seq::new(after).context("a place is below 2^53")?),
            head: body.head,
            has_more_before: body.has_more_before,
            has_more_after: body.has_more_after,
        };
        log.page(clock.now(), &page, &body.events);
        events += body.events.len();
        match body.events.last() {
            Some(last) if body.has_more_after => after = last.seq.get(),
            _ => return Ok(false),
        }
        if events >= EVENTS_READ_MAX {
            return Ok(true);
        }
    }
}
