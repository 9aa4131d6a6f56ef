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

/** A list whose service returns `rooms` in pages of `limit`; it records the rows requested. */
async function createList(t, rooms, { limit = 1_000, onPage = () => {} } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const requests = [];
  const list = new RoomList({
    rooms: async (cursor) => {
      const first = cursor === undefined ? 0 : 1 + rooms.findIndex(({ roomId }) => roomId === cursor);
      const page = rooms.slice(first, first + limit);
      const nextCursor = first + limit < rooms.length ? page.at(-1).roomId : undefined;
      const answer = { rooms: structuredClone(page), nextCursor };
      await onPage();
      return answer;
    },
    roomRows: async (roomIds) => {
      requests.push(roomIds);
      return structuredClone(rooms.filter(({ roomId }) => roomIds.includes(roomId)));
    },
  }, 'ana');
  list.requests = requests;
  await list.load();
  return list;
}

/** Lets the list fetch the rows that changed. */
async function refreshed(t) {
  t.mock.timers.tick(1_200);
  await settle();
}

const order = (list) => list.rooms.map(({ roomId }) => roomId).join(' ');
const message = (roomId, seq, minute, more = {}) => ({ type: 'MESSAGE', roomId, seq, ts: at(minute), messageId: `${roomId}-${seq}`, senderId: 'bo', content: 'x', ...more });

test('room_list_keeps_the_order_of_the_server_whatever_the_timestamps', async (t) => {
  const list = await createList(t, [info('a', { seq: 1, minute: 1 }), info('b', { seq: 2, minute: 9 }), info('c')]);
  assert.equal(order(list), 'a b c');
});

test('room_list_moves_a_room_up_at_a_newer_message_with_an_older_timestamp', async (t) => {
  const rooms = [info('a', { seq: 9, minute: 30 }), info('b', { seq: 5, minute: 20 }), info('c', { seq: 3, minute: 10 })];
  const list = await createList(t, rooms);
  list.onEvent(message('c', 4, 1));
  assert.equal(order(list), 'c a b', 'a live message');
  await list.onNotification({ kind: 'MESSAGE', roomId: 'b', seq: 6, messageId: 'b-6', senderId: 'bo' });
  assert.equal(order(list), 'b c a', 'a notification, before its row is read');
  rooms[1] = info('b', { seq: 6, minute: 2 });
  await refreshed(t);
  assert.equal(order(list), 'b c a', 'its row');
  list.onAcknowledged('a', 10);
  assert.equal(order(list), 'a b c', 'an acknowledged message of this user');
});

test('room_list_moves_rooms_up_at_rows_with_newer_messages_in_the_order_of_the_rows', async (t) => {
  const rooms = [info('a', { seq: 9, minute: 30 }), info('b', { seq: 5, minute: 20 }), info('c', { seq: 3, minute: 10 })];
  const list = await createList(t, rooms);
  for (const roomId of ['b', 'c']) await list.onNotification({ kind: 'ROOM_CHANGED', roomId, seq: 20, senderId: 'bo' });
  rooms.splice(0, 3, info('c', { seq: 21, minute: 1 }), info('b', { seq: 22, minute: 40 }), rooms[0]);
  await refreshed(t);
  assert.equal(order(list), 'c b a');
});

test('room_list_moves_no_room_at_an_edit_a_deletion_or_a_known_message', async (t) => {
  const rooms = [info('a', { seq: 9, minute: 30 }), info('b', { seq: 5, minute: 20 })];
  const list = await createList(t, rooms);
  for (const event of [message('a', 9, 1), message('b', 4, 50), message('b', 10, 50, { type: 'MESSAGE_EDITED', messageId: 'm5' }), message('b', 11, 51, { type: 'REACTION', messageId: 'm5' })]) list.onEvent(event);
  for (const kind of ['MESSAGE_EDITED', 'MESSAGE_DELETED']) await list.onNotification({ kind, roomId: 'b', seq: 12, messageId: 'm5', senderId: 'bo' });
  await list.onNotification({ kind: 'MENTION', roomId: 'b', seq: 5, messageId: 'm5', senderId: 'bo' });
  rooms[0] = { ...rooms[0], lastMessage: { ...rooms[0].lastMessage, ts: at(1), editedAt: at(2) } };
  rooms[1] = { ...rooms[1], lastMessage: { ...rooms[1].lastMessage, ts: at(59), deleted: true } };
  await refreshed(t);
  assert.equal(order(list), 'a b');
  await list.load();
  assert.equal(order(list), 'a b');
});

test('room_list_keeps_a_room_on_top_until_the_list_has_its_message', async (t) => {
  const rooms = [info('a', { seq: 9 }), info('b', { seq: 5 }), info('c', { seq: 3 })];
  const list = await createList(t, rooms);
  list.onEvent(message('c', 4, 0));
  await list.load();
  assert.equal(order(list), 'c a b', 'the list does not have the message');
  rooms.splice(0, 3, info('b', { seq: 6 }), info('c', { seq: 4 }), info('a', { seq: 9 }));
  await list.load();
  assert.equal(order(list), 'b c a', 'the list has it, and a later one of another room');
});

test('room_list_puts_a_room_on_top_whose_message_arrives_while_the_list_is_read', async (t) => {
  const rooms = Array.from({ length: 6 }, (_, index) => info(`r${index}`, { seq: 9 - index }));
  let onPage = () => {};
  const list = await createList(t, rooms, { limit: 3, onPage: () => onPage() });
  onPage = () => {
    onPage = () => {};
    list.onEvent(message('r5', 50, 0));
  };
  await list.load();
  assert.equal(order(list), 'r5 r0 r1 r2 r3 r4');
});

test('room_list_puts_new_rooms_on_top', async (t) => {
  const rooms = [info('a', { seq: 9, minute: 30 })];
  const list = await createList(t, rooms);
  list.put(info('created'));
  rooms.push(info('joined', { seq: 2, minute: 1 }));
  await list.onNotification({ kind: 'JOINED', roomId: 'joined', seq: 3, senderId: 'ana' });
  assert.equal(order(list), 'joined created a');
});

test('room_list_counts_a_notified_message_once', async (t) => {
  const list = await createList(t, [info('a', { seq: 5, read: 5 })]);
  const frame = { type: 'NOTIFICATION', kind: 'MESSAGE', roomId: 'a', seq: 7, senderId: 'bo' };
  await list.onNotification(frame);
  await list.onNotification({ ...frame, kind: 'MENTION' });
  assert.equal(list.get('a').unread, 1);
});

test('room_list_keeps_its_unread_count_while_the_service_lags', async (t) => {
  const rooms = [info('a', { seq: 5, read: 5 })];
  const list = await createList(t, rooms);
  await list.onNotification({ kind: 'MESSAGE', roomId: 'a', seq: 7, senderId: 'bo' });
  t.mock.timers.tick(1200);
  await settle();
  assert.equal(list.get('a').unread, 1);
  rooms[0] = info('a', { seq: 9, read: 5, unread: 2 });
  t.mock.timers.tick(1200);
  await settle();
  assert.equal(list.get('a').unread, 2);
});

test('room_list_keeps_its_read_marker_while_the_service_lags', async (t) => {
  const list = await createList(t, [info('a', { seq: 9, read: 5, unread: 2 })]);
  list.markRead('a', 9, 0);
  await list.load();
  assert.equal(list.get('a').unread, 0);
});

test('room_list_adds_a_room_at_an_invitation_and_drops_it_at_a_removal', async (t) => {
  const rooms = [];
  const list = await createList(t, rooms);
  rooms.push(info('new'));
  await list.onNotification({ kind: 'INVITATION', roomId: 'new', seq: 1, senderId: 'bo' });
  assert.equal(list.get('new').name, 'new');
  await list.onNotification({ kind: 'REMOVAL', roomId: 'new', seq: 2, senderId: 'bo' });
  assert.equal(list.get('new'), undefined);
});

test('room_list_rereads_the_row_of_an_announced_room_until_it_exists', async (t) => {
  const rooms = [];
  const list = await createList(t, rooms);
  await list.onNotification({ kind: 'INVITATION', roomId: 'late', seq: 1, senderId: 'bo' });
  await list.onNotification({ kind: 'INVITATION', roomId: 'never', seq: 1, senderId: 'bo' });
  assert.equal(order(list), '');
  await refreshed(t);
  rooms.push(info('late'));
  for (let attempt = 0; attempt < 5; attempt += 1) await refreshed(t);
  assert.equal(order(list), 'late');
  const reads = list.requests.length;
  await refreshed(t);
  assert.equal(list.requests.length, reads, 'a room without a row is given up');
});

for (const kind of ['REMOVAL', 'LEFT', 'ROOM_DELETED']) {
  test(`room_list_drops_the_room_at_${kind}`, async (t) => {
    const list = await createList(t, [info('a'), info('b')]);
    const removed = [];
    list.on('removed', (roomId) => removed.push(roomId));
    await list.onNotification({ kind, roomId: 'a', seq: 9, senderId: 'bo' });
    assert.deepEqual(removed, ['a']);
    assert.deepEqual(list.rooms.map(({ roomId }) => roomId), ['b']);
  });
}

test('room_list_follows_a_read_mark_of_another_device', async (t) => {
  const rooms = [info('a', { seq: 9, read: 5, unread: 3 }), info('b', { seq: 9, read: 5, unread: 3 })];
  const list = await createList(t, rooms);
  await list.onNotification({ kind: 'READ', roomId: 'a', seq: 9, senderId: 'ana' });
  assert.equal(list.get('a').unread, 0, 'read to the end: no row is needed to know');
  await list.onNotification({ kind: 'READ', roomId: 'b', seq: 7, senderId: 'ana' });
  await refreshed(t);
  assert.equal(list.get('b').unread, 3, 'the service has not seen the mark');
  rooms[1] = info('b', { seq: 9, read: 7, unread: 1 });
  await refreshed(t);
  assert.equal(list.get('b').unread, 1);
});

test('room_list_hides_the_text_of_a_deleted_message_from_an_older_row', async (t) => {
  const rooms = [info('a', { seq: 9 })];
  const list = await createList(t, rooms);
  await list.onNotification({ kind: 'MESSAGE_DELETED', roomId: 'a', seq: 10, messageId: 'm9', senderId: 'bo' });
  assert.deepEqual([list.get('a').lastMessage.content, list.get('a').lastMessage.deleted], [undefined, true]);
  await refreshed(t);
  assert.deepEqual([list.get('a').lastMessage.content, list.get('a').lastMessage.deleted], [undefined, true]);
  await list.load();
  assert.equal(list.get('a').lastMessage.content, undefined);
});

test('room_list_reads_the_row_until_it_shows_the_edit_or_the_new_name', async (t) => {
  const rooms = [info('a', { seq: 9 }), info('b', { seq: 9 })];
  const list = await createList(t, rooms);
  await list.onNotification({ kind: 'MESSAGE_EDITED', roomId: 'a', seq: 10, messageId: 'm9', senderId: 'bo' });
  await list.onNotification({ kind: 'ROOM_CHANGED', roomId: 'b', seq: 11, senderId: 'bo' });
  await refreshed(t);
  assert.equal(list.get('a').lastMessage.content, 'x');
  rooms[0].lastMessage.content = 'better';
  rooms[1].name = 'Renamed';
  await refreshed(t);
  assert.equal(list.get('a').lastMessage.content, 'better');
  assert.equal(list.get('b').name, 'Renamed');
  const reads = list.requests.length;
  await refreshed(t);
  assert.equal(list.requests.length, reads, 'rows that show the change are not read again');
});

test('room_list_shows_a_room_joined_on_another_device_and_ignores_unknown_kinds', async (t) => {
  const rooms = [];
  const list = await createList(t, rooms);
  rooms.push(info('joined'));
  await list.onNotification({ kind: 'JOINED', roomId: 'joined', seq: 1, senderId: 'ana' });
  assert.equal(list.get('joined').name, 'joined');
  await list.onNotification({ kind: 'POLL_OPENED', roomId: 'other', seq: 1, senderId: 'bo' });
  await list.onNotification({ kind: 'BLOCKS_CHANGED' });
  assert.deepEqual(list.rooms.map(({ roomId }) => roomId), ['joined']);
});

test('room_list_keeps_a_room_that_moves_up_between_two_pages', async (t) => {
  const rooms = Array.from({ length: 6 }, (_, index) => info(`r${index}`, { seq: 9 - index, minute: 9 - index }));
  let pages = 0;
  const onPage = () => {
    pages += 1;
    if (pages === 4) rooms.unshift({ ...rooms.splice(4, 1)[0], lastMessage: { ...rooms[0].lastMessage, seq: 90 } });
  };
  const list = await createList(t, rooms, { limit: 3, onPage });
  pages = 3;
  await list.load();
  assert.equal(order(list), 'r4 r0 r1 r2 r3 r5');
});

test('room_list_finds_a_room_that_moves_up_while_the_list_is_read_first', async (t) => {
  const rooms = Array.from({ length: 6 }, (_, index) => info(`r${index}`, { seq: 9 - index, minute: 9 - index }));
  let pages = 0;
  const onPage = () => {
    pages += 1;
    if (pages === 1) rooms.unshift(rooms.splice(4, 1)[0]);
  };
  const list = await createList(t, rooms, { limit: 3, onPage });
  assert.equal(order(list), 'r4 r0 r1 r2 r3 r5');
});

test('room_list_drops_a_room_that_is_no_longer_listed', async (t) => {
  const rooms = [info('a'), info('b')];
  const list = await createList(t, rooms);
  const removed = [];
  list.on('removed', (roomId) => removed.push(roomId));
  rooms.pop();
  await list.load();
  assert.deepEqual(removed, ['b']);
});

test('people_fetch_each_name_once_and_show_host_ids', async () => {
  const requests = [];
  const people = new People({ api: { user: async (userId) => { requests.push(userId); if (userId !== 'bo') throw Object.assign(new Error(), { status: 404 }); return { userId, name: 'bo', displayName: 'Bo' }; } }, watch: () => {} });
  for (let turn = 0; turn < 3; turn += 1) for (const userId of ['bo', 'host-user-7', '0190a0b0-1111-7222-8333-444455556666']) people.name(userId);
  await settle();
  assert.equal(people.name('bo'), 'Bo');
  assert.equal(people.name('host-user-7'), 'host-user-7');
  assert.equal(people.name('0190a0b0-1111-7222-8333-444455556666'), 'Former member');
  assert.equal(requests.length, 3);
});

/** A minimal document, to build links and mentions. */
function withDocument(work) {
  globalThis.document = { createElement: (tag) => ({ tag, attributes: {}, text: '', setAttribute(name, value) { this.attributes[name] = value; }, append(text) { this.text += text; } }) };
  try {
    return work();
  } finally {
    delete globalThis.document;
  }
}

test('mentions_are_found_at_the_end_of_a_sentence', () => withDocument(() => {
  const ids = new Map([['bo.k', 'u1'], ['ana', 'u2']]);
  assert.deepEqual(mentionsIn('@Bo.K. but not @nobody or me@ana', ids), ['u1']);
}));

test('links_end_before_a_full_stop_and_exclude_scripts', () => withDocument(() => {
  const [, link, rest] = richText('see https://example.org/a. javascript:alert(1)', () => undefined);
  assert.equal(link.attributes.href, 'https://example.org/a');
  assert.equal(link.attributes.rel, 'noopener noreferrer nofollow');
  assert.equal(rest, '. javascript:alert(1)');
}));
