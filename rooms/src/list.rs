//! The caller's rooms, by latest activity.

use std::time::Duration;

use futures_util::future::join_all;
use roomcast_ports::access::{Caller, Membership, Memberships as _};
use roomcast_ports::back_off::BackOff;
use roomcast_ports::directory::{ListingCursor, RoomListing};
use roomcast_ports::message_store::MessageState;
use roomcast_protocol::api::{RoomEntries, RoomEntry};
use roomcast_protocol::limits::ROOMS_BY_ID_MAX;
use roomcast_protocol::{Refusal, RoomId, Seq};
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::get::view_of;
use crate::{Rooms, cursor, errors};

/// Limit of the wait for a row that the log has an event for.
const ROW_TIMEOUT: Duration = Duration::from_secs(1);
/// Missing rooms of one request whose members are looked up; clients ask for one or two.
const ROWS_AWAITED_MAX: usize = 8;
const BACKOFF_MIN: Duration = Duration::from_millis(5);
const BACKOFF_MAX: Duration = Duration::from_millis(100);

impl Rooms {
    /// The caller's rooms with what is unread in them. Activity and last messages are as far as the
    /// store is; heads are the log's.
    pub async fn list(
        &self,
        caller: &Caller,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<RoomEntries, Refusal> {
        let after: Option<ListingCursor> = cursor::decode(cursor)?;
        let listings = self
            .directory
            .rooms_of(&caller.user_id, after.as_ref(), limit + 1)
            .await;
        let mut listings = listings.map_err(errors::read_failed)?;
        let next_cursor = cursor::page(&mut listings, limit, |last| ListingCursor {
            active_at: last.active_at,
            room_id: last.room.room_id.clone(),
        });
        Ok(RoomEntries {
            rooms: self.entries(listings).await,
            next_cursor,
        })
    }

    /// Those of these rooms that are the caller's, in the order of [`list`](Rooms::list), in one answer.
    pub async fn list_among(
        &self,
        caller: &Caller,
        room_ids: &[RoomId],
    ) -> Result<RoomEntries, Refusal> {
        if room_ids.len() > ROOMS_BY_ID_MAX {
            return Err(Refusal::bad_frame(format!(
                "roomId: at most {ROOMS_BY_ID_MAX}"
            )));
        }
        let read = || async {
            let listings = self.directory.rooms_of_among(&caller.user_id, room_ids);
            listings.await.map_err(errors::read_failed)
        };
        let mut listings = read().await?;
        let until = Instant::now() + ROW_TIMEOUT;
        let mut back_off = BackOff::new(BACKOFF_MIN, BACKOFF_MAX);
        while Instant::now() < until && self.is_row_due(caller, room_ids, &listings).await {
            sleep(back_off.next_delay()).await;
            listings = read().await?;
        }
        Ok(RoomEntries {
            rooms: self.entries(listings).await,
            next_cursor: None,
        })
    }

    /// Whether the caller is in one of the rooms that are not listed. The log notifies a client of its
    /// joining a moment before the store has the row.
    async fn is_row_due(
        &self,
        caller: &Caller,
        room_ids: &[RoomId],
        listings: &[RoomListing],
    ) -> bool {
        let is_listed = |room_id: &RoomId| listings.iter().any(|it| it.room.room_id == *room_id);
        let missing = room_ids.iter().filter(|room_id| !is_listed(room_id));
        let missing = missing.take(ROWS_AWAITED_MAX);
        let memberships = missing.map(|room_id| self.membership(room_id, &caller.user_id));
        let memberships = join_all(memberships).await;
        let is_member = |it: &Membership| it.room.is_some() && it.role.is_some();
        memberships.iter().flatten().any(is_member)
    }

    async fn entries(&self, listings: Vec<RoomListing>) -> Vec<RoomEntry> {
        let ids: Vec<RoomId> = listings.iter().map(|it| it.room.room_id.clone()).collect();
        let heads = self.heads(&ids).await;
        listings
            .into_iter()
            .zip(heads)
            .map(|(listing, head)| entry(listing, head))
            .collect()
    }

    /// The log's heads of these rooms; zero where unknown.
    pub(crate) async fn heads(&self, room_ids: &[RoomId]) -> Vec<Seq> {
        self.log.heads(room_ids).await.unwrap_or_else(|failure| {
            debug!(?failure, "failed to read heads; using the store's");
            vec![Seq::ZERO; room_ids.len()]
        })
    }
}

fn entry(listing: RoomListing, head: Seq) -> RoomEntry {
    let head = head.max(listing.head);
    RoomEntry {
        room: view_of(listing.room, head, Some(listing.role), listing.peer_id),
        unread: listing.unread,
        last_message: listing.last_message.map(MessageState::view),
        marks: listing.marks,
    }
}
