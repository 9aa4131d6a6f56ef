/**
 * The user's rooms by latest activity, with unread counts.
 *
 * The list service orders rooms by the log, and the page keeps that order: timestamps of two rooms are not
 * compared, because they come from clocks that can go back. Between two reads of the list a room moves to
 * the top when a message with a higher seq than its last one arrives, and nothing moves a room down.
 *
 * The list service lags the log by up to a second, and notifications can be lost. Notifications and events
 * of the open room are therefore applied immediately, and the rows of their rooms are fetched a moment
 * later. A row replaces the local state unless it is older; then it is fetched again, up to
 * `REFRESH_ATTEMPTS_MAX` times.
 */
import { Emitter } from './emitter.js';

const PAGES_MAX = 10;
/** Rows per request. */
const ROWS_PER_CALL_MAX = 100;
const REFRESH_DELAY_MS = 1_200;
const REFRESH_ATTEMPTS_MAX = 4;
/** Ids of deleted messages, so that an older row does not show their text again. */
const DELETED_CACHE_CAPACITY = 200;

/**
 * @typedef {import('../../types/wire').RoomInfo} RoomInfo
 * @typedef {import('../../types/wire').EventFrame} EventFrame
 * @typedef {(row: RoomInfo) => boolean} Expectation whether a row shows the announced change
 * @typedef {{ attemptsLeft: number, expected: Expectation[] }} Stale
 */

export class RoomList extends Emitter {
  loaded = false;
  /** @type {Map<string, RoomInfo>} */ #rooms = new Map();
  /** Ids of the rooms, latest activity first. @type {string[]} */ #order = [];
  #moves = 0;
  /** Number of the last move to the top, by room. @type {Map<string, number>} */ #movedAt = new Map();
  /** The last known message and the read marker, by room. @type {Map<string, number>} */
  #lastSeqs = new Map();
  /** @type {Map<string, number>} */ #readSeqs = new Map();
  /** @type {Set<string>} */ #deletedIds = new Set();
  /** Rooms whose rows are fetched again. @type {Map<string, Stale>} */ #stale = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #mustReload = false;
  #api;
  #selfId;

  /**
   * Emits `changed`, and `removed` with the id of a room that the user has left.
   * @param {Pick<import('./api.js').Api, 'rooms' | 'roomRows'>} api
   * @param {string} selfId
   */
  constructor(api, selfId) {
    super();
    this.#api = api;
    this.#selfId = selfId;
  }

  /** @returns {RoomInfo[]} */
  get rooms() {
    return this.#order.flatMap((roomId) => this.#rooms.get(roomId) ?? []);
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

  /** Fetches the whole list and removes rooms that are not on it. */
  async load() {
    /** @type {Map<string, number>} */
    const listed = new Map();
    /** @type {Map<string, number>} */
    const listedAgain = new Map();
    const moves = this.#moves;
    try {
      const pages = await this.#fetchPages(listed);
      if (pages !== undefined) {
        // A room that moved up while its page was being read is on none of them: it is at the top now.
        if (pages > 1) await this.#fetchPages(listedAgain, listed);
        await this.#removeMissing((roomId) => listed.has(roomId) || listedAgain.has(roomId));
      }
    } finally {
      for (const [roomId, seq] of listed) if (!listedAgain.has(roomId)) listedAgain.set(roomId, seq);
      this.#applyOrder(listedAgain, moves);
    }
    this.loaded = true;
    this.emit('changed');
  }

  /** @param {RoomInfo} room */
  put(room) {
    const { roomId, lastMessage } = room;
    const isNew = !this.#rooms.has(roomId);
    this.#rooms.set(roomId, { unread: 0, ...this.#rooms.get(roomId), ...room });
    if (!this.#advance(roomId, lastMessage?.seq ?? 0) && isNew) this.#moveToTop(roomId);
    this.emit('changed');
  }

  /** @param {string} roomId @param {number} memberCount */
  setMemberCount(roomId, memberCount) {
    const room = this.#rooms.get(roomId);
    if (room && room.memberCount !== memberCount) this.put({ ...room, memberCount });
  }

  /** @param {string} roomId */
  remove(roomId) {
    this.#stale.delete(roomId);
    if (!this.#rooms.delete(roomId)) return;
    this.#order = this.#order.filter((each) => each !== roomId);
    this.#movedAt.delete(roomId);
    this.#lastSeqs.delete(roomId);
    this.#readSeqs.delete(roomId);
    this.emit('removed', roomId);
    this.emit('changed');
  }

  /** @param {import('../../types/wire').Frame} frame a NOTIFICATION; kinds that are not known are ignored */
  async onNotification(frame) {
    const { kind, roomId = '', seq, messageId, senderId } = frame;
    const room = this.#rooms.get(roomId);
    switch (kind) {
      case 'REMOVAL': case 'LEFT': case 'ROOM_DELETED':
        return this.remove(roomId);
      case 'MESSAGE': case 'MENTION': case 'REPLY':
        this.#onMessageNotification(roomId, seq, senderId);
        break;
      case 'READ':
        this.onReadMarker(roomId, seq);
        break;
      case 'MESSAGE_DELETED':
        this.#onMessageDeleted(roomId, messageId);
        break;
      case 'MESSAGE_EDITED': {
        const { content, editedAt } = room?.lastMessage ?? {};
        this.#scheduleRefresh(roomId, ({ lastMessage: last }) => last?.messageId !== messageId || last?.content !== content || last?.editedAt !== editedAt);
        break;
      }
      case 'ROOM_CHANGED':
        this.#scheduleRefresh(roomId, (row) => row.name !== room?.name || row.topic !== room?.topic || row.visibility !== room?.visibility);
        break;
      case 'INVITATION': case 'JOINED':
        this.#scheduleRefresh(roomId);
        break;
      default:
        return;
    }
    this.emit('changed');
    // The row of an unknown room is fetched without the delay.
    if (!room) await this.#fetchRows([roomId]).catch(() => {});
  }

  /** An event of the open room, live or from its history. @param {EventFrame} event */
  onEvent(event) {
    const room = this.#rooms.get(event.roomId);
    if (!room) return;
    if (event.type === 'MESSAGE' && this.#advance(event.roomId, event.seq)) {
      room.lastMessage = event;
      if (event.senderId !== this.#selfId && event.seq > (this.#readSeqs.get(event.roomId) ?? 0)) room.unread = (room.unread ?? 0) + 1;
    } else if (room.lastMessage && event.messageId === room.lastMessage.messageId) {
      if (event.type === 'MESSAGE_EDITED') room.lastMessage = { ...room.lastMessage, content: event.content };
      if (event.type === 'MESSAGE_DELETED') room.lastMessage = tombstoneOf(room.lastMessage);
    } else if (event.type === 'ROOM_CHANGED') {
      Object.assign(room, changesOf(event));
    }
    this.emit('changed');
  }

  /** @param {string} roomId @param {number} seq @param {number} unreadAfter how many messages after it are known */
  markRead(roomId, seq, unreadAfter) {
    this.#readSeqs.set(roomId, Math.max(seq, this.#readSeqs.get(roomId) ?? 0));
    const room = this.#rooms.get(roomId);
    if (!room || room.unread === unreadAfter) return;
    room.unread = unreadAfter;
    this.emit('changed');
  }

  /** A read marker of this user, possibly from another connection. @param {string} roomId @param {number} seq */
  onReadMarker(roomId, seq) {
    if (seq <= (this.#readSeqs.get(roomId) ?? 0)) return;
    this.#readSeqs.set(roomId, seq);
    const room = this.#rooms.get(roomId);
    if (room && seq >= (this.#lastSeqs.get(roomId) ?? 0)) room.unread = 0;
    this.#scheduleRefresh(roomId, ({ marks }) => (marks?.read ?? 0) >= seq);
    this.emit('changed');
  }

  /** The server has acknowledged a message of this user. @param {string} roomId @param {number} seq */
  onAcknowledged(roomId, seq) {
    if (this.#rooms.has(roomId) && this.#advance(roomId, seq)) this.onReadMarker(roomId, seq);
  }

  /** Schedules one fetch of the list for all callers until then. */
  scheduleReload() {
    this.#mustReload = true;
    this.#schedule();
  }

  /**
   * Fetches pages from the top and adds their rooms to `listed`, with the seq of their last message.
   * @param {Map<string, number>} listed
   * @param {Map<string, number>} [known] rooms of an earlier read; the first page without a further room is the last
   * @returns {Promise<number | undefined>} the number of pages of the list; undefined above `PAGES_MAX`
   */
  async #fetchPages(listed, known) {
    let cursor;
    for (let page = 1; page <= PAGES_MAX; page += 1) {
      const { rooms, nextCursor } = await this.#api.rooms(cursor);
      const hasFurther = rooms.some(({ roomId }) => !listed.has(roomId) && !known?.has(roomId));
      for (const room of rooms) {
        listed.set(room.roomId, room.lastMessage?.seq ?? 0);
        if (!this.#rooms.has(room.roomId)) this.#order.push(room.roomId);
        this.#merge(room);
      }
      if (!nextCursor || (known && !hasFurther)) return page;
      cursor = nextCursor;
    }
    return undefined;
  }

  /** Removes the rooms that are on no page and have no row. @param {(roomId: string) => boolean} isListed */
  async #removeMissing(isListed) {
    const missing = [...this.#rooms.keys()].filter((roomId) => !isListed(roomId));
    if (missing.length > 0) await this.#fetchRows(missing);
  }

  /**
   * Applies the order of the list. Rooms with a message that the list does not have stay at the top;
   * rooms that are not listed are last, unless they have moved since the list was read.
   * @param {Map<string, number>} listed seqs of last messages, by room, in the order of the list
   * @param {number} moves the number of moves before the list was read
   */
  #applyOrder(listed, moves) {
    const isAhead = (/** @type {string} */ roomId) => {
      const seq = listed.get(roomId);
      return seq === undefined ? (this.#movedAt.get(roomId) ?? 0) > moves : (this.#lastSeqs.get(roomId) ?? 0) > seq;
    };
    const ahead = this.#order.filter(isAhead);
    const unlisted = this.#order.filter((roomId) => !listed.has(roomId));
    this.#order = [...new Set([...ahead, ...listed.keys(), ...unlisted])].filter((roomId) => this.#rooms.has(roomId));
  }

  /**
   * Records the last message of a room, and moves the room to the top when it is a newer one.
   * @param {string} roomId @param {number} seq
   * @returns {boolean} whether it is newer
   */
  #advance(roomId, seq) {
    if (seq <= (this.#lastSeqs.get(roomId) ?? 0)) return false;
    this.#lastSeqs.set(roomId, seq);
    this.#moveToTop(roomId);
    return true;
  }

  /** @param {string} roomId */
  #moveToTop(roomId) {
    this.#moves += 1;
    this.#movedAt.set(roomId, this.#moves);
    this.#order = [roomId, ...this.#order.filter((each) => each !== roomId)];
  }

  /** @param {string} roomId @param {number} seq @param {string} senderId */
  #onMessageNotification(roomId, seq, senderId) {
    const room = this.#rooms.get(roomId);
    if (room && this.#advance(roomId, seq) && seq > (this.#readSeqs.get(roomId) ?? 0) && senderId !== this.#selfId) room.unread = (room.unread ?? 0) + 1;
    this.#scheduleRefresh(roomId, ({ lastMessage }) => (lastMessage?.seq ?? 0) >= seq);
  }

  /** @param {string} roomId @param {string} messageId */
  #onMessageDeleted(roomId, messageId) {
    this.#deletedIds.add(messageId);
    if (this.#deletedIds.size > DELETED_CACHE_CAPACITY) this.#deletedIds.delete([...this.#deletedIds][0]);
    const room = this.#rooms.get(roomId);
    if (room?.lastMessage?.messageId === messageId) room.lastMessage = tombstoneOf(room.lastMessage);
    this.#scheduleRefresh(roomId, ({ lastMessage }) => lastMessage?.messageId !== messageId || lastMessage?.deleted === true);
  }

  /** Schedules a fetch of a room's row, repeated until it meets the expectation. @param {string} roomId @param {Expectation} [expectation] */
  #scheduleRefresh(roomId, expectation) {
    const expected = this.#stale.get(roomId)?.expected ?? [];
    if (expectation) expected.push(expectation);
    this.#stale.set(roomId, { attemptsLeft: REFRESH_ATTEMPTS_MAX, expected: expected.slice(-REFRESH_ATTEMPTS_MAX) });
    this.#schedule();
  }

  #schedule() {
    this.#timer ??= setTimeout(async () => {
      this.#timer = undefined;
      try {
        if (this.#mustReload) {
          this.#mustReload = false;
          await this.load();
        }
        await this.#fetchRows([...this.#stale.keys()]);
        if (this.#stale.size > 0) this.#schedule();
      } catch {
        // The list is fetched again after the next reconnect.
        this.#stale.clear();
      }
    }, REFRESH_DELAY_MS);
  }

  /** Fetches the rows of these rooms. @param {string[]} roomIds */
  async #fetchRows(roomIds) {
    for (let first = 0; first < roomIds.length; first += ROWS_PER_CALL_MAX) {
      const requested = roomIds.slice(first, first + ROWS_PER_CALL_MAX);
      const rows = await this.#api.roomRows(requested);
      const found = new Set(rows.map(({ roomId }) => roomId));
      // Rows are in the order of the list: the first one moves to the top last.
      for (const row of rows.toReversed()) this.#applyRow(row);
      for (const roomId of requested) if (!found.has(roomId)) this.#rowMissing(roomId);
    }
    if (roomIds.length > 0) this.emit('changed');
  }

  /**
   * Removes a room without a row: the user has left it. The row of a room that was just announced may
   * not exist yet, so it is fetched again first.
   * @param {string} roomId
   */
  #rowMissing(roomId) {
    const stale = this.#stale.get(roomId);
    if (this.#rooms.has(roomId) || !stale) return this.remove(roomId);
    stale.attemptsLeft -= 1;
    if (stale.attemptsLeft <= 0) this.#stale.delete(roomId);
  }

  /** @param {RoomInfo} row */
  #applyRow(row) {
    const isNew = !this.#rooms.has(row.roomId);
    const lastSeq = row.lastMessage?.seq ?? 0;
    if (isNew || lastSeq > (this.#lastSeqs.get(row.roomId) ?? 0)) this.#moveToTop(row.roomId);
    const isCurrent = this.#merge(row);
    const stale = this.#stale.get(row.roomId);
    if (!stale) return;
    stale.attemptsLeft -= 1;
    if (stale.attemptsLeft <= 0 || (isCurrent && stale.expected.every((shows) => shows(row)))) this.#stale.delete(row.roomId);
  }

  /**
   * @param {RoomInfo} room as the list service sees it
   * @returns {boolean} whether the row is at least as new as the local state
   */
  #merge(room) {
    const { roomId, lastMessage } = room;
    const known = this.#rooms.get(roomId);
    const lastSeq = lastMessage?.seq ?? 0;
    const behind = known !== undefined && lastSeq < (this.#lastSeqs.get(roomId) ?? 0);
    const read = Math.max(this.#readSeqs.get(roomId) ?? 0, room.marks?.read ?? 0);
    if (behind) {
      this.#rooms.set(roomId, { ...room, unread: known.unread, lastMessage: known.lastMessage ?? lastMessage });
    } else {
      this.#lastSeqs.set(roomId, lastSeq);
      const markIsBehind = read > (room.marks?.read ?? 0);
      const unread = read >= lastSeq ? 0 : markIsBehind ? Math.min(room.unread ?? 0, known?.unread ?? 0) : room.unread ?? 0;
      const isDeleted = lastMessage !== undefined && this.#deletedIds.has(lastMessage.messageId ?? '');
      this.#rooms.set(roomId, { ...room, unread, ...(isDeleted ? { lastMessage: tombstoneOf(lastMessage) } : {}) });
    }
    return !behind;
  }
}

/** @param {EventFrame} message @returns {EventFrame} */
function tombstoneOf(message) {
  return { ...message, content: undefined, attachments: undefined, deleted: true };
}

/** @param {EventFrame} event */
export function changesOf({ name, topic, visibility, memberCount }) {
  return Object.fromEntries(Object.entries({ name, topic, visibility, memberCount }).filter(([, value]) => value !== undefined && value !== null));
}
