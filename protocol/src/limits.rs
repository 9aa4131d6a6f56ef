//! Every limit of the product, with the outcome past it.
//!
//! `WELCOME` announces those that clients meet; the ones an operator may change are defaults here.

use std::time::Duration;

/// Bytes of an id; a longer one is `BAD_FRAME`.
pub const ID_BYTES_MAX: usize = 64;
/// Bytes of one frame's payload, either way; a longer client frame closes 1009.
pub const FRAME_BYTES_MAX: usize = 65_536;
/// Bytes of a message's content; more is `CONTENT_TOO_LARGE`.
pub const CONTENT_BYTES_MAX: usize = 16_384;
/// Users one message may mention; more is `BAD_FRAME`.
pub const MENTIONS_MAX: usize = 50;
/// Attachments of one message; more is `BAD_FRAME`.
pub const ATTACHMENTS_MAX: usize = 10;
/// Bytes of a reaction's emoji; more is `BAD_FRAME`.
pub const EMOJI_BYTES_MAX: usize = 64;
/// Different reactions that a message holds; one more is `TOO_MANY_REACTIONS`.
pub const REACTIONS_MAX: usize = 50;
/// Different reactions of one user to one message; one more is `TOO_MANY_REACTIONS`.
pub const REACTIONS_PER_USER_MAX: usize = 20;
/// Bytes of a room's name as it is stored; more is `BAD_FRAME`.
pub const NAME_BYTES_MAX: usize = 128;
/// Unicode scalar values of a display name as it is stored; more is `BAD_FRAME`.
pub const DISPLAY_NAME_CHARS_MAX: usize = 64;
/// Bytes of a room's topic as it is stored; more is `BAD_FRAME`.
pub const TOPIC_BYTES_MAX: usize = 1_024;
/// Characters of a frame's `ref`; more is `BAD_FRAME`.
pub const REF_CHARS_MAX: usize = 64;
/// Rooms one connection may be subscribed to; more is `TOO_MANY_ROOMS`.
pub const ROOMS_PER_CONNECTION_MAX: usize = 1_000;
/// Rooms one `SUBSCRIBE` may name; more is `BAD_FRAME`.
pub const ROOMS_PER_SUBSCRIBE_MAX: usize = 1_000;
/// Users one connection may watch; a longer list is `BAD_FRAME`.
pub const WATCHED_USERS_MAX: usize = 200;
/// Sends of one connection not yet acknowledged; more is `RATE_LIMITED`.
pub const IN_FLIGHT_SENDS_MAX: usize = 64;
/// Frames a second of one connection that are no sends, no `SUBSCRIBE`, no `PING` and no `AUTH`, bad and
/// unknown ones included; more is `RATE_LIMITED`.
pub const FRAMES_PER_SECOND: u32 = 50;
/// Such frames in one burst.
pub const FRAME_BURST: u32 = 200;
/// Rooms a second that one connection may subscribe to; more is `RATE_LIMITED` for each room.
pub const ROOMS_SUBSCRIBED_PER_SECOND: u32 = 50;
/// Such rooms in one burst.
pub const ROOMS_SUBSCRIBED_BURST: u32 = 1_000;
/// `PING`s (RFC 6455's too) a second of one connection, an `AUTH` counting [`AUTH_COST`]; past it the next
/// frame is not read until its time has come, and TCP holds the client back.
pub const PACED_PER_SECOND: u32 = 200;
/// Such frames in one burst.
pub const PACED_BURST: u32 = 1_000;
/// `PING`s that one `AUTH` counts as: a signature is verified.
pub const AUTH_COST: u32 = 4;
/// How often marks of one user in one room are passed on as `RECEIPT` at most; those between are merged.
pub const RECEIPT_INTERVAL: Duration = Duration::from_millis(250);
/// Users and rooms whose receipts one gateway merges in an interval; past it each is passed on by itself.
pub const RECEIPT_QUEUE_MAX: usize = 65_536;
/// Bad frames within [`BAD_FRAMES_WINDOW`] that close 4400.
pub const BAD_FRAMES_MAX: u32 = 10;
/// The span in which bad frames are counted.
pub const BAD_FRAMES_WINDOW: Duration = Duration::from_secs(60);
/// Refusals for rate within [`RATE_REFUSALS_WINDOW`] that close 4429.
pub const RATE_REFUSALS_MAX: u32 = 200;
/// The span in which refusals for rate are counted.
pub const RATE_REFUSALS_WINDOW: Duration = Duration::from_secs(10);
/// Unsent bytes kept for one connection; more closes 4508.
pub const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Unsent frames kept for one connection; more closes 4508.
pub const OUTBOX_FRAMES_MAX: usize = 1_024;
/// Bytes read from one connection while a frame before them is being dealt with; past it the socket is
/// not read until that is done, and TCP holds the client back.
pub const READ_AHEAD_BYTES_MAX: usize = 16 << 10;
/// Encoded bytes of one process that have not been sent: frames in outboxes and rooms' recent frames, pages
/// over HTTP. Past it connections with more than [`OUTBOX_BYTES_FAIR`] waiting close 4508 at their next frame,
/// replays wait for [`OUTBOUND_TIMEOUT`] and then close 4508, and pages are `UNAVAILABLE`.
pub const OUTBOUND_BYTES_MAX: usize = 256 << 20;
/// Bytes of pages over HTTP that one user has not taken yet; more is `UNAVAILABLE`. Scope `admin` apart.
pub const PAGE_BYTES_PER_USER_MAX: usize = 16 << 20;
/// Bytes that may wait for one connection in any case.
pub const OUTBOX_BYTES_FAIR: usize = 64 << 10;
/// How long a replay waits while the process has too many bytes to send.
pub const OUTBOUND_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of events that a replay reads and sends per page; the next are read when the client has taken these.
pub const REPLAY_PAGE_BYTES: usize = 128 << 10;
/// Events that a replay reads per page.
pub const REPLAY_PAGE_EVENTS: usize = 64;
/// KiB of history a second that one user reads from one process, by replays and by pages each; past it the next
/// waits, and past [`READ_PAUSE_MAX`] a page is `UNAVAILABLE`. Scope `admin` apart.
pub const READ_KIB_PER_SECOND: u32 = 8 << 10;
/// Such KiB in one burst.
pub const READ_KIB_BURST: u32 = 64 << 10;
/// How long a page waits for that.
pub const READ_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Pages of replays read concurrently by one gateway; others wait.
pub const REPLAY_READ_CONCURRENCY_MAX: usize = 32;
/// Interval after which an idle connection is sent `HEARTBEAT`.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// A connection from which nothing came for so long is closed 4408.
pub const CLIENT_IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// A connection from which nothing came for so long is sent a WebSocket ping.
pub const CLIENT_IDLE_PING_AFTER: Duration = Duration::from_secs(30);
/// How long a connection has for its first `AUTH`; then it is closed 4401.
pub const AUTH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may take nothing of what waits for it; then the connection is closed 4508, or cut if it
/// is HTTP.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a handshake may take; then the connection is cut.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head; more is HTTP 431.
pub const HANDSHAKE_BYTES_MAX: usize = 8_192;
/// How long the rest of a refused head is read and dropped, so that the answer arrives; then the connection is cut.
pub const REFUSED_HEAD_LINGER: Duration = Duration::from_secs(1);
/// Bytes of a refused head's rest that are read and dropped; then the connection is cut.
pub const REFUSED_HEAD_BYTES_MAX: usize = 262_144;
/// How long before its end `TOKEN_EXPIRING` is sent.
pub const TOKEN_EXPIRING_BEFORE: Duration = Duration::from_secs(60);
/// How far clocks may be apart when `exp` and `nbf` are judged.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(5);
/// How long a session lasts from its last use.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Sessions of one user; one more ends the oldest.
pub const SESSIONS_PER_USER_MAX: usize = 100;
/// Bytes of a session's `userAgent`; the rest is cut off.
pub const USER_AGENT_BYTES_MAX: usize = 256;
/// How long a used refresh token gives its successor again; later it ends the session.
pub const REFRESH_GRACE: Duration = Duration::from_secs(30);
/// The span in which failed sign-ins and registrations are counted.
pub const THROTTLE_WINDOW: Duration = Duration::from_secs(60);
/// Failed sign-ins for one name from one address within [`THROTTLE_WINDOW`]; then `RATE_LIMITED`.
pub const FAILED_SIGN_INS_PER_NAME_AND_ADDRESS_MAX: u32 = 10;
/// Failed sign-ins from one address within [`THROTTLE_WINDOW`]; then `RATE_LIMITED`.
pub const FAILED_SIGN_INS_PER_ADDRESS_MAX: u32 = 60;
/// Failed sign-ins for one name within [`THROTTLE_WINDOW`]; then `RATE_LIMITED`.
pub const FAILED_SIGN_INS_PER_NAME_MAX: u32 = 100;
/// Accounts registered from one address within [`THROTTLE_WINDOW`]; then `RATE_LIMITED`.
pub const REGISTRATIONS_PER_ADDRESS_MAX: u32 = 20;
/// Names and addresses counted per process; past it the oldest counts are forgotten.
pub const THROTTLE_KEYS_MAX: usize = 65_536;
/// Passwords that wait to be hashed; past it the address that has most of them gets `RATE_LIMITED`.
pub const PASSWORD_CHECK_QUEUE_MAX: usize = 64;
/// Difference between a client's clock and the fleet's within which an id's time counts as right; past
/// it a send is looked up in the store before it is appended.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(5);
/// How long typing is shown.
pub const TYPING_TTL: Duration = Duration::from_secs(6);
/// How often typing of one user in one room is passed on at most.
pub const TYPING_INTERVAL: Duration = Duration::from_secs(2);
/// How long after the last socket closed a user goes offline.
pub const OFFLINE_GRACE: Duration = Duration::from_secs(5);
/// Ids of users shown with a reaction; its count is exact beyond it.
pub const REACTION_USERS_SHOWN_MAX: usize = 50;
/// Holders of one reaction to one message that a reader keeps: those shown, and some to take their places
/// when the log's tail removes them.
pub const REACTION_HOLDERS_KEPT_MAX: usize = 64;
/// Events of a history page by default, and at most.
pub const PAGE_DEFAULT: usize = 50;
/// Entries of a page at most.
pub const PAGE_MAX: usize = 200;
/// Rooms that one call may ask for by id; more is `BAD_FRAME`.
pub const ROOMS_BY_ID_MAX: usize = 100;
/// Members of a page at most.
pub const MEMBERS_PAGE_MAX: usize = 1_000;
/// Bytes of an HTTP body; more is `CONTENT_TOO_LARGE`.
pub const BODY_BYTES_MAX: usize = 2 << 20;
/// Members a user may name when making a room.
pub const NEW_MEMBERS_MAX: usize = 200;
/// Members the host product may name in one call.
pub const NEW_MEMBERS_BY_HOST_MAX: usize = 10_000;
/// Up to so many members added in one call each have an event of their own.
pub const MEMBERS_WITH_OWN_EVENT_MAX: usize = 200;
/// Ids in one event that adds many members.
pub const MEMBERS_PER_EVENT_MAX: usize = 500;
/// Bytes of one event as the log keeps it.
pub const EVENT_BYTES_MAX: usize = 65_536;
/// Events that wait while the log is away, per gateway; past it the oldest is refused.
pub const APPEND_QUEUE_MAX: usize = 10_000;
/// Timeout of an append in the log's queue; then the sender gets a refusal.
pub const APPEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Time beyond [`APPEND_TIMEOUT`] that the log has to report an append's result. Then its sender
/// gets `UNCONFIRMED`.
pub const APPEND_GRACE: Duration = Duration::from_millis(500);
/// Time that the deletion of a user waits for the departures from the user's groups; then it is answered, and
/// the departures follow.
pub const DEPARTURE_WAIT: Duration = Duration::from_secs(2);
/// Interval at which the rooms role looks for departures that other processes noted.
pub const DEPARTURE_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Users that a departure worker takes out of their groups concurrently; the others wait.
pub const DEPARTURES_AT_ONCE_MAX: usize = 16;
/// Noted departures that one round of a departure worker takes up; the others wait for the next round.
pub const DEPARTURES_LISTED_MAX: usize = 1_000;
/// Timeout of a call to a back end; then it counts as away: `LOG_UNAVAILABLE` or `INTERNAL`.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of writing a batch of events to the store; then ingest waits for the store and writes it again.
pub const BATCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Events replayed by one `SUBSCRIBE`, unless configured.
pub const REPLAY_MAX: usize = 1_000;
/// Sends a second per user and gateway, unless configured.
pub const SENDS_PER_SECOND: u32 = 20;
/// Sends in one burst per user and gateway, unless configured.
pub const SEND_BURST: u32 = 40;
/// Calls a second that change rooms, members or profiles, per user and gateway; more is `RATE_LIMITED`.
pub const CHANGES_PER_SECOND: u32 = 10;
/// Such calls in one burst. A call that names n members counts as 1 + n/10.
pub const CHANGE_BURST: u32 = 100;
/// Connections of one user per gateway, unless configured.
pub const CONNECTIONS_PER_USER_MAX: usize = 20;
/// How often a token is looked at again, unless configured.
pub const TOKEN_REVALIDATION_INTERVAL: Duration = Duration::from_secs(300);
/// How long a user stays online without a sign of life, unless configured.
pub const PRESENCE_TTL: Duration = Duration::from_secs(90);
/// How long a gateway may take to leave, unless configured.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
