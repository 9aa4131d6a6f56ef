import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Timeline } from '../page/js/timeline.js';

const ts = '2026-01-01T00:00:00.000Z';
const messageEvent = (seq, more = {}) => ({ type: 'MESSAGE', roomId: 'R', seq, ts, messageId: `m${seq}`, senderId: 'bo', content: `text ${seq}`, ...more });
const edited = (seq, target, content) => ({ type: 'MESSAGE_EDITED', roomId: 'R', seq, ts, messageId: `m${target}`, senderId: 'bo', content });
const deleted = (seq, target) => ({ type: 'MESSAGE_DELETED', roomId: 'R', seq, ts, messageId: `m${target}`, senderId: 'bo' });
const reacted = (seq, target, senderId, emoji = '+', removed = false) => ({ type: 'REACTION', roomId: 'R', seq, ts, messageId: `m${target}`, senderId, emoji, removed });
const seqs = (timeline) => timeline.messages.map((message) => message.seq);
const text = (timeline, seq) => timeline.message(`m${seq}`).content;
/** The visible reactions of one message. */
const reactions = (timeline, seq) => [...timeline.message(`m${seq}`).reactions].map(([emoji, { count }]) => `${emoji}${count}`).join(' ');

test('timeline_orders_messages_by_seq_without_duplicates', () => {
  const timeline = new Timeline('ana');
  for (const seq of [5, 3, 9, 5, 7, 3]) timeline.apply(messageEvent(seq));
  assert.deepEqual(seqs(timeline), [3, 5, 7, 9]);
});

test('timeline_applies_the_newest_edit', () => {
  const timeline = new Timeline('ana');
  timeline.apply(messageEvent(1));
  timeline.apply(edited(4, 1, 'second'));
  timeline.apply(edited(3, 1, 'first'));
  assert.equal(text(timeline, 1), 'second');
  assert.equal(timeline.message('m1').edited, true);
});

test('deleted_message_keeps_its_seq_and_stays_deleted', () => {
  const timeline = new Timeline('ana');
  timeline.apply(messageEvent(1));
  timeline.apply(deleted(2, 1));
  timeline.apply(edited(3, 1, 'back'));
  timeline.apply(messageEvent(1));
  assert.deepEqual(seqs(timeline), [1]);
  assert.equal(timeline.message('m1').deleted, true);
  assert.equal(text(timeline, 1), '');
});

test('reactions_count_each_user_once', () => {
  const timeline = new Timeline('ana');
  timeline.apply(messageEvent(1));
  timeline.apply(reacted(2, 1, 'bo'));
  timeline.apply(reacted(2, 1, 'bo'));
  timeline.apply(reacted(3, 1, 'cy'));
  timeline.apply(reacted(4, 1, 'bo', '+', true));
  timeline.apply(reacted(3, 1, 'cy'));
  assert.equal(reactions(timeline, 1), '+1');
});

test('removal_by_an_unlisted_user_lowers_the_count', () => {
  const timeline = new Timeline('ana');
  timeline.insertPage(timeline.startPage(), { events: [messageEvent(1, { reactions: [{ emoji: '+', count: 80, userIds: ['bo'] }] })] });
  timeline.apply(reacted(9, 1, 'someone-unlisted', '+', true));
  assert.equal(reactions(timeline, 1), '+79');
});

test('older_page_is_inserted_before_newer_entries', () => {
  const timeline = new Timeline('ana');
  timeline.insertPage(timeline.startPage(), { events: [messageEvent(10), messageEvent(12)], hasMoreBefore: true });
  assert.equal(timeline.firstMessageSeq, 10);
  timeline.insertPage(timeline.startPage(), { events: [messageEvent(2), messageEvent(4, { deleted: true, content: undefined })], hasMoreBefore: false });
  assert.deepEqual(seqs(timeline), [2, 4, 10, 12]);
  assert.equal(timeline.hasMoreBefore, false);
  assert.equal(timeline.message('m4').deleted, true);
});

test('events_during_a_page_load_are_applied_on_top_of_the_page', () => {
  const timeline = new Timeline('ana');
  const load = timeline.startPage();
  timeline.apply(messageEvent(20));
  timeline.apply(edited(21, 5, 'new'));
  timeline.apply(reacted(22, 20, 'cy'));
  timeline.apply(deleted(23, 6));
  timeline.insertPage(load, { events: [messageEvent(5), messageEvent(6), messageEvent(20)], hasMoreBefore: false });
  assert.equal(text(timeline, 5), 'new');
  assert.equal(reactions(timeline, 20), '+1');
  assert.equal(timeline.message('m6').deleted, true);
});

test('page_that_contains_live_events_counts_them_once', () => {
  const timeline = new Timeline('ana');
  const load = timeline.startPage();
  timeline.apply(reacted(3, 1, 'cy'));
  timeline.insertPage(load, { events: [messageEvent(1, { content: 'new', editedAt: ts, reactions: [{ emoji: '+', count: 1, userIds: ['cy'] }] })] });
  assert.equal(reactions(timeline, 1), '+1');
  assert.equal(timeline.message('m1').edited, true);
});

test('catch_up_events_merge_with_live_events', () => {
  const timeline = new Timeline('ana');
  timeline.apply(messageEvent(1));
  const load = timeline.startPage();
  timeline.apply(edited(9, 5, 'newest'));
  timeline.apply(messageEvent(8));
  timeline.insertEvents(load, [messageEvent(5), edited(6, 5, 'older'), messageEvent(7)]);
  assert.deepEqual(seqs(timeline), [1, 5, 7, 8]);
  assert.equal(text(timeline, 5), 'newest');
});

test('acknowledged_message_is_not_duplicated_by_its_event', () => {
  const timeline = new Timeline('ana');
  timeline.apply(messageEvent(1));
  timeline.addPending({ clientMsgId: 'c1', content: 'mine', ts });
  assert.deepEqual(timeline.items.map((item) => item.kind), ['message', 'pending']);
  timeline.confirm({ type: 'ACK', roomId: 'R', messageId: 'm2', clientMsgId: 'c1', seq: 2, ts });
  timeline.apply(messageEvent(2, { senderId: 'ana', clientMsgId: 'c1', content: 'mine' }));
  assert.deepEqual(timeline.items.map((item) => [item.kind, item.content]), [['message', 'text 1'], ['message', 'mine']]);
});

test('pending_message_is_replaced_by_its_event_before_the_ack', () => {
  const timeline = new Timeline('ana');
  timeline.addPending({ clientMsgId: 'c1', content: 'mine', ts });
  timeline.apply(messageEvent(2, { senderId: 'ana', clientMsgId: 'c1', content: 'mine' }));
  timeline.confirm({ type: 'ACK', roomId: 'R', messageId: 'm2', clientMsgId: 'c1', seq: 2, ts });
  assert.deepEqual(timeline.items.map((item) => item.kind), ['message']);
});

test('same_client_msg_id_of_another_user_is_another_message', () => {
  const timeline = new Timeline('ana');
  timeline.addPending({ clientMsgId: 'c1', content: 'mine', ts });
  timeline.apply(messageEvent(2, { senderId: 'bo', clientMsgId: 'c1' }));
  assert.deepEqual(timeline.items.map((item) => item.kind), ['message', 'pending']);
});

test('failed_message_can_be_retried_or_discarded', () => {
  const timeline = new Timeline('ana');
  timeline.addPending({ clientMsgId: 'c1', content: 'mine', ts });
  timeline.fail('c1', 'no');
  assert.equal(timeline.items[0].status, 'failed');
  assert.equal(timeline.retry('c1').status, 'sending');
  timeline.discard('c1');
  assert.deepEqual(timeline.items, []);
});

test('trim_keeps_the_newest_entries_and_marks_older_ones', () => {
  const timeline = new Timeline('ana');
  for (let seq = 1; seq <= 50; seq += 1) timeline.apply(messageEvent(seq));
  timeline.hasMoreBefore = false;
  timeline.trim(10);
  assert.deepEqual(seqs(timeline), [41, 42, 43, 44, 45, 46, 47, 48, 49, 50]);
  assert.equal(timeline.hasMoreBefore, true);
});
