import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outbox } from '../page/js/outbox.js';
import { Room } from '../page/js/room.js';

const ts = '2026-01-01T00:00:00.000Z';
const messageEvent = (seq, more = {}) => ({ type: 'MESSAGE', roomId: 'R', seq, ts, messageId: `m${seq}`, senderId: 'bo', content: `text ${seq}`, ...more });
const flushMicrotasks = async () => { for (let turn = 0; turn < 30; turn += 1) await Promise.resolve(); };

/** A room whose server is a list of events; it records history requests. */
function createRoom(t, log, more = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const requests = [];
  const api = {
    async history(roomId, { before, after, limit }) {
      requests.push({ before, after });
      if (after !== undefined) {
        const events = log.filter((event) => event.seq > after);
        return { events: events.slice(0, limit), head: log.at(-1)?.seq ?? 0, hasMoreBefore: true, hasMoreAfter: events.length > limit };
      }
      const events = log.filter((event) => event.type === 'MESSAGE' && (before === undefined || event.seq < before));
      return { events: events.slice(-limit), head: log.at(-1)?.seq ?? 0, hasMoreBefore: events.length > limit, hasMoreAfter: false };
    },
    members: async () => [{ userId: 'ana', role: 'OWNER', marks: { read: 0, delivered: 0 } }, { userId: 'bo', role: 'MEMBER', marks: { read: 0, delivered: 0 } }],
    ...more.api,
  };
  const client = { subscribe() {}, unsubscribe() {}, lastSeq: () => undefined, markRead() {}, mintId: () => 'c1', ...more.client };
  const outbox = new Outbox({ userId: 'ana' });
  outbox.start(client);
  const room = new Room({ info: { roomId: 'R', kind: 'GROUP', createdAt: ts, head: 0, memberCount: 2 }, selfId: 'ana', client, api, outbox });
  outbox.on('acknowledged', ({ unsent, ack }) => room.acknowledged(unsent, ack));
  outbox.on('failed', (unsent) => room.failed(unsent));
  room.open();
  return { room, requests };
}

const seqs = (room) => room.timeline.messages.map((message) => message.seq);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('room_subscribes_before_it_reads_history_and_shows_events_once', async (t) => {
  const log = range(1, 3).map((seq) => messageEvent(seq));
  const { room } = createRoom(t, log);
  room.onSubscribed({ recovered: true, missedAfter: undefined });
  room.onEvent(messageEvent(4));
  room.onEvent(messageEvent(3));
  await flushMicrotasks();
  assert.equal(room.state, 'ready');
  assert.deepEqual(seqs(room), [1, 2, 3, 4]);
});

test('room_pages_through_history_when_the_replay_is_refused', async (t) => {
  const log = range(1, 3).map((seq) => messageEvent(seq));
  const { room, requests } = createRoom(t, log);
  room.onSubscribed({ recovered: true, missedAfter: undefined });
  await flushMicrotasks();
  log.push(...range(4, 700).map((seq) => messageEvent(seq)));
  room.onSubscribed({ recovered: false, missedAfter: 3 });
  room.onEvent(messageEvent(701));
  await flushMicrotasks();
  assert.deepEqual(seqs(room), range(1, 701));
  assert.deepEqual(requests.filter(({ after }) => after !== undefined).map(({ after }) => after), [3, 203, 403, 603]);
});

test('room_emits_the_events_it_reads_from_history', async (t) => {
  const log = range(1, 3).map((seq) => messageEvent(seq));
  const { room } = createRoom(t, log);
  const read = [];
  room.on('history', (events) => read.push(events.map(({ seq }) => seq)));
  room.onSubscribed({ recovered: true, missedAfter: undefined });
  await flushMicrotasks();
  log.push(messageEvent(4));
  room.onSubscribed({ recovered: false, missedAfter: 3 });
  await flushMicrotasks();
  room.onSubscribed({ recovered: false, missedAfter: undefined });
  await flushMicrotasks();
  assert.deepEqual(read, [[1, 2, 3], [4], [1, 2, 3, 4]]);
});

test('room_reloads_its_newest_page_when_it_missed_too_many_events', async (t) => {
  const log = range(1, 3).map((seq) => messageEvent(seq));
  const { room } = createRoom(t, log);
  room.onSubscribed({ recovered: true, missedAfter: undefined });
  await flushMicrotasks();
  log.push(...range(4, 5000).map((seq) => messageEvent(seq)));
  room.onSubscribed({ recovered: false, missedAfter: 3 });
  await flushMicrotasks();
  assert.deepEqual(seqs(room), range(4951, 5000));
  assert.equal(room.timeline.hasMoreBefore, true);
});

test('room_retries_history_until_it_succeeds', async (t) => {
  let down = true;
  const log = [messageEvent(1)];
  const { room } = createRoom(t, log, { api: { async history() { if (down) throw Object.assign(new Error('no'), { status: 0 }); return { events: log, hasMoreBefore: false }; } } });
  room.onSubscribed({ recovered: true, missedAfter: undefined });
  await flushMicrotasks();
  assert.equal(room.caughtUp, false);
  down = false;
  t.mock.timers.tick(1500);
  await flushMicrotasks();
  assert.equal(room.caughtUp, true);
  assert.deepEqual(seqs(room), [1]);
});

test('room_loads_the_page_before_its_oldest_message', async (t) => {
  const { room, requests } = createRoom(t, range(1, 80).map((seq) => messageEvent(seq)));
  room.onSubscribed({ recovered: true, missedAfter: undefined });
  await flushMicrotasks();
  await room.loadBefore();
  assert.equal(requests.at(-1).before, 31);
  assert.deepEqual(seqs(room), range(1, 80));
  assert.equal(room.timeline.hasMoreBefore, false);
});

test('typing_ends_after_six_seconds_or_with_the_message', async (t) => {
  const { room } = createRoom(t, []);
  room.onTyping('bo');
  room.onTyping('ana');
  assert.deepEqual(room.typingUserIds, ['bo']);
  t.mock.timers.tick(6_000);
  assert.deepEqual(room.typingUserIds, []);
  room.onTyping('bo');
  room.onEvent(messageEvent(1));
  assert.deepEqual(room.typingUserIds, []);
});

test('readers_follow_read_markers_and_sent_messages', async (t) => {
  const { room } = createRoom(t, []);
  await flushMicrotasks();
  room.onReceipt({ userId: 'bo', read: 5 });
  room.onReceipt({ userId: 'bo', read: 3 });
  assert.deepEqual(room.readersOf(5), ['bo']);
  assert.deepEqual(room.readersOf(6), []);
  room.onEvent(messageEvent(9));
  assert.deepEqual(room.readersOf(9), ['bo']);
});

test('rejected_message_is_marked_failed_and_resent_under_its_id', async (t) => {
  const sent = [];
  let refuse = true;
  const { room } = createRoom(t, [], { client: { async enqueue(message) { sent.push(message.clientMsgId); if (refuse) throw new Error('blocked'); return { roomId: 'R', messageId: 'm1', clientMsgId: message.clientMsgId, seq: 1, ts }; } } });
  room.send('hello');
  await flushMicrotasks();
  assert.equal(room.timeline.items[0].status, 'failed');
  refuse = false;
  room.retry('c1');
  await flushMicrotasks();
  assert.deepEqual(sent, ['c1', 'c1']);
  assert.deepEqual(room.timeline.items.map(({ kind, content }) => [kind, content]), [['message', 'hello']]);
});
