//! Presence on Redis.
