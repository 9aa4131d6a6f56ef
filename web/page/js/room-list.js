/**
 * My rooms, by latest activity, with what is unread in each.
 *
 * The list service follows the log within a second and notifications may get lost, so neither is believed
 * alone: notifications and the open room's events count at once, and a moment later the list is read
 * again. What it says replaces the count, unless it has not seen yet what this page has.
 */
import { Emitter } from './emitter.js';

const PAGES_MAX = 10;
const REFRESH_AFTER_MS = 1_200;
const REFRESH_TRIES_MAX = 4;

/**
 * @typedef {import('../../types/wire').RoomInfo} RoomInfo
 * @typedef {import('../../types/wire').EventFrame} EventFrame
 */

export class RoomList extends Emitter {
  loaded = false;
  /** @type {Map<string, RoomInfo>} */ #rooms = new Map();
  /** The last message this page knows of, and how far this person has read, by room. @type {Map<string, number>} */
  #seen = new Map();
  /** @type {Map<string, number>} */ #read = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #triesLeft = 0;
  #api;
  #selfId;

  /**
   * Emits `changed`, and `removed` with the id of a room one is no longer in.
   * @param {Pick<import('./api.js').Api, 'rooms' | 'room'>} api
   * @param {string} selfId
   */
  constructor(api, selfId) {
    super();
    this.#api = api;
    this.#selfId = selfId;
  }

  /** @returns {RoomInfo[]} */
  get rooms() {
    return [...this.#rooms.values()].sort((one, other) => activityOf(other).localeCompare(activityOf(one)));
  }

  get unread() {
    let unread = 0;
    for (const room of this.#rooms.values()) unread += room.unread ?? 0;
    return unread;
  }

  /** @param {string} roomId */
  get(roomId) {
    return this.#rooms.get(roomId);
  }

  /** Reads the whole list and forgets rooms that are not on it. */
  async load() {
    const there = new Set();
    let cursor;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const { rooms, nextCursor } = await this.#api.rooms(cursor);
      for (const room of rooms) {
        there.add(room.roomId);
        this.#merge(room);
      }
      cursor = nextCursor;
      if (!cursor) break;
    }
    if (!cursor) for (const roomId of [...this.#rooms.keys()]) if (!there.has(roomId)) this.remove(roomId);
    this.loaded = true;
    this.emit('changed');
  }

  /** @param {RoomInfo} room */
  put(room) {
    this.#rooms.set(room.roomId, { unread: 0, ...this.#rooms.get(room.roomId), ...room });
    this.emit('changed');
  }

  /** @param {string} roomId @param {number} memberCount */
  countMembers(roomId, memberCount) {
    const room = this.#rooms.get(roomId);
    if (room && room.memberCount !== memberCount) this.put({ ...room, memberCount });
  }

  /** @param {string} roomId */
  remove(roomId) {
    if (!this.#rooms.delete(roomId)) return;
    this.#seen.delete(roomId);
    this.emit('removed', roomId);
    this.emit('changed');
  }

  /** @param {import('../../types/wire').Frame} frame a NOTIFICATION */
  async notified({ kind, roomId = '', seq, senderId }) {
    if (kind === 'REMOVAL') return this.remove(roomId);
    const room = this.#rooms.get(roomId);
    if (!room) {
      await this.#fetch(roomId);
    } else if ((kind === 'MESSAGE' || kind === 'MENTION') && seq > (this.#seen.get(roomId) ?? 0)) {
      this.#seen.set(roomId, seq);
      if (seq > (this.#read.get(roomId) ?? 0) && senderId !== this.#selfId) room.unread = (room.unread ?? 0) + 1;
    }
    this.refreshSoon();
    this.emit('changed');
  }

  /** An event of the open room, seen live. @param {EventFrame} event */
  eventSeen(event) {
    const room = this.#rooms.get(event.roomId);
    if (!room) return;
    if (event.type === 'MESSAGE' && event.seq > (this.#seen.get(event.roomId) ?? 0)) {
      this.#seen.set(event.roomId, event.seq);
      room.lastMessage = event;
      if (event.senderId !== this.#selfId) room.unread = (room.unread ?? 0) + 1;
    } else if (room.lastMessage && event.messageId === room.lastMessage.messageId) {
      if (event.type === 'MESSAGE_EDITED') room.lastMessage = { ...room.lastMessage, content: event.content };
      if (event.type === 'MESSAGE_DELETED') room.lastMessage = { ...room.lastMessage, content: undefined, deleted: true };
    } else if (event.type === 'ROOM_CHANGED') {
      Object.assign(room, changesOf(event));
    }
    this.emit('changed');
  }

  /** @param {string} roomId @param {number} seq @param {number} unreadAfter how many messages after it are known */
  readUpTo(roomId, seq, unreadAfter) {
    this.#read.set(roomId, Math.max(seq, this.#read.get(roomId) ?? 0));
    const room = this.#rooms.get(roomId);
    if (!room || room.unread === unreadAfter) return;
    room.unread = unreadAfter;
    this.emit('changed');
  }

  /** Reads the list again in a moment, once for all who ask until then. */
  refreshSoon() {
    this.#triesLeft = REFRESH_TRIES_MAX;
    this.#schedule();
  }

  #schedule() {
    this.#timer ??= setTimeout(async () => {
      this.#timer = undefined;
      this.#triesLeft -= 1;
      try {
        const { rooms } = await this.#api.rooms();
        const behind = rooms.filter((room) => !this.#merge(room));
        if (behind.length > 0 && this.#triesLeft > 0) this.#schedule();
        this.emit('changed');
      } catch {
        // The list is read again when the connection comes back.
      }
    }, REFRESH_AFTER_MS);
  }

  /**
   * @param {RoomInfo} room as the list service sees it
   * @returns {boolean} whether it had seen what this page has
   */
  #merge(room) {
    const { roomId } = room;
    const known = this.#rooms.get(roomId);
    const lastSeq = room.lastMessage?.seq ?? 0;
    const behind = known !== undefined && lastSeq < (this.#seen.get(roomId) ?? 0);
    const read = Math.max(this.#read.get(roomId) ?? 0, room.marks?.read ?? 0);
    if (behind) {
      this.#rooms.set(roomId, { ...room, unread: known.unread, lastMessage: known.lastMessage ?? room.lastMessage });
    } else {
      this.#seen.set(roomId, lastSeq);
      const markIsBehind = read > (room.marks?.read ?? 0);
      const unread = read >= lastSeq ? 0 : markIsBehind ? Math.min(room.unread ?? 0, known?.unread ?? 0) : room.unread ?? 0;
      this.#rooms.set(roomId, { ...room, unread });
    }
    return !behind;
  }

  /** @param {string} roomId */
  async #fetch(roomId) {
    try {
      this.put({ unread: 0, ...(await this.#api.room(roomId)) });
    } catch {
      // Gone again, or out of reach: the next reading of the list decides.
    }
  }
}

/** @param {RoomInfo} room */
function activityOf(room) {
  return room.lastMessage?.ts ?? room.createdAt ?? '';
}

/** @param {EventFrame} event */
export function changesOf({ name, topic, visibility, memberCount }) {
  return Object.fromEntries(Object.entries({ name, topic, visibility, memberCount }).filter(([, value]) => value !== undefined && value !== null));
}
