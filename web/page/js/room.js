/**
 * An open room. It subscribes before it reads history, so that no event is missed in between, and
 * reloads itself after a `recovered: false`.
 *
 * Emits `changed` (the timeline, or its loading state), `members`, `typing`, `receipts`, `message` (a live
 * message of another user), `history` (the events of its newest pages) and `removed`.
 */
import { frameProblem } from './bounds.js';
import { Emitter } from './emitter.js';
import { changesOf } from './room-list.js';
import { Timeline } from './timeline.js';

const HISTORY_PAGE_SIZE = 50;
const CATCH_UP_PAGE_SIZE = 200;
/** Past this many pages of missed events the room reloads its newest page. */
const CATCH_UP_PAGES_MAX = 10;
const TYPING_TTL_MS = 6_000;
const RETRY_DELAY_MS = 1_500;
const ENTRIES_KEPT_MAX = 300;

/**
 * @typedef {import('../../types/wire').EventFrame} EventFrame
 * @typedef {import('../../types/wire').Member} Member
 * @typedef {import('../../types/wire').RoomInfo} RoomInfo
 * @typedef {import('./local-store.js').Unsent} Unsent
 */

export class Room extends Emitter {
  /** @type {'loading' | 'ready' | 'failed'} */ state = 'loading';
  error = '';
  loadingBefore = false;
  /** Messages after this seq are marked as new; undefined when none are. @type {number | undefined} */
  newAfter;
  /** The user's read marker in this room. */
  readSeq;
  /** @type {Map<string, Member>} */ members = new Map();
  /** @type {Map<string, number>} */ #readMarkers = new Map();
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */ #typing = new Map();
  /** @type {Map<string, EventFrame | null>} */ #quoted = new Map();
  #isOpen = false;
  #activeLoads = 0;
  /** @type {number | undefined} */ #resumeAfter;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #membersTimer;

  /**
   * @param {{ info: RoomInfo, selfId: string, client: import('./client.js').RoomcastClient, api: import('./api.js').Api,
   *   outbox: import('./outbox.js').Outbox }} options
   */
  constructor({ info, selfId, client, api, outbox }) {
    super();
    this.info = info;
    this.selfId = selfId;
    this.client = client;
    this.api = api;
    this.outbox = outbox;
    this.readSeq = info.marks?.read ?? 0;
    this.timeline = new Timeline(selfId, () => this.emit('changed'));
    for (const unsent of outbox.messagesOf(info.roomId)) this.restored(unsent);
  }

  get roomId() {
    return this.info.roomId;
  }

  /** Whether every announced event has arrived. */
  get caughtUp() {
    return this.state === 'ready' && this.#activeLoads === 0;
  }

  /** Ids of the users who are typing. */
  get typingUserIds() {
    return [...this.#typing.keys()];
  }

  get mayManage() {
    const role = this.members.get(this.selfId)?.role ?? this.info.role;
    return this.info.kind === 'GROUP' && (role === 'OWNER' || role === 'ADMIN');
  }

  open() {
    this.#isOpen = true;
    this.newAfter = (this.info.unread ?? 0) > 0 ? this.readSeq : undefined;
    this.client.subscribe(this.roomId, this.#resumeAfter);
    void this.#loadMembers();
  }

  close() {
    this.#isOpen = false;
    clearTimeout(this.#membersTimer);
    this.#resumeAfter = this.caughtUp ? this.client.lastSeq(this.roomId) : undefined;
    this.client.unsubscribe(this.roomId);
    this.timeline.trim(ENTRIES_KEPT_MAX);
    for (const userId of this.typingUserIds) this.#stopTyping(userId);
  }

  /** @param {{ recovered: boolean, missedAfter?: number }} result */
  onSubscribed({ recovered, missedAfter }) {
    if (this.state !== 'ready') void this.#withRetry(() => this.#loadNewest());
    else if (missedAfter === undefined) void this.#withRetry(() => this.#reload());
    else if (!recovered) void this.#withRetry(() => this.#catchUp(missedAfter));
    void this.#loadMembers();
  }

  /** @param {EventFrame} event */
  onEvent(event) {
    this.timeline.apply(event);
    if (event.type === 'MESSAGE') {
      this.#stopTyping(event.senderId ?? '');
      this.#advanceReadMarker(event.senderId ?? '', event.seq);
      if (event.senderId !== this.selfId && this.state === 'ready') this.emit('message', event);
    }
    if (event.type.startsWith('MEMBER_')) this.#onMembershipEvent(event);
    if (event.type === 'ROOM_CHANGED') {
      this.info = { ...this.info, ...changesOf(event) };
      if (event.memberCount !== undefined) void this.#loadMembers();
      this.emit('members');
    }
    if (event.type === 'ROOM_DELETED') this.emit('removed', 'This room was deleted.');
  }

  /** @param {string} userId */
  onTyping(userId) {
    if (userId === this.selfId) return;
    clearTimeout(this.#typing.get(userId));
    this.#typing.set(userId, setTimeout(() => this.#stopTyping(userId), TYPING_TTL_MS));
    this.emit('typing');
  }

  /** @param {{ userId?: string, read?: number }} frame a RECEIPT */
  onReceipt({ userId = '', read }) {
    if (typeof read === 'number') this.#advanceReadMarker(userId, read);
  }

  /** Ids of the other members who have read up to `seq`. @param {number} seq */
  readersOf(seq) {
    return [...this.#readMarkers].filter(([userId, read]) => userId !== this.selfId && read >= seq && this.members.has(userId)).map(([userId]) => userId);
  }

  /**
   * Why a text cannot be sent in this room; the composer keeps it.
   * @param {string} content
   * @param {{ replyTo?: string, mentions?: string[] }} [more]
   * @returns {string} empty when it can be sent
   */
  problemWith(content, more = {}) {
    const problem = frameProblem({ type: 'SEND_MESSAGE', roomId: this.roomId, content, ...more }, this.client.limits);
    if (problem) return problem.message;
    return this.outbox.isFull(this.roomId) ? 'Too many messages are waiting to be sent. Wait until the connection is back.' : '';
  }

  /**
   * @param {string} content
   * @param {{ replyTo?: string, mentions?: string[] }} [more]
   */
  send(content, more = {}) {
    const message = { clientMsgId: this.client.mintId(), content, ...(more.replyTo ? { replyTo: more.replyTo } : {}), ...(more.mentions?.length ? { mentions: more.mentions } : {}) };
    const ts = new Date().toISOString();
    this.newAfter = undefined;
    this.timeline.addPending({ ...message, ts });
    this.outbox.send({ roomId: this.roomId, ...message }, ts);
  }

  /** @param {string} clientMsgId */
  retry(clientMsgId) {
    if (this.timeline.retry(clientMsgId)) this.outbox.retry(clientMsgId);
  }

  /** @param {string} clientMsgId */
  discard(clientMsgId) {
    this.timeline.discard(clientMsgId);
    this.outbox.discard(clientMsgId);
  }

  /** Shows an unsent message of an earlier page or another tab. @param {Unsent} unsent */
  restored({ clientMsgId, ts, frame, status, error }) {
    const { content, replyTo, mentions } = frame;
    this.timeline.addPending({ clientMsgId, ts, content, ...(replyTo ? { replyTo } : {}), ...(mentions ? { mentions } : {}) });
    if (status === 'failed') this.timeline.fail(clientMsgId, error ?? '');
  }

  /** @param {Unsent} unsent @param {import('../../types/wire').Ack} ack */
  acknowledged({ clientMsgId }, ack) {
    this.timeline.confirm({ ...ack, clientMsgId });
    this.#advanceReadMarker(this.selfId, ack.seq);
  }

  /** @param {Unsent} unsent */
  failed({ clientMsgId, error }) {
    this.timeline.fail(clientMsgId, error ?? '');
  }

  /** Advances the read marker. @param {number} seq @returns {boolean} whether it has advanced */
  markRead(seq) {
    if (seq <= this.readSeq) return false;
    this.readSeq = seq;
    this.client.markRead(this.roomId, seq);
    return true;
  }

  /** Loads the page before the oldest loaded message. */
  async loadBefore() {
    if (this.loadingBefore || this.state !== 'ready' || !this.timeline.hasMoreBefore) return;
    this.loadingBefore = true;
    const load = this.timeline.startPage();
    try {
      const before = this.timeline.firstMessageSeq;
      const page = await this.api.history(this.roomId, { limit: HISTORY_PAGE_SIZE, ...(before === undefined ? {} : { before }) });
      this.timeline.insertPage(load, page);
    } catch {
      this.timeline.abandonPage(load);
      await delay(RETRY_DELAY_MS);
    } finally {
      this.loadingBefore = false;
      this.emit('changed');
    }
  }

  /** A quoted message, fetched when it is not loaded; null when it is not available. @param {string} messageId */
  quoted(messageId) {
    const loaded = this.timeline.message(messageId);
    if (loaded) return loaded;
    if (!this.#quoted.has(messageId)) {
      this.#quoted.set(messageId, null);
      this.api.message(this.roomId, messageId).then((event) => {
        this.#quoted.set(messageId, event);
        this.emit('changed');
      }, () => {});
    }
    return this.#quoted.get(messageId) ?? null;
  }

  /** Retries `work` until it succeeds, fails for good, or the room is closed. @param {() => Promise<void>} work */
  async #withRetry(work) {
    this.#activeLoads += 1;
    try {
      while (this.#isOpen) {
        try {
          return await work();
        } catch (error) {
          const { status = 0, message } = /** @type {any} */ (error);
          if (status >= 400 && status < 500 && status !== 429) {
            this.error = message;
            this.state = 'failed';
            return;
          }
          await delay(RETRY_DELAY_MS);
        }
      }
    } finally {
      this.#activeLoads -= 1;
      this.emit('changed');
    }
  }

  async #loadNewest() {
    const load = this.timeline.startPage();
    try {
      const page = await this.api.history(this.roomId, { limit: HISTORY_PAGE_SIZE });
      this.state = 'ready';
      this.timeline.insertPage(load, page);
      this.emit('history', page.events);
    } finally {
      this.timeline.abandonPage(load);
    }
  }

  async #reload() {
    const load = this.timeline.startPage();
    try {
      const page = await this.api.history(this.roomId, { limit: HISTORY_PAGE_SIZE });
      this.timeline.reset();
      this.timeline.insertPage(load, page);
      this.emit('history', page.events);
    } finally {
      this.timeline.abandonPage(load);
    }
  }

  /** @param {number} missedAfter */
  async #catchUp(missedAfter) {
    const load = this.timeline.startPage();
    /** @type {EventFrame[]} */
    const events = [];
    try {
      let after = missedAfter;
      for (let pages = 0; pages < CATCH_UP_PAGES_MAX; pages += 1) {
        const page = await this.api.history(this.roomId, { after, limit: CATCH_UP_PAGE_SIZE });
        events.push(...page.events);
        after = page.events.at(-1)?.seq ?? after;
        if (!page.hasMoreAfter) {
          this.timeline.insertEvents(load, events);
          this.emit('history', events);
          return;
        }
      }
    } finally {
      this.timeline.abandonPage(load);
    }
    await this.#reload();
  }

  async #loadMembers() {
    if (!this.#isOpen) return;
    try {
      const members = await this.api.members(this.roomId);
      this.members = new Map(members.map((member) => [member.userId, member]));
      for (const { userId, marks } of members) if (marks?.read) this.#advanceReadMarker(userId, marks.read);
      this.info = { ...this.info, memberCount: Math.max(members.length, members.length < 1000 ? 0 : this.info.memberCount) };
      this.emit('members');
      this.emit('receipts');
    } catch {
      // Fetched again with the next subscription.
    }
  }

  /** @param {EventFrame} event */
  #onMembershipEvent({ type, userId = '', role = 'MEMBER' }) {
    if (type === 'MEMBER_LEFT') this.members.delete(userId);
    else this.members.set(userId, { marks: { read: 0 }, ...this.members.get(userId), userId, role });
    this.info = { ...this.info, memberCount: this.members.size };
    this.emit('members');
    // A replay can contain many joins and leaves: the members are fetched once after them.
    clearTimeout(this.#membersTimer);
    if (type !== 'MEMBER_LEFT' || userId !== this.selfId) this.#membersTimer = setTimeout(() => void this.#loadMembers(), 500);
  }

  /** @param {string} userId @param {number} seq */
  #advanceReadMarker(userId, seq) {
    if (userId === '' || seq <= (this.#readMarkers.get(userId) ?? 0)) return;
    this.#readMarkers.set(userId, seq);
    if (userId === this.selfId) this.readSeq = Math.max(this.readSeq, seq);
    this.emit('receipts');
  }

  /** @param {string} userId */
  #stopTyping(userId) {
    clearTimeout(this.#typing.get(userId));
    if (this.#typing.delete(userId)) this.emit('typing');
  }
}

/** @param {number} ms @returns {Promise<void>} */
function delay(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
