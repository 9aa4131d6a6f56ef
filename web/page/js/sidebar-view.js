/** The sidebar: the user's rooms by latest activity, and the account. */
import { stripControls } from './bidi.js';
import { avatar, batched, fill, h, icon, logo } from './dom.js';
import { badge, plural, shortTime } from './format.js';
import { toggleTheme } from './theme.js';
import { displayNameOf } from './people.js';

/**
 * @typedef {import('../../types/wire').RoomInfo} RoomInfo
 * @typedef {import('./workspace.js').Workspace} Workspace
 */

/** The display name of a room. @param {RoomInfo} room @param {import('./people.js').People} people */
export function roomName(room, people) {
  if (room.kind === 'DIRECT') return room.peerId ? people.name(room.peerId) : 'Direct message';
  return stripControls(room.name ?? '') || 'Unnamed room';
}

/** @param {RoomInfo} room @param {import('./people.js').People} people */
export function roomAvatar(room, people) {
  if (room.kind === 'DIRECT' && room.peerId) return avatar(room.peerId, roomName(room, people), { status: people.status(room.peerId) });
  return avatar(room.roomId, roomName(room, people), { shape: 'room' });
}

/** @param {Workspace} workspace */
export function sidebarView(workspace) {
  const { list, people, me } = workspace;
  const rooms = h('ul', { class: 'rooms', 'data-testid': 'rooms' });
  const empty = h('div', { class: 'rooms-empty' });
  const myName = h('span', { class: 'me-name' }, h('bdi', {}, displayNameOf(me)));
  const view = h('aside', { class: 'sidebar', 'aria-label': 'Rooms and account' },
    h('header', { class: 'sidebar-head' },
      h('h1', { class: 'brand' }, logo(), 'Roomcast'),
      h('button', { type: 'button', class: 'icon-button filled', 'aria-label': 'New conversation', title: 'New conversation', 'data-testid': 'new-room', onclick: () => workspace.openStartDialog() }, icon('plus'))),
    h('nav', { class: 'rooms-scroll', 'aria-label': 'Rooms' }, rooms, empty),
    h('footer', { class: 'sidebar-foot' },
      avatar(me.userId, displayNameOf(me), { status: 'ONLINE' }),
      h('span', { class: 'account' }, myName, h('span', { class: 'me-handle', 'data-testid': 'me-handle' }, me.name ? `@${me.name}` : me.userId)),
      h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Switch theme', title: 'Switch theme', 'data-testid': 'theme-toggle', onclick: toggleTheme }, icon('sun'), icon('moon')),
      h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Sign out', title: 'Sign out', 'data-testid': 'sign-out', onclick: () => void workspace.signOut() }, icon('exit'))));

  const render = () => {
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.roomId : undefined;
    fill(rooms, list.rooms.map((room) => roomItem(room, workspace)));
    if (focused) /** @type {HTMLElement | null} */ (rooms.querySelector(`[data-room-id="${CSS.escape(focused)}"]`))?.focus({ preventScroll: true });
    const isEmpty = list.loaded && list.rooms.length === 0;
    empty.hidden = !isEmpty;
    if (isEmpty) fill(empty, h('p', {}, 'No rooms yet.'));
    document.title = list.unread > 0 ? `(${badge(list.unread)}) Roomcast` : 'Roomcast';
    view.querySelector('.sidebar-foot .dot')?.setAttribute('data-status', workspace.client.state.phase === 'online' ? 'ONLINE' : 'OFFLINE');
  };
  const scheduleRender = batched(render, 30);
  list.on('changed', scheduleRender);
  people.on('names', scheduleRender);
  people.on('presence', scheduleRender);
  workspace.on('opened', scheduleRender);
  workspace.client.on('state', scheduleRender);
  render();
  return view;
}

/** @param {RoomInfo} room @param {Workspace} workspace */
function roomItem(room, workspace) {
  const { people } = workspace;
  const name = roomName(room, people);
  const unread = room.unread ?? 0;
  const isOpen = workspace.openRoom?.roomId === room.roomId;
  const ts = room.lastMessage?.ts ?? room.createdAt;
  return h('li', {},
    h('a', {
      class: unread > 0 ? 'room-item has-unread' : 'room-item', href: `#/rooms/${encodeURIComponent(room.roomId)}`,
      'data-testid': 'room-item', 'data-room-id': room.roomId, 'aria-current': isOpen ? 'page' : undefined,
    },
    roomAvatar(room, people),
    h('span', { class: 'room-text' },
      h('span', { class: 'room-top' },
        h('span', { class: 'room-name' }, h('bdi', {}, name)),
        ts ? h('time', { class: 'room-time', datetime: ts }, shortTime(ts)) : null),
      h('span', { class: 'room-bottom' },
        h('span', { class: 'room-preview', 'data-testid': 'room-preview' }, preview(room, workspace)),
        unread > 0 ? h('span', { class: 'unread', 'data-testid': 'unread' }, h('span', { 'aria-hidden': 'true' }, badge(unread)), h('span', { class: 'hidden' }, plural(unread, 'unread message'))) : null))));
}

/** @param {RoomInfo} room @param {Workspace} workspace @returns {(Node | string)[]} */
function preview(room, { people, me }) {
  const last = room.lastMessage;
  if (!last) return [room.kind === 'DIRECT' ? 'No messages yet' : plural(room.memberCount, 'member')];
  const who = last.senderId === me.userId ? ['You: '] : room.kind === 'GROUP' ? [h('bdi', {}, people.name(last.senderId ?? '')), ': '] : [];
  if (last.deleted) return [...who, 'message deleted'];
  return [...who, last.content ? h('bdi', {}, last.content) : last.attachments?.length ? 'Attachment' : ''];
}
