/**
 * The signed-in workspace: connection, models, views and the open room. It is the only module that connects
 * them all. The address names the open room (`#/rooms/ID`), so that history navigation, reloads and
 * further tabs work as usual.
 *
 * Emits `opened` and `caught-up`.
 */
import { safeStore } from './key-value-store.js';
import { Api } from './api.js';
import { RoomcastClient } from './client.js';
import { chatView, noRoomView } from './chat-view.js';
import { connectionBanner } from './connection-banner.js';
import { confirm, toast } from './dialogs.js';
import { fill, h } from './dom.js';
import { Emitter } from './emitter.js';
import { plural } from './format.js';
import { People } from './people.js';
import { Room } from './room.js';
import { RoomList } from './room-list.js';
import { sidebarView } from './sidebar-view.js';
import { startDialog } from './start-dialog.js';

const AWAY_DELAY_MS = 5 * 60_000;
const WIDE_LAYOUT = '(min-width: 760px)';
/** The last known skew of the server's clock. */
const CLOCK_KEY = 'roomcast.clock-skew-ms';

/**
 * @typedef {import('../../types/wire').RoomInfo} RoomInfo
 */

export class Workspace extends Emitter {
  /** @type {Room | undefined} */ openRoom;
  /** @type {Map<string, Room>} */ #rooms = new Map();
  /** @type {ReturnType<typeof chatView> | undefined} */ #chat;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #awayTimer;
  #stage = h('div', { class: 'stage' });
  #frame = h('div', { class: 'workspace', 'data-pane': 'list' });
  #abort = new AbortController();
  #session;

  /**
   * @param {{ session: import('./session.js').Session, me: import('../../types/wire').User, outbox: import('./outbox.js').Outbox }} options
   */
  constructor({ session, me, outbox }) {
    super();
    this.me = me;
    this.#session = session;
    this.api = new Api(session);
    const url = new URL('/v1/ws', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.client = new RoomcastClient({ url: url.href, tokens: session, clockSkewMs: lastClockSkewMs() });
    this.outbox = outbox;
    this.people = new People({ api: this.api, watch: (userIds) => this.client.watchPresence(userIds) });
    this.people.put(me);
    this.list = new RoomList(this.api, me.userId);
    this.#bindEvents();
  }

  /** Renders the workspace and connects. @param {HTMLElement} root */
  start(root) {
    fill(this.#frame, sidebarView(this), h('main', { class: 'main' }, connectionBanner(this), this.#stage));
    fill(root, this.#frame);
    const { signal } = this.#abort;
    addEventListener('hashchange', () => this.#route(true), { signal });
    addEventListener('online', () => this.client.reconnectNow(), { signal });
    document.addEventListener('visibilitychange', () => this.#visibilityChanged(), { signal });
    this.client.start();
    this.outbox.start(this.client);
  }

  /** Closes the connection and removes all listeners. */
  dispose() {
    clearTimeout(this.#awayTimer);
    this.#abort.abort();
    this.#chat?.dispose();
    this.outbox.close();
    this.client.stop();
  }

  async signOut() {
    const { pendingCount } = this.outbox;
    const text = `${plural(pendingCount, 'unsent message or change', 'unsent messages or changes')} will be discarded.`;
    if (pendingCount > 0 && !(await confirm({ title: 'Sign out and discard unsent messages?', text, action: 'Sign out', danger: true }))) return;
    this.client.stop();
    await this.outbox.clear();
    await this.api.signOut().catch(() => {});
    this.#session.end();
    // Other tabs have been notified and store nothing more.
    await this.outbox.clear();
    location.hash = '#/';
  }

  /** @param {'room' | 'find' | 'direct'} [what] */
  openStartDialog(what = 'room') {
    startDialog(this, what);
  }

  /** Opens a room that was just created, found or joined. @param {RoomInfo} room */
  enter(room) {
    this.list.put(room);
    location.hash = `#/rooms/${encodeURIComponent(room.roomId)}`;
  }

  /** Watches the presence of the open room's members. @param {string[]} userIds */
  watchMembers(userIds) {
    this.people.watch('room', userIds.slice(0, 150));
  }

  #bindEvents() {
    const { client, list, outbox, people } = this;
    const forOpenRoom = (/** @type {(room: Room, frame: any) => void} */ work) => (/** @type {any} */ frame) => {
      if (this.openRoom && frame.roomId === this.openRoom.roomId) work(this.openRoom, frame);
    };
    client.on('welcome', () => {
      safeStore.setItem(CLOCK_KEY, String(client.clockSkewMs));
      void outbox.claimOrphans();
      void this.#refresh();
    });
    outbox.on('acknowledged', ({ unsent, ack }) => {
      this.#rooms.get(unsent.roomId)?.acknowledged(unsent, ack);
      if (unsent.roomId !== this.openRoom?.roomId) list.onAcknowledged(unsent.roomId, ack.seq);
    });
    outbox.on('failed', (unsent) => this.#rooms.get(unsent.roomId)?.failed(unsent));
    outbox.on('restored', (unsent) => this.#rooms.get(unsent.roomId)?.restored(unsent));
    outbox.on('rejected', (error) => toast(`An earlier change was not saved. ${error.message}`));
    client.on('subscribed', forOpenRoom((room, frame) => room.onSubscribed(frame)));
    client.on('unsubscribed', forOpenRoom((room) => this.#onRoomRemoved(room.roomId, 'You are no longer in this room.')));
    client.on('event', (event) => {
      list.onEvent(event);
      const room = this.#rooms.get(event.roomId);
      if (room && room === this.openRoom) room.onEvent(event);
    });
    client.on('typing', forOpenRoom((room, frame) => room.onTyping(frame.userId)));
    client.on('receipt', (frame) => {
      if (frame.userId === this.me.userId && frame.read !== undefined) list.onReadMarker(frame.roomId, frame.read);
      forOpenRoom((room) => room.onReceipt(frame))(frame);
    });
    client.on('presence', (frame) => people.setPresence(frame));
    client.on('notification', (frame) => void list.onNotification(frame));
    client.on('signed-out', () => this.#session.end());
    client.on('error', (error) => {
      if (error.code !== 'NOT_MEMBER') toast(error.message);
    });
    list.on('removed', (roomId) => this.#onRoomRemoved(roomId, ''));
    list.on('changed', () => {
      this.#frame.toggleAttribute('data-empty', list.loaded && list.rooms.length === 0);
      people.watch('list', list.rooms.map((room) => room.peerId ?? '').filter((userId) => userId !== '').slice(0, 100));
      if (!this.openRoom) this.#route(false);
    });
  }

  /** Fetches the list after every connect: notifications were lost while there was no connection. */
  async #refresh() {
    try {
      await this.list.load();
    } catch (error) {
      if (!this.list.loaded) toast(/** @type {Error} */ (error).message);
      this.list.scheduleReload();
    }
  }

  /** Shows the room that the address names. @param {boolean} byUser @returns {void} */
  #route(byUser) {
    const roomId = roomIdIn(location.hash);
    const info = roomId === undefined ? undefined : this.list.get(roomId);
    this.#frame.dataset.pane = roomId === undefined ? 'list' : 'chat';
    if (info) return this.#show(info, byUser);
    if (!this.list.loaded) return;
    const first = this.list.rooms[0];
    if (roomId === undefined && first && !byUser && matchMedia(WIDE_LAYOUT).matches) {
      history.replaceState(null, '', `#/rooms/${encodeURIComponent(first.roomId)}`);
      return this.#route(false);
    }
    if (roomId !== undefined && byUser) toast('This room does not exist, or you are not a member.');
    if (roomId !== undefined) {
      history.replaceState(null, '', '#/');
      this.#frame.dataset.pane = 'list';
    }
    this.#leaveRoom();
    fill(this.#stage, noRoomView(this));
  }

  /** @param {RoomInfo} info @param {boolean} focus */
  #show(info, focus) {
    if (this.openRoom?.roomId === info.roomId) return;
    this.#leaveRoom();
    let room = this.#rooms.get(info.roomId);
    if (!room) {
      room = new Room({ info, selfId: this.me.userId, client: this.client, api: this.api, outbox: this.outbox });
      room.on('removed', (text) => this.#onRoomRemoved(info.roomId, text));
      room.on('history', (/** @type {import('../../types/wire').EventFrame[]} */ events) => { for (const event of events) this.list.onEvent(event); });
      room.on('members', () => { if (room) this.list.setMemberCount(info.roomId, room.info.memberCount); });
      room.on('changed', () => { if (room?.caughtUp) this.emit('caught-up'); });
      this.#rooms.set(info.roomId, room);
    }
    room.info = { ...room.info, ...info };
    this.openRoom = room;
    room.open();
    this.#chat = chatView(room, this);
    fill(this.#stage, this.#chat.elements);
    this.#chat.shown(focus && matchMedia(WIDE_LAYOUT).matches);
    this.emit('opened');
  }

  #leaveRoom() {
    this.#chat?.dispose();
    this.#chat = undefined;
    this.openRoom?.close();
    this.openRoom = undefined;
    this.emit('opened');
  }

  /** @param {string} roomId @param {string} text */
  #onRoomRemoved(roomId, text) {
    this.#rooms.delete(roomId);
    const wasOpen = this.openRoom?.roomId === roomId;
    if (wasOpen) {
      this.#leaveRoom();
      history.replaceState(null, '', '#/');
      if (text) toast(text, 'info');
    }
    this.list.remove(roomId);
    if (wasOpen) this.#route(true);
  }

  #visibilityChanged() {
    clearTimeout(this.#awayTimer);
    if (document.visibilityState === 'visible') {
      this.client.setStatus('ONLINE');
      this.client.reconnectNow();
    } else {
      this.client.flush();
      this.#awayTimer = setTimeout(() => this.client.setStatus('AWAY'), AWAY_DELAY_MS);
    }
  }
}

/**
 * The room id of an address; text with an invalid encoding is taken as an unknown id.
 * @param {string} hash
 */
export function roomIdIn(hash) {
  const match = /^#\/rooms\/(.+)$/.exec(hash);
  if (!match) return undefined;
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return match[1];
  }
}

function lastClockSkewMs() {
  return Number(safeStore.getItem(CLOCK_KEY)) || 0;
}
