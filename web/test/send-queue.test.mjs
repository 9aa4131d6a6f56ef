import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACK_TIMEOUT_MS, QUEUED_PER_ROOM_MAX, SendQueue } from '../page/js/send-queue.js';
import { settle } from '../mock/socket.mjs';

/** A queue on paused timers, and the frames it sent. */
function createQueue(t, { online = true } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const sent = [];
  const queue = new SendQueue({ send: (frame) => (sent.push(frame), true), random: () => 0.5 });
  if (online) queue.online();
  return { queue, sent };
}

const push = (queue, clientMsgId, roomId = 'R1') => queue.push({ type: 'SEND_MESSAGE', roomId, clientMsgId, content: clientMsgId });
const ack = (frame, more = {}) => ({ type: 'ACK', ref: frame.ref, roomId: frame.roomId, clientMsgId: frame.clientMsgId, messageId: `m-${frame.clientMsgId}`, seq: 1, ts: '', ...more });
const idsOf = (sent) => sent.map((frame) => frame.clientMsgId);

test('send_queue_has_one_frame_in_flight_per_room', async (t) => {
  const { queue, sent } = createQueue(t);
  const first = push(queue, 'a');
  push(queue, 'b');
  push(queue, 'c', 'R2');
  assert.deepEqual(idsOf(sent), ['a', 'c']);
  queue.acknowledge(ack(sent[0]));
  assert.equal((await first).messageId, 'm-a');
  assert.deepEqual(idsOf(sent), ['a', 'c', 'b']);
});

test('send_queue_resends_unacknowledged_frames_in_order_after_a_reconnect', async (t) => {
  const { queue, sent } = createQueue(t);
  push(queue, 'a');
  push(queue, 'b');
  queue.offline();
  push(queue, 'c');
  assert.deepEqual(idsOf(sent), ['a']);
  queue.online();
  while (queue.length > 0) queue.acknowledge(ack(sent.at(-1), { duplicate: true }));
  assert.deepEqual(idsOf(sent), ['a', 'a', 'b', 'c']);
});

test('send_queue_waits_for_the_retry_delay_of_an_error', async (t) => {
  const { queue, sent } = createQueue(t);
  push(queue, 'a');
  push(queue, 'b');
  queue.reject({ type: 'ERROR', ref: sent[0].ref, code: 'RATE_LIMITED', message: '', retryable: true, retryAfterMs: 2000 });
  t.mock.timers.tick(1999);
  assert.deepEqual(idsOf(sent), ['a']);
  t.mock.timers.tick(1);
  assert.deepEqual(idsOf(sent), ['a', 'a']);
});

test('send_queue_continues_after_a_final_error', async (t) => {
  const { queue, sent } = createQueue(t);
  const first = push(queue, 'a');
  push(queue, 'b');
  queue.reject({ type: 'ERROR', clientMsgId: 'a', roomId: 'R1', code: 'BLOCKED', message: 'no', retryable: false });
  await assert.rejects(first, { code: 'BLOCKED' });
  assert.deepEqual(idsOf(sent), ['a', 'b']);
});

test('send_queue_resends_after_the_ack_timeout', async (t) => {
  const { queue, sent } = createQueue(t);
  push(queue, 'a');
  t.mock.timers.tick(ACK_TIMEOUT_MS);
  assert.deepEqual(idsOf(sent), ['a', 'a']);
});

test('send_queue_ignores_unrelated_answers', async (t) => {
  const { queue, sent } = createQueue(t);
  push(queue, 'a');
  assert.equal(queue.acknowledge(ack(sent[0], { ref: 'other' })), false);
  assert.equal(queue.reject({ type: 'ERROR', code: 'BAD_FRAME', retryable: false }), false);
  assert.equal(queue.length, 1);
});

test('send_queue_rejects_when_full', async (t) => {
  const { queue } = createQueue(t, { online: false });
  for (let index = 0; index < QUEUED_PER_ROOM_MAX; index += 1) push(queue, `m${index}`).catch(() => {});
  await assert.rejects(push(queue, 'one-more'), { code: 'QUEUE_FULL' });
  queue.clear();
  await settle();
  assert.equal(queue.length, 0);
});

test('send_queue_places_restored_frames_before_newer_ones', async (t) => {
  const { queue, sent } = createQueue(t);
  const pushAt = (clientMsgId, order) => queue.push({ type: 'SEND_MESSAGE', roomId: 'R1', clientMsgId, content: '' }, order).catch(() => {});
  void pushAt('on its way', 20);
  void pushAt('written since', 30);
  void pushAt('restored second', 11);
  void pushAt('restored first', 10);
  while (queue.length > 0) queue.acknowledge(ack(sent.at(-1)));
  assert.deepEqual(idsOf(sent), ['on its way', 'restored first', 'restored second', 'written since']);
});
