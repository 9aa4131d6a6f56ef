import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoomList } from '../page/js/room-list.js';
import { People } from '../page/js/people.js';
import { mentionsIn, richText } from '../page/js/rich-text.js';

const at = (minute) => `2026-01-01T00:${String(minute).padStart(2, '0')}:00.000Z`;
const info = (roomId, { seq = 0, minute = 0, unread = 0, read = 0 } = {}) => ({
  roomId, kind: 'GROUP', name: roomId, createdAt: at(0), head: seq, memberCount: 2, role: 'MEMBER', unread, marks: { read, delivered: read },
  ...(seq ? { lastMessage: { type: 'MESSAGE', roomId, seq, ts: at(minute), messageId: `m${seq}`, senderId: 'bo', content: 'x' } } : {}),
});
const settle = async () => { for (let turn = 0; turn < 20; turn += 1) await Promise.resolve(); };

/** A list whose service answers what `rooms` holds. */
async function list(t, rooms) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const made = new RoomList({ rooms: async () => ({ rooms: structuredClone(rooms) }), room: async (roomId) => info(roomId) }, 'ana');
  await made.load();
  return made;
}

test('rooms stand by latest activity', async (t) => {
  const made = await list(t, [info('old', { seq: 1, minute: 1 }), info('new', { seq: 2, minute: 9 }), info('quiet')]);
  assert.deepEqual(made.rooms.map(({ roomId }) => roomId), ['new', 'old', 'quiet']);
});

test('a notification counts once, at once', async (t) => {
  const made = await list(t, [info('a', { seq: 5, read: 5 })]);
  const frame = { type: 'NOTIFICATION', kind: 'MESSAGE', roomId: 'a', seq: 7, senderId: 'bo' };
  await made.notified(frame);
  await made.notified({ ...frame, kind: 'MENTION' });
  assert.equal(made.get('a').unread, 1);
});

test('a list that is behind does not take back what this page has counted', async (t) => {
  const rooms = [info('a', { seq: 5, read: 5 })];
  const made = await list(t, rooms);
  await made.notified({ kind: 'MESSAGE', roomId: 'a', seq: 7, senderId: 'bo' });
  t.mock.timers.tick(1200);
  await settle();
  assert.equal(made.get('a').unread, 1);
  rooms[0] = info('a', { seq: 9, read: 5, unread: 2 });
  t.mock.timers.tick(1200);
  await settle();
  assert.equal(made.get('a').unread, 2);
});

test('a list that is behind does not bring back what was read', async (t) => {
  const made = await list(t, [info('a', { seq: 9, read: 5, unread: 2 })]);
  made.readUpTo('a', 9, 0);
  await made.load();
  assert.equal(made.get('a').unread, 0);
});

test('an invitation adds the room and a removal takes it away', async (t) => {
  const made = await list(t, []);
  await made.notified({ kind: 'INVITATION', roomId: 'new', seq: 1, senderId: 'bo' });
  assert.equal(made.get('new').name, 'new');
  await made.notified({ kind: 'REMOVAL', roomId: 'new', seq: 2, senderId: 'bo' });
  assert.equal(made.get('new'), undefined);
});

test('a room that is on the list no more is gone here too', async (t) => {
  const rooms = [info('a'), info('b')];
  const made = await list(t, rooms);
  const removed = [];
  made.on('removed', (roomId) => removed.push(roomId));
  rooms.pop();
  await made.load();
  assert.deepEqual(removed, ['b']);
});

test('names are looked up once each, and an id of a host product stands for itself', async () => {
  const asked = [];
  const people = new People({ api: { user: async (userId) => { asked.push(userId); if (userId !== 'bo') throw Object.assign(new Error(), { status: 404 }); return { userId, name: 'bo', displayName: 'Bo' }; } }, watch: () => {} });
  for (let turn = 0; turn < 3; turn += 1) for (const userId of ['bo', 'host-user-7', '0190a0b0-1111-7222-8333-444455556666']) people.name(userId);
  await settle();
  assert.equal(people.name('bo'), 'Bo');
  assert.equal(people.name('host-user-7'), 'host-user-7');
  assert.equal(people.name('0190a0b0-1111-7222-8333-444455556666'), 'Former member');
  assert.equal(asked.length, 3);
});

/** Just enough of a document to build links and mentions. */
function withDocument(work) {
  globalThis.document = { createElement: (tag) => ({ tag, attributes: {}, text: '', setAttribute(name, value) { this.attributes[name] = value; }, append(text) { this.text += text; } }) };
  try {
    return work();
  } finally {
    delete globalThis.document;
  }
}

test('a text names its members, also at the end of a sentence', () => withDocument(() => {
  const ids = new Map([['bo.k', 'u1'], ['ana', 'u2']]);
  assert.deepEqual(mentionsIn('@Bo.K. but not @nobody or me@ana', ids), ['u1']);
}));

test('a link ends before the full stop, and a script is no link', () => withDocument(() => {
  const [, link, rest] = richText('see https://example.org/a. javascript:alert(1)', () => undefined);
  assert.equal(link.attributes.href, 'https://example.org/a');
  assert.equal(link.attributes.rel, 'noopener noreferrer nofollow');
  assert.equal(rest, '. javascript:alert(1)');
}));
