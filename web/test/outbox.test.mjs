import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryStore, openStore } from '../page/js/local-store.js';
import { Outbox } from '../page/js/outbox.js';

const flushMicrotasks = async () => { for (let turn = 0; turn < 50; turn += 1) await Promise.resolve(); };
const ts = new Date().toISOString();
const message = (clientMsgId, roomId = 'R') => ({ roomId, clientMsgId, content: `text ${clientMsgId}` });

/** The Web Locks of one browser: a tab's locks end with the tab. */
class Browser {
  held = new Set();

  locks() {
    const { held } = this;
    return {
      async request(name, work) {
        held.add(name);
        await work();
        held.delete(name);
      },
      query: async () => ({ held: [...held].map((name) => ({ name })), pending: [] }),
    };
  }
}

/** A connection that answers by clientMsgId as configured; frames without an answer stay pending. */
function connection(answers = {}) {
  const sent = [];
  let next = 0;
  return {
    sent,
    mintId: () => `minted-${next++}`,
    enqueue: (frame) => {
      sent.push(frame);
      const answer = answers[frame.clientMsgId];
      if (answer === undefined) return new Promise(() => {});
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ type: 'ACK', roomId: frame.roomId, clientMsgId: frame.clientMsgId, messageId: 'm', seq: 1, ts, ...answer });
    },
  };
}
const refused = (code) => Object.assign(new Error(code), { code });
const ids = (sent) => sent.map(({ clientMsgId }) => clientMsgId);

test('outbox_resends_frames_of_an_earlier_page_in_order_under_their_ids', async () => {
  const store = new MemoryStore();
  const before = await Outbox.open('ana', { store });
  before.start(connection());
  before.send(message('a'), ts);
  before.send(message('b', 'R2'), ts);
  before.send(message('c'), ts);
  await flushMicrotasks();
  const after = await Outbox.open('ana', { store });
  const line = connection({ a: {}, b: {}, c: {} });
  after.start(line);
  assert.deepEqual(ids(line.sent), ['a', 'b', 'c']);
  await flushMicrotasks();
  assert.equal(after.pendingCount, 0);
  const third = await Outbox.open('ana', { store });
  assert.equal(third.pendingCount, 0);
});

test('outbox_shows_the_unsent_messages_of_a_room_after_a_reload', async () => {
  const store = new MemoryStore();
  const before = await Outbox.open('ana', { store });
  before.start(connection({ b: refused('BLOCKED') }));
  before.send(message('a'), ts);
  before.send(message('b'), ts);
  void before.submit({ type: 'REACT', roomId: 'R', messageId: 'm', emoji: '+' });
  await flushMicrotasks();
  const after = await Outbox.open('ana', { store });
  assert.deepEqual(after.messagesOf('R').map(({ clientMsgId, status, error }) => [clientMsgId, status, error]), [['a', 'sending', undefined], ['b', 'failed', 'BLOCKED']]);
  const line = connection({ b: {} });
  after.start(line);
  assert.deepEqual(line.sent.map(({ type }) => type), ['SEND_MESSAGE', 'REACT']);
  after.retry('b');
  assert.deepEqual(ids(line.sent).at(-1), 'b');
  await flushMicrotasks();
  after.discard('a');
  await flushMicrotasks();
  assert.deepEqual((await Outbox.open('ana', { store })).messagesOf('R'), []);
});

test('outbox_keeps_frames_of_a_stopped_connection', async () => {
  const store = new MemoryStore();
  const before = await Outbox.open('ana', { store });
  const failed = [];
  before.on('failed', (unsent) => failed.push(unsent));
  before.start(connection({ a: refused('STOPPED') }));
  before.send(message('a'), ts);
  await flushMicrotasks();
  assert.deepEqual(failed, []);
  assert.equal((await Outbox.open('ana', { store })).pendingCount, 1);
});

test('outbox_separates_users', async () => {
  const store = new MemoryStore();
  const ana = await Outbox.open('ana', { store });
  ana.start(connection());
  ana.send(message('a'), ts);
  ana.setDraft('R', 'mine');
  await flushMicrotasks();
  const bo = await Outbox.open('bo', { store });
  assert.equal(bo.pendingCount, 0);
  assert.equal(bo.draft('R'), '');
});

test('outbox_is_empty_after_sign_out_despite_late_answers', async () => {
  const store = new MemoryStore();
  const ana = await Outbox.open('ana', { store });
  let refuse;
  ana.start({ mintId: () => 'x', enqueue: () => new Promise((_, reject) => { refuse = reject; }) });
  ana.setDraft('R', 'half a');
  ana.send(message('a', 'R2'), ts);
  await flushMicrotasks();
  await ana.clear();
  refuse(refused('BLOCKED'));
  ana.setDraft('R', 'late');
  await flushMicrotasks();
  const again = await Outbox.open('ana', { store });
  assert.equal(again.pendingCount, 0);
  assert.deepEqual(again.messagesOf('R2'), []);
  assert.equal(again.draft('R'), '');
});

test('drafts_survive_a_reload_and_are_deleted_when_sent', async () => {
  const store = new MemoryStore();
  const before = await Outbox.open('ana', { store });
  before.start(connection());
  for (const text of ['h', 'he', 'hel', 'hello']) before.setDraft('R', text);
  await flushMicrotasks();
  const after = await Outbox.open('ana', { store });
  after.start(connection());
  assert.equal(after.draft('R'), 'hello');
  after.send(message('a'), ts);
  await flushMicrotasks();
  assert.equal((await Outbox.open('ana', { store })).draft('R'), '');
});

test('tab_claims_frames_of_closed_tabs_only', async () => {
  const store = new MemoryStore();
  const browser = new Browser();
  const first = await Outbox.open('ana', { store, locks: browser.locks() });
  first.start(connection());
  first.send(message('a'), ts);
  await flushMicrotasks();
  const second = await Outbox.open('ana', { store, locks: browser.locks() });
  const line = connection({ a: { duplicate: true } });
  second.start(line);
  await second.claimOrphans();
  assert.deepEqual(ids(line.sent), []);
  first.close();
  await flushMicrotasks();
  const restored = [];
  second.on('restored', (unsent) => restored.push(unsent.clientMsgId));
  const third = await Outbox.open('ana', { store, locks: browser.locks() });
  third.start(connection());
  await Promise.all([second.claimOrphans(), second.claimOrphans()]);
  assert.deepEqual([restored, ids(line.sent), third.pendingCount], [[], [], 1], 'the third tab was first to claim it');
});

test('outbox_rejects_edits_past_its_limit_and_reports_rejections_of_restored_ones', async () => {
  const store = new MemoryStore();
  const before = await Outbox.open('ana', { store });
  before.start(connection());
  const edit = { type: 'EDIT_MESSAGE', roomId: 'R', messageId: 'm', content: 'x' };
  for (let index = 0; index < 500; index += 1) void before.submit(edit);
  await assert.rejects(before.submit(edit), /waiting/);
  assert.equal(before.isFull('R'), true);
  await flushMicrotasks();
  const after = await Outbox.open('ana', { store });
  const refusals = [];
  after.on('rejected', (error) => refusals.push(error.code));
  after.start(connection({ 'minted-0': refused('NOT_FOUND') }));
  await flushMicrotasks();
  assert.deepEqual(refusals, ['NOT_FOUND']);
  assert.equal(after.pendingCount, 499);
});

test('outbox_continues_in_memory_when_storage_fails', async (t) => {
  t.mock.method(console, 'warn', () => {});
  const store = Object.assign(new MemoryStore(), { isDurable: true, apply: async () => { throw new Error('quota'); } });
  const outbox = await Outbox.open('ana', { store });
  let notified = 0;
  outbox.on('durability', () => { notified += 1; });
  const line = connection({ a: {} });
  outbox.start(line);
  outbox.send(message('a'), ts);
  await flushMicrotasks();
  assert.deepEqual(ids(line.sent), ['a']);
  assert.equal(outbox.isDurable, false);
  assert.ok(notified > 0);
});

test('failed_message_expires_after_a_month_and_an_unsent_one_does_not', async () => {
  const store = new MemoryStore();
  const before = await Outbox.open('ana', { store });
  before.start(connection({ a: refused('BLOCKED') }));
  const long = new Date(Date.now() - 31 * 86_400_000).toISOString();
  before.send(message('a'), long);
  before.send(message('b'), long);
  await flushMicrotasks();
  assert.deepEqual((await Outbox.open('ana', { store })).messagesOf('R').map(({ clientMsgId }) => clientMsgId), ['b']);
});

test('outbox_opens_in_memory_when_naming_indexedDB_throws', async (t) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'indexedDB');
  t.after(() => (before ? Object.defineProperty(globalThis, 'indexedDB', before) : delete globalThis.indexedDB));
  Object.defineProperty(globalThis, 'indexedDB', { configurable: true, get: () => { throw new DOMException('blocked', 'SecurityError'); } });
  assert.equal((await openStore()).isDurable, false);
});

test('outbox_opens_in_memory_when_opening_the_database_throws', async () => {
  const factory = { open: () => { throw new DOMException('blocked', 'SecurityError'); } };
  assert.equal((await openStore(factory)).isDurable, false);
});
