-- Rooms by number: an event row names its room in a few bytes.
CREATE TABLE rooms (
    room INTEGER PRIMARY KEY,
    room_id TEXT NOT NULL UNIQUE
) STRICT;

-- What was said and done. `seq` counts over all rooms; `target` the message an edit or a
-- deletion is about; `body` the event as protocol::event::encode writes it.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    room INTEGER NOT NULL,
    prev INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    target TEXT,
    body BLOB NOT NULL
) STRICT;

-- An event id once in a room, for ever.
CREATE UNIQUE INDEX events_by_id ON events (room, event_id);
-- A room's events in order: an index entry ends with the row's own number, which is the seq.
CREATE INDEX events_by_room ON events (room);
CREATE INDEX events_by_target ON events (room, target) WHERE target IS NOT NULL;

-- The log's incarnation: seqs begin at `incarnation << 40`.
CREATE TABLE incarnation (number INTEGER NOT NULL) STRICT;
INSERT INTO incarnation VALUES (0);

CREATE TABLE accounts (
    user_id TEXT PRIMARY KEY,
    name_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    user_agent TEXT,
    token_salt BLOB NOT NULL,
    generation INTEGER NOT NULL,
    -- Pairs of a first generation and the time in milliseconds, 8 bytes each, big-endian.
    replaced BLOB NOT NULL,
    used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the ends of users have begun; the room is empty for the user as a whole.
CREATE TABLE endings (
    step TEXT NOT NULL,
    user_id TEXT NOT NULL,
    room_id TEXT NOT NULL,
    PRIMARY KEY (step, user_id, room_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_end ON sessions (expires_at);
