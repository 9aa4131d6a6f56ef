-- Everything here but the marks is derived from the log. A register is a value with the seq that
-- wrote it: a later seq wins, whatever comes first.

CREATE TABLE rooms (
    room INTEGER PRIMARY KEY,
    room_id TEXT NOT NULL UNIQUE,
    -- The founding with the earliest seq.
    founded_seq INTEGER,
    kind TEXT,
    created_at INTEGER,
    founding_name TEXT,
    founding_visibility TEXT,
    -- What changed since.
    name TEXT,
    name_seq INTEGER NOT NULL DEFAULT 0,
    topic TEXT,
    topic_seq INTEGER NOT NULL DEFAULT 0,
    visibility TEXT,
    visibility_seq INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    -- The name without case, of rooms that anybody may find.
    name_key TEXT,
    member_count INTEGER NOT NULL DEFAULT 0,
    owner_count INTEGER NOT NULL DEFAULT 0,
    -- The last seq known, and the one up to which the feed has been written.
    head INTEGER NOT NULL DEFAULT 0,
    applied_seq INTEGER NOT NULL DEFAULT 0,
    -- How many messages there are up to `applied_seq`.
    ordinal INTEGER NOT NULL DEFAULT 0,
    last_message INTEGER NOT NULL DEFAULT 0,
    -- The latest time of any message: the room's activity.
    last_message_at INTEGER
) STRICT;

CREATE INDEX rooms_by_name ON rooms (name_key, room_id) WHERE name_key IS NOT NULL;

-- Every event. `target` is the message an edit is about.
CREATE TABLE events (
    room INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    prev INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    target TEXT,
    body BLOB NOT NULL,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX events_by_id ON events (room, event_id);
CREATE INDEX events_by_target ON events (room, target) WHERE target IS NOT NULL;

-- The events that are messages. `ordinal` is how many the room has up to it, once the feed has come
-- so far.
CREATE TABLE messages (
    room INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    ordinal INTEGER,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

-- What became of messages, under their ids: it may be known before they are.
CREATE TABLE message_mutations (
    room INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    edit_seq INTEGER NOT NULL DEFAULT 0,
    content TEXT,
    edited_at INTEGER,
    deleted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (room, message_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE reactions (
    room INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    emoji TEXT NOT NULL,
    user_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    PRIMARY KEY (room, message_id, emoji, user_id)
) STRICT, WITHOUT ROWID;

-- Who is or was a member, and how far they have read. A row may be there for its marks alone.
CREATE TABLE members (
    room INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    is_member INTEGER NOT NULL DEFAULT 0,
    is_member_seq INTEGER NOT NULL DEFAULT 0,
    role TEXT NOT NULL DEFAULT 'MEMBER',
    role_seq INTEGER NOT NULL DEFAULT 0,
    read INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (room, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_user ON members (user_id) WHERE is_member = 1;

-- How far each partition's feed has been written.
CREATE TABLE checkpoints (
    partition INTEGER PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;
