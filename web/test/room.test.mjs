import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outbox } from '../page/js/outbox.js';
import { Room } from '../page/js/room.js';

const ts = '2026-01-01T00:00:00.000Z';
const messageEvent = (seq, more = {}) => ({ type: 'MESSAGE', roomId: 'R', seq, ts, messageId: `m${seq}`, senderId: 'bo', content: `text ${seq}`, ...more });
const flushMicrotasks = async () => { for (let turn = 0; turn < 30; turn += 1) await Promise.resolve(); };

/** A room whose server is a list of events; it records history requests. */
function room(t, log, more = {}) {
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
  const made = new Room({ info: { roomId: 'R', kind: 'GROUP', createdAt: ts, head: 0, memberCount: 2 }, selfId: 'ana', client, api, outbox });
  outbox.on('acknowledged', ({ unsent, ack }) => made.acknowledged(unsent, ack));
  outbox.on('failed', (unsent) => made.failed(unsent));
  made.open();
  return { made, requests };
}

const seqs = (made) => made.timeline.messages.map((message) => message.seq);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('room_subscribes_before_it_reads_history_and_shows_events_once', async (t) => {
  const log = range(1, 3).map((seq) => messageEvent(seq));
  const { made } = room(t, log);
  made.onSubscribed({ recovered: true, missedAfter: undefined });
  made.onEvent(messageEvent(4));
  made.onEvent(messageEvent(3));
  await flushMicrotasks();
  assert.equal(made.state, 'ready');
  assert.deepEqual(seqs(made), [1, 2, 3, 4]);
});

test('room_pages_through_history_when_the_replay_is_refused', async (t) => {
  const log = range(1, 3).map((seq) => messageEvent(seq));
  const { made, requests } = room(t, log);
  made.onSubscribed({ recovered: true, missedAfter: undefined });
  await flushMicrotasks();
  log.push(...range(4, 700).map((seq) => messageEvent(seq)));
  made.onSubscribed({ recovered: false, missedAfter: 3 });
  made.onEvent(messageEvent(701));
  await flushMicrotasks();
  assert.deepEqual(seqs(made), range(1, 701));
  assert.deepEqual(requests.filter(({ after }) => after !== undefined).map(({ after }) => after), [3, 203, 403, 603]);
});

test('room_emits_the_events_it_reads_from_history', async (t) => {
  const log = range(1, 3).map((seq) => messageEvent(seq));
  const { made } = room(t, log);
  const read = [];
  made.on('history', (events) => read.push(events.map(({ seq }) => seq)));
  made.onSubscribed({ recovered: true, missedAfter: undefined });
  await flushMicrotasks();
  log.push(messageEvent(4));
  made.onSubscribed({ recovered: false, missedAfter: 3 });
  await flushMicrotasks();
  made.onSubscribed({ recovered: false, missedAfter: undefined });
  await flushMicrotasks();
  assert.deepEqual(read, [[1, 2, 3], [4], [1, 2, 3, 4]]);
});

test('room_reloads_its_newest_page_when_it_missed_too_many_events', async (t) => {
  const log = range(1, 3).map((seq) => messageEvent(seq));
  const { made } = room(t, log);
  made.onSubscribed({ recovered: true, missedAfter: undefined });
  await flushMicrotasks();
  log.push(...range(4, 5000).map((seq) => messageEvent(seq)));
  made.onSubscribed({ recovered: false, missedAfter: 3 });
  await flushMicrotasks();
  assert.deepEqual(seqs(made), range(4951, 5000));
  assert.equal(made.timeline.hasMoreBefore, true);
});

test('room_retries_history_until_it_succeeds', async (t) => {
  let down = true;
  const log = [messageEvent(1)];
  const { made } = room(t, log, { api: { async history() { if (down) throw Object.assign(new Error('no'), { status: 0 }); return { events: log, hasMoreBefore: false }; } } });
  made.onSubscribed({ recovered: true, missedAfter: undefined });
  await flushMicrotasks();
  assert.equal(made.caughtUp, false);
  down = false;
  t.mock.timers.tick(1500);
  await flushMicrotasks();
  assert.equal(made.caughtUp, true);
  assert.deepEqual(seqs(made), [1]);
});

test('room_loads_the_page_before_its_oldest_message', async (t) => {
  const { made, requests } = room(t, range(1, 80).map((seq) => messageEvent(seq)));
  made.onSubscribed({ recovered: true, missedAfter: undefined });
  await flushMicrotasks();
  await made.loadBefore();
  assert.equal(requests.at(-1).before, 31);
  assert.deepEqual(seqs(made), range(1, 80));
  assert.equal(made.timeline.hasMoreBefore, false);
});

test('typing_ends_after_six_seconds_or_with_the_message', async (t) => {
  const { made } = room(t, []);
  made.onTyping('bo');
  made.onTyping('ana');
  assert.deepEqual(made.typingUserIds, ['bo']);
  t.mock.timers.tick(6_000);
  assert.deepEqual(made.typingUserIds, []);
  made.onTyping('bo');
  made.onEvent(messageEvent(1));
  assert.deepEqual(made.typingUserIds, []);
});

test('readers_follow_read_markers_and_sent_messages', async (t) => {
  const { made } = room(t, []);
  await flushMicrotasks();
  made.onReceipt({ userId: 'bo', read: 5 });
  made.onReceipt({ userId: 'bo', read: 3 });
  assert.deepEqual(made.readersOf(5), ['bo']);
  assert.deepEqual(made.readersOf(6), []);
  made.onEvent(messageEvent(9));
  assert.deepEqual(made.readersOf(9), ['bo']);
});

test('rejected_message_is_marked_failed_and_resent_under_its_id', async (t) => {
  const sent = [];
  let refuse = true;
  const { made } = room(t, [], { client: { async enqueue(message) { sent.push(message.clientMsgId); if (refuse) throw new Error('blocked'); return { roomId: 'R', messageId: 'm1', clientMsgId: message.clientMsgId, seq: 1, ts }; } } });
  made.send('hello');
  await flushMicrotasks();
  assert.equal(made.timeline.items[0].status, 'failed');
  refuse = false;
  made.retry('c1');
  await flushMicrotasks();
  assert.deepEqual(sent, ['c1', 'c1']);
  assert.deepEqual(made.timeline.items.map(({ kind, content }) => [kind, content]), [['message', 'hello']]);
});
