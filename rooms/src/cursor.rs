//! Cursors of lists: opaque to clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roomcast_ports::directory::{ListingCursor, PublicCursor};
use roomcast_protocol::{Refusal, RoomId, Timestamp, UserId};

/// A position in a list that can be written into a cursor.
pub(crate) trait CursorKey: Sized {
    /// The list that it is a position of: another list's cursor is refused.
    const LIST: char;
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

pub(crate) fn encode<P: CursorKey>(place: &P) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}{}", P::LIST, place.write()))
}

/// Reads what [`encode`] wrote, or refuses.
pub(crate) fn decode<P: CursorKey>(cursor: Option<&str>) -> Result<Option<P>, Refusal> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|it| P::read(it.strip_prefix(P::LIST)?));
    place
        .map(Some)
        .ok_or_else(|| Refusal::bad_frame("cursor: not one of ours"))
}

/// Trims what was read, one more than `limit`, to a page; returns the next page's cursor.
pub(crate) fn page<T, P: CursorKey>(
    entries: &mut Vec<T>,
    limit: usize,
    place: impl FnOnce(&T) -> P,
) -> Option<String> {
    let more = entries.len() > limit;
    entries.truncate(limit);
    entries
        .last()
        .filter(|_| more)
        .map(|last| encode(&place(last)))
}

impl CursorKey for UserId {
    const LIST: char = 'm';

    fn write(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        Self::new(text).ok()
    }
}

impl CursorKey for PublicCursor {
    const LIST: char = 'p';

    fn write(&self) -> String {
        // No id has a line break, so the first one ends it.
        format!("{}\n{}", self.room_id, self.name_key)
    }
    fn read(text: &str) -> Option<Self> {
        let (room_id, name_key) = text.split_once('\n')?;
        Some(Self {
            name_key: name_key.to_owned(),
            room_id: RoomId::new(room_id).ok()?,
        })
    }
}

impl CursorKey for ListingCursor {
    const LIST: char = 'r';

    fn write(&self) -> String {
        format!("{}.{}", self.active_at.as_millis(), self.room_id)
    }
    fn read(text: &str) -> Option<Self> {
        let (active_at, room_id) = text.split_once('.')?;
        let active_at = Timestamp::from_millis(active_at.parse().ok()?);
        Some(Self {
            active_at,
            room_id: RoomId::new(room_id).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_anything_else_is_refused() {
        let place = ListingCursor {
            active_at: Timestamp::from_millis(1_700_000_000_007),
            room_id: RoomId::new("a.b.c").unwrap(),
        };
        let cursor = encode(&place);
        assert_eq!(decode::<ListingCursor>(Some(&cursor)), Ok(Some(place)));
        assert_eq!(decode::<ListingCursor>(None), Ok(None));
        assert!(decode::<UserId>(Some(&cursor)).is_err(), "of another list");
        for bad in ["", "!", "YQ", "MS4", "/w"] {
            assert!(decode::<ListingCursor>(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
