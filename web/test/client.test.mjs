import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { closePolicy } from '../page/js/reconnect-policy.js';
import { RoomcastClient } from '../page/js/client.js';
import { MockSocket, settle } from '../mock/socket.mjs';

const R = 'R1';

/** A client on paused timers; `connected` ones have received WELCOME. */
async function createClient(t, { connected = true, tokens } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_700_000_000_000 });
  MockSocket.reset();
  const requests = [];
  const client = new RoomcastClient({
    url: 'ws://server/v1/ws',
    tokens: tokens ?? { get: async (stale) => (requests.push(stale), `token-${requests.length}`) },
    WebSocket: MockSocket,
    random: () => 0.5,
  });
  client.requests = requests;
  client.seen = [];
  for (const type of ['state', 'event', 'subscribed', 'unsubscribed', 'caught-up', 'signed-out', 'notification', 'warning', 'error']) {
    client.on(type, (detail) => client.seen.push([type, detail]));
  }
  client.start();
  await settle();
  if (connected) MockSocket.last.welcome();
  return client;
}

const eventsOf = (client) => client.seen.filter(([type]) => type === 'event').map(([, frame]) => frame.seq);
const message = (seq, prev, more = {}) => ({ type: 'MESSAGE', roomId: R, seq, prev, ts: '2026-01-01T00:00:00.000Z', messageId: `m${seq}`, senderId: 'bo', content: 'x', ...more });

/** Subscribes and answers like the server. */
function subscribed(client, { after, head = 10 } = {}) {
  client.subscribe(R, after);
  const { ref } = MockSocket.last.sentOf('SUBSCRIBE').at(-1);
  MockSocket.last.receive({ type: 'SUBSCRIBED', roomId: R, ref, head, recovered: true, after: after ?? head });
}

test('client_sends_the_token_as_second_subprotocol', async (t) => {
  await createClient(t, { connected: false });
  assert.deepEqual(MockSocket.last.protocols, ['roomcast.v1', 'bearer.token-1']);
});

test('client_reconnects_after_one_and_a_half_silent_heartbeats', async (t) => {
  const client = await createClient(t);
  const first = MockSocket.last;
  t.mock.timers.tick(22_000);
  assert.equal(client.state.phase, 'online');
  for (let step = 0; step < 20; step += 1) t.mock.timers.tick(250);
  await settle();
  assert.notEqual(MockSocket.last, first);
  assert.equal(first.closedWith, 1000);
});

test('client_pings_while_idle', async (t) => {
  await createClient(t);
  for (let beat = 0; beat < 4; beat += 1) {
    t.mock.timers.tick(15_000);
    MockSocket.last.receive({ type: 'HEARTBEAT' });
  }
  assert.ok(MockSocket.last.sentOf('PING').length >= 3);
  assert.equal(MockSocket.instances.length, 1);
});

test('client_backs_off_with_full_jitter_up_to_a_cap', async (t) => {
  const client = await createClient(t, { connected: false });
  const delays = [];
  for (let attempt = 0; attempt < 9; attempt += 1) {
    MockSocket.last.closeByServer(1006);
    delays.push(client.state.retryAt - Date.now());
    t.mock.timers.tick(delays.at(-1));
    await settle();
  }
  assert.deepEqual(delays, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
});

test('client_reconnects_after_the_delay_of_RECONNECT', async (t) => {
  const client = await createClient(t);
  MockSocket.last.receive({ type: 'RECONNECT', afterMs: 3000, reason: 'draining' });
  t.mock.timers.tick(1000);
  MockSocket.last.closeByServer(1001);
  assert.equal(client.state.phase, 'waiting');
  client.reconnectNow();
  t.mock.timers.tick(1999);
  await settle();
  assert.equal(MockSocket.instances.length, 1);
  t.mock.timers.tick(1);
  await settle();
  assert.equal(MockSocket.instances.length, 2);
});

test('client_leaves_a_draining_gateway_that_does_not_close', async (t) => {
  await createClient(t);
  const first = MockSocket.last;
  first.receive({ type: 'RECONNECT', afterMs: 500, reason: 'draining' });
  t.mock.timers.tick(500);
  t.mock.timers.tick(1);
  await settle();
  assert.equal(first.closedWith, 1000);
  assert.equal(MockSocket.instances.length, 2);
});

for (const code of [1002, 1003, 1007, 4400, 4403]) {
  test(`client_stops_with_a_message_after_close_${code}`, async (t) => {
    const client = await createClient(t);
    MockSocket.last.closeByServer(code);
    t.mock.timers.tick(120_000);
    await settle();
    assert.equal(client.state.phase, 'stopped');
    assert.ok(client.state.message.length > 10);
    assert.equal(MockSocket.instances.length, 1);
  });
}

for (const code of [1001, 1006, 1009, 4408, 4500, 4508]) {
  test(`client_reconnects_after_close_${code}`, async (t) => {
    await createClient(t);
    MockSocket.last.closeByServer(code);
    t.mock.timers.tick(500);
    await settle();
    assert.equal(MockSocket.instances.length, 2);
  });
}

for (const code of [4409, 4429]) {
  test(`client_waits_at_least_ten_seconds_after_close_${code}`, async (t) => {
    await createClient(t);
    MockSocket.last.closeByServer(code);
    t.mock.timers.tick(9_999);
    await settle();
    assert.equal(MockSocket.instances.length, 1);
    t.mock.timers.tick(2_000);
    await settle();
    assert.equal(MockSocket.instances.length, 2);
  });
}

/**
 * Close code → the client's policy by the contract's table (§6). After 1009 the client does not repeat the
 * oversized frame: it fails the largest frame in flight and reconnects for the others.
 */
const CLOSE_TABLE = new Map([[1001, 'soon'], [1002, 'never'], [1003, 'never'], [1007, 'never'], [1009, 'soon'], [4400, 'never'], [4401, 'new-token'], [4403, 'never'], [4408, 'soon'], [4409, 'later'], [4429, 'later'], [4500, 'soon'], [4508, 'soon']]);

test('client_follows_the_close_table_for_every_code_the_gateway_sends', async () => {
  const source = await readFile(new URL('../../protocol/src/close.rs', import.meta.url), 'utf8');
  const sent = [...source.matchAll(/=> (\d{4}),/g)].map(([, code]) => Number(code));
  assert.deepEqual(sent.sort(), [...CLOSE_TABLE.keys()]);
  for (const code of sent) assert.equal(closePolicy(code).reconnect, CLOSE_TABLE.get(code), String(code));
});

test('client_reconnects_with_a_new_token_after_4401', async (t) => {
  const client = await createClient(t);
  MockSocket.last.closeByServer(4401);
  t.mock.timers.tick(0);
  await settle();
  assert.deepEqual(client.requests, [undefined, 'token-1']);
  assert.deepEqual(MockSocket.last.protocols, ['roomcast.v1', 'bearer.token-2']);
});

test('client_signs_out_when_the_session_is_rejected', async (t) => {
  let requests = 0;
  const tokens = { get: async () => { if (requests++ === 0) return 'a'; throw Object.assign(new Error('over'), { code: 'UNAUTHORIZED' }); } };
  const client = await createClient(t, { tokens });
  MockSocket.last.closeByServer(4401);
  t.mock.timers.tick(0);
  await settle();
  assert.equal(client.state.phase, 'stopped');
  assert.ok(client.seen.some(([type]) => type === 'signed-out'));
});

test('client_refreshes_the_token_after_two_failed_handshakes', async (t) => {
  const client = await createClient(t, { connected: false });
  for (let attempt = 0; attempt < 2; attempt += 1) {
    MockSocket.last.closeByServer(1006);
    t.mock.timers.tick(1000);
    await settle();
  }
  assert.deepEqual(client.requests, [undefined, undefined, 'token-2']);
});

test('client_refreshes_an_expiring_token_on_the_same_connection', async (t) => {
  await createClient(t);
  MockSocket.last.receive({ type: 'TOKEN_EXPIRING', expiresAt: '2026-01-01T00:00:00.000Z' });
  await settle();
  assert.deepEqual(MockSocket.last.sentOf('AUTH'), [{ type: 'AUTH', token: 'token-2' }]);
  assert.equal(MockSocket.instances.length, 1);
});

test('client_resubscribes_from_the_last_seq_after_a_reconnect', async (t) => {
  const client = await createClient(t);
  subscribed(client);
  MockSocket.last.receive(message(12, 10));
  MockSocket.last.closeByServer(1006);
  t.mock.timers.tick(500);
  await settle();
  MockSocket.last.welcome();
  assert.equal(MockSocket.last.sentOf('SUBSCRIBE')[0].after, 12);
});

test('client_resubscribes_at_a_gap_and_emits_each_event_once', async (t) => {
  const client = await createClient(t);
  subscribed(client);
  const socket = MockSocket.last;
  socket.receive(message(11, 10));
  socket.receive(message(15, 13));
  socket.receive(message(16, 15));
  const { after, ref } = socket.sentOf('SUBSCRIBE').at(-1);
  assert.equal(after, 11);
  assert.deepEqual(eventsOf(client), [11]);
  socket.receive({ type: 'SUBSCRIBED', roomId: R, ref, head: 16, recovered: true, after });
  for (const [seq, prev] of [[13, 11], [15, 13], [16, 15], [16, 15]]) socket.receive(message(seq, prev));
  assert.deepEqual(eventsOf(client), [11, 13, 15, 16]);
  assert.equal(client.caughtUp, true);
});

test('client_accepts_an_event_whose_prev_is_older_than_the_last', async (t) => {
  const client = await createClient(t);
  subscribed(client);
  MockSocket.last.receive(message(11, 0));
  MockSocket.last.receive(message(14, 3));
  assert.deepEqual(eventsOf(client), [11, 14]);
  assert.equal(MockSocket.last.sentOf('SUBSCRIBE').length, 1);
});

test('client_advances_past_an_event_of_unknown_type', async (t) => {
  const client = await createClient(t);
  subscribed(client);
  MockSocket.last.receive({ type: 'POLL_OPENED', roomId: R, seq: 11, prev: 10 });
  MockSocket.last.receive(message(12, 11));
  assert.deepEqual(eventsOf(client), [11, 12]);
});

test('unrecovered_subscription_reports_the_last_known_seq', async (t) => {
  const client = await createClient(t);
  client.subscribe(R, 4);
  const { ref } = MockSocket.last.sentOf('SUBSCRIBE')[0];
  MockSocket.last.receive({ type: 'SUBSCRIBED', roomId: R, ref, head: 5000, recovered: false, after: 5000 });
  MockSocket.last.receive(message(5001, 5000));
  const [, detail] = client.seen.find(([type]) => type === 'subscribed');
  assert.deepEqual([detail.recovered, detail.missedAfter, detail.head], [false, 4, 5000]);
  assert.deepEqual(eventsOf(client), [5001]);
});

test('client_emits_unsubscribed_when_the_user_is_removed', async (t) => {
  const client = await createClient(t);
  subscribed(client);
  MockSocket.last.receive({ type: 'UNSUBSCRIBED', roomId: R });
  assert.ok(client.seen.some(([type, detail]) => type === 'unsubscribed' && detail.code === 'REMOVED'));
});

test('resubscribing_immediately_is_not_reported_as_a_removal', async (t) => {
  const client = await createClient(t);
  subscribed(client);
  client.unsubscribe(R);
  const { ref } = MockSocket.last.sentOf('UNSUBSCRIBE')[0];
  subscribed(client);
  MockSocket.last.receive({ type: 'UNSUBSCRIBED', roomId: R, ref });
  assert.ok(!client.seen.some(([type]) => type === 'unsubscribed'));
});

test('client_sends_typing_at_most_every_three_seconds', async (t) => {
  const client = await createClient(t);
  for (let key = 0; key < 10; key += 1) client.typing(R);
  assert.equal(MockSocket.last.sentOf('TYPING').length, 1);
  t.mock.timers.tick(3_000);
  client.typing(R);
  assert.equal(MockSocket.last.sentOf('TYPING').length, 2);
});

test('client_coalesces_read_markers_and_resends_them_after_a_reconnect', async (t) => {
  const client = await createClient(t);
  client.markRead(R, 5);
  client.markRead(R, 9);
  client.markRead(R, 7);
  t.mock.timers.tick(250);
  assert.deepEqual(MockSocket.last.sentOf('MARK'), [{ type: 'MARK', roomId: R, read: 9 }]);
  MockSocket.last.closeByServer(1006);
  t.mock.timers.tick(500);
  await settle();
  MockSocket.last.welcome();
  assert.deepEqual(MockSocket.last.sentOf('MARK'), [{ type: 'MARK', roomId: R, read: 9 }]);
});

test('client_resends_watched_users_after_a_reconnect', async (t) => {
  const client = await createClient(t);
  client.watchPresence(['bo', 'cy']);
  client.watchPresence(['bo', 'cy']);
  assert.equal(MockSocket.last.sentOf('WATCH_PRESENCE').length, 1);
  MockSocket.last.closeByServer(1006);
  t.mock.timers.tick(500);
  await settle();
  MockSocket.last.welcome();
  assert.deepEqual(MockSocket.last.sentOf('WATCH_PRESENCE')[0].userIds, ['bo', 'cy']);
});

test('client_ignores_unknown_frames_and_malformed_json', async (t) => {
  const client = await createClient(t);
  MockSocket.last.receive({ type: 'FIREWORKS', anything: true });
  MockSocket.last.onmessage({ data: '{"type":' });
  assert.equal(client.state.phase, 'online');
});

const send = (client, clientMsgId, content) => client.enqueue({ type: 'SEND_MESSAGE', roomId: R, clientMsgId, content });

test('client_rejects_an_oversized_frame_before_the_socket_and_sends_the_next', async (t) => {
  const client = await createClient(t);
  await assert.rejects(send(client, 'a', 'x'.repeat(70_000)), { code: 'CONTENT_TOO_LARGE' });
  await assert.rejects(send(client, 'b', '\u0001'.repeat(16_000)), { code: 'CONTENT_TOO_LARGE' });
  void send(client, 'c', 'short').catch(() => {});
  assert.deepEqual(MockSocket.last.sentOf('SEND_MESSAGE').map(({ clientMsgId }) => clientMsgId), ['c']);
});

test('client_applies_the_limits_of_welcome', async (t) => {
  const client = await createClient(t, { connected: false });
  MockSocket.last.welcome({ limits: { contentBytesMax: 10, frameBytesMax: 65_536, watchedUsersMax: 200 } });
  await assert.rejects(send(client, 'a', 'eleven char'), { code: 'CONTENT_TOO_LARGE' });
});

test('client_rejects_the_largest_frame_in_flight_after_1009_and_resends_the_others', async (t) => {
  const client = await createClient(t);
  const large = send(client, 'large', 'x'.repeat(9_000));
  void client.enqueue({ type: 'SEND_MESSAGE', roomId: 'R2', clientMsgId: 'small', content: 'y' }).catch(() => {});
  MockSocket.last.closeByServer(1009);
  await assert.rejects(large, { code: 'CONTENT_TOO_LARGE' });
  t.mock.timers.tick(500);
  await settle();
  MockSocket.last.welcome();
  assert.deepEqual(MockSocket.last.sentOf('SEND_MESSAGE').map(({ clientMsgId }) => clientMsgId), ['small']);
});

test('client_creates_ids_on_the_server_clock', async (t) => {
  const client = await createClient(t, { connected: false });
  const mintedAt = () => parseInt(client.mintId().replaceAll('-', '').slice(0, 12), 16);
  MockSocket.last.welcome({ serverTime: new Date(Date.now() - 3_600_000).toISOString() });
  assert.equal(mintedAt(), Date.now() - 3_600_000);
  MockSocket.last.receive({ type: 'PONG', serverTime: new Date(Date.now() + 5_000).toISOString() });
  assert.equal(mintedAt(), Date.now() + 5_000);
});
