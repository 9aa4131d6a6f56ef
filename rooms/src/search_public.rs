//! Search of public rooms by the prefix of their name.

use roomcast_ports::directory::PublicCursor;
use roomcast_protocol::api::RoomViews;
use roomcast_protocol::{Refusal, RoomId, text};

use crate::get::view_of;
use crate::{Rooms, cursor, errors};

impl Rooms {
    /// Public groups whose name begins so, without regard to case.
    pub async fn search_public(
        &self,
        name_prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<RoomViews, Refusal> {
        let after: Option<PublicCursor> = cursor::decode(cursor)?;
        let rooms = self
            .directory
            .public_rooms(&text::normalize(name_prefix), after.as_ref(), limit + 1)
            .await;
        let mut rooms = rooms.map_err(errors::read_failed)?;
        let next_cursor = cursor::page(&mut rooms, limit, PublicCursor::of);
        let ids: Vec<RoomId> = rooms.iter().map(|room| room.room_id.clone()).collect();
        let heads = self.heads(&ids).await;
        let rooms = rooms
            .into_iter()
            .zip(heads)
            .map(|(room, head)| view_of(room, head, None, None));
        Ok(RoomViews {
            rooms: rooms.collect(),
            next_cursor,
        })
    }
}
