/**
 * Unsent messages and drafts, stored across reloads and browser restarts.
 *
 * A frame is stored under its clientMsgId before it is sent and removed when the server acknowledges or
 * rejects it; a rejected message stays, marked as failed, until the user retries or discards it. After a
 * reload the stored frames are resent in their order and under their first clientMsgId, so that the server
 * deduplicates them. Each frame has one owning tab: a tab holds a Web Lock while it is open, and another
 * tab claims the frames of closed tabs. Without Web Locks two tabs may both send a frame, and the server
 * acknowledges the second one as a duplicate.
 *
 * Emits `acknowledged` ({ unsent, ack }) and `failed` (unsent) for messages, `restored` (unsent) for a
 * message claimed from another tab, `rejected` (error) for other frames of an earlier page, and
 * `durability`.
 */
import { Emitter } from './emitter.js';
import { uuidv7 } from './ids.js';
import { MemoryStore, openStore } from './local-store.js';
import { QUEUED_PER_ROOM_MAX } from './send-queue.js';

const TAB_LOCK = 'roomcast.tab.';
/** A failed message without user action is deleted after this time. */
const FAILED_TTL_MS = 30 * 86_400_000;

/**
 * @typedef {import('../../types/wire').Frame} Frame
 * @typedef {import('../../types/wire').Ack} Ack
 * @typedef {import('./local-store.js').Unsent} Unsent
 * @typedef {import('./local-store.js').Store} Store
 * @typedef {Pick<import('./client.js').RoomcastClient, 'enqueue' | 'mintId'>} Client
 */

export class Outbox extends Emitter {
  /** Whether unsent messages survive the end of this page. */
  isDurable;
  /** Frames that this tab sends or shows as failed, by clientMsgId. @type {Map<string, Unsent>} */
  #unsent = new Map();
  /** @type {Map<string, string>} */ #drafts = new Map();
  /** Rooms whose draft is being stored; `true` when it has changed since. @type {Map<string, boolean>} */
  #storing = new Map();
  /** @type {Client | undefined} */ #client;
  #owner = uuidv7(Date.now());
  #lastOrder = 0;
  #closed = false;
  #release = () => {};
  #userId;
  #store;
  #locks;

  /**
   * @param {{ userId: string, store?: Store, locks?: LockManager }} options
   */
  constructor({ userId, store = new MemoryStore(), locks }) {
    super();
    this.#userId = userId;
    this.#store = store;
    this.#locks = locks;
    this.isDurable = store.isDurable;
  }

  /**
   * Opens the outbox of a user, with the frames stored in this browser.
   * @param {string} userId
   * @param {{ store?: Store, locks?: LockManager }} [options]
   */
  static async open(userId, { store, locks = globalThis.navigator?.locks } = {}) {
    const outbox = new Outbox({ userId, store: store ?? (await openStore()), locks });
    await outbox.#open();
    return outbox;
  }

  /** Number of frames without an acknowledgement. */
  get pendingCount() {
    return [...this.#unsent.values()].filter(({ status }) => status === 'sending').length;
  }

  /** The unsent messages of a room, in the order of writing. @param {string} roomId */
  messagesOf(roomId) {
    return this.#inOrder().filter((unsent) => unsent.roomId === roomId && unsent.frame.type === 'SEND_MESSAGE');
  }

  /** Whether the number of a room's unsent frames is at its limit. @param {string} roomId */
  isFull(roomId) {
    return [...this.#unsent.values()].filter((unsent) => unsent.roomId === roomId).length >= QUEUED_PER_ROOM_MAX;
  }

  /** Starts sending, beginning with the frames of an earlier page. @param {Client} client */
  start(client) {
    this.#client = client;
    for (const unsent of this.#inOrder()) if (unsent.status === 'sending') this.#resume(unsent);
  }

  /**
   * Sends a message; the outcome is emitted.
   * @param {{ roomId: string, clientMsgId: string, content: string, replyTo?: string, mentions?: string[] }} message
   * @param {string} ts time of writing
   */
  send(message, ts) {
    const unsent = this.#add({ type: 'SEND_MESSAGE', ...message }, ts);
    this.#drafts.delete(message.roomId);
    this.#save([{ put: unsent }, { draft: '', userId: this.#userId, roomId: message.roomId }]);
    void this.#deliver(unsent).catch(() => {});
  }

  /**
   * Sends an edit, a deletion or a reaction.
   * @param {{ type: 'EDIT_MESSAGE' | 'DELETE_MESSAGE' | 'REACT', roomId: string, messageId: string, [field: string]: any }} frame
   * @returns {Promise<void>} rejects when the server rejects it
   */
  async submit(frame) {
    if (this.isFull(frame.roomId)) throw new Error('Too many changes are waiting to be sent.');
    const unsent = this.#add({ clientMsgId: this.#client?.mintId() ?? '', ...frame }, new Date().toISOString());
    this.#save([{ put: unsent }]);
    await this.#deliver(unsent);
  }

  /** Resends a failed message under the same id. @param {string} clientMsgId */
  retry(clientMsgId) {
    const unsent = this.#unsent.get(clientMsgId);
    if (unsent?.status !== 'failed') return;
    Object.assign(unsent, { status: 'sending', error: undefined, order: this.#nextOrder() });
    this.#save([{ put: unsent }]);
    void this.#deliver(unsent).catch(() => {});
  }

  /** Deletes a failed message. @param {string} clientMsgId */
  discard(clientMsgId) {
    const unsent = this.#unsent.get(clientMsgId);
    if (unsent) this.#remove(unsent);
  }

  /** The draft of a room. @param {string} roomId */
  draft(roomId) {
    return this.#drafts.get(roomId) ?? '';
  }

  /** @param {string} roomId @param {string} text */
  setDraft(roomId, text) {
    if (text === '') this.#drafts.delete(roomId);
    else this.#drafts.set(roomId, text);
    if (this.#storing.has(roomId)) this.#storing.set(roomId, true);
    else void this.#storeDraft(roomId);
  }

  /** Claims the frames of closed tabs. */
  async claimOrphans() {
    if (this.#locks === undefined || this.#closed) return;
    try {
      for (const unsent of await this.#claimOrphaned()) this.#resume(unsent, true);
    } catch (error) {
      this.#storeFailed(error);
    }
  }

  /** Deletes everything stored for the user, at sign-out. */
  async clear() {
    this.close();
    this.#unsent.clear();
    this.#drafts.clear();
    try {
      await this.#store.apply([{ clear: this.#userId }]);
    } catch (error) {
      console.warn('Unsent messages in this browser could not be removed.', error);
    }
  }

  /** Stops storing; the next page sends what is stored. */
  close() {
    this.#closed = true;
    this.#release();
  }

  async #open() {
    await this.#acquireTabLock();
    try {
      this.#drafts = (await this.#store.read(this.#userId)).drafts;
      await this.#claimOrphaned();
    } catch (error) {
      this.#storeFailed(error);
    }
  }

  /** Holds a lock for as long as this tab is open, which marks it as alive for other tabs. @returns {Promise<void>} */
  #acquireTabLock() {
    const locks = this.#locks;
    if (locks === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      locks.request(TAB_LOCK + this.#owner, () => new Promise((/** @type {(value: void) => void} */ release) => {
        this.#release = release;
        resolve();
      })).catch(() => {
        this.#locks = undefined;
        resolve();
      });
    });
  }

  /** @returns {Promise<Unsent[]>} the claimed frames, in order */
  async #claimOrphaned() {
    // The stored owners are read before the held locks: a tab takes its lock before it stores anything.
    const { unsent } = await this.#store.read(this.#userId);
    const owners = new Set(unsent.map(({ owner }) => owner));
    const locks = await this.#locks?.query();
    for (const { name = '' } of locks?.held ?? []) owners.delete(name.slice(TAB_LOCK.length));
    owners.delete(this.#owner);
    if (owners.size === 0) return [];
    const claimed = await this.#store.claim(this.#userId, owners, this.#owner);
    const added = claimed.filter((each) => !this.#unsent.has(each.clientMsgId)).sort(byOrder);
    for (const each of added) {
      if (each.status === 'failed' && Date.now() - Date.parse(each.ts) > FAILED_TTL_MS) this.#save([{ remove: each }]);
      else this.#unsent.set(each.clientMsgId, each);
    }
    return added.filter((each) => this.#unsent.has(each.clientMsgId));
  }

  /** @param {Unsent} unsent @param {boolean} [isClaimed] whether rooms may be open that do not show it yet */
  #resume(unsent, isClaimed = false) {
    const isMessage = unsent.frame.type === 'SEND_MESSAGE';
    if (isMessage && isClaimed) this.emit('restored', unsent);
    if (unsent.status !== 'sending') return;
    this.#deliver(unsent).catch((error) => {
      if (!isMessage) this.emit('rejected', error);
    });
  }

  /** @param {Unsent} unsent */
  async #deliver(unsent) {
    const client = this.#client;
    if (!client) return;
    try {
      const ack = await client.enqueue(unsent.frame, unsent.order);
      this.#remove(unsent);
      if (unsent.frame.type === 'SEND_MESSAGE') this.emit('acknowledged', { unsent, ack });
    } catch (error) {
      // The connection was stopped and the message was not rejected: the next page sends it.
      if (/** @type {any} */ (error).code === 'STOPPED') return;
      if (unsent.frame.type === 'SEND_MESSAGE') this.#fail(unsent, /** @type {Error} */ (error).message);
      else this.#remove(unsent);
      throw error;
    }
  }

  /** @param {Unsent} unsent @param {string} error */
  #fail(unsent, error) {
    if (this.#unsent.get(unsent.clientMsgId) !== unsent) return;
    Object.assign(unsent, { status: 'failed', error });
    this.#save([{ put: unsent }]);
    this.emit('failed', unsent);
  }

  /** @param {Frame & { roomId: string, clientMsgId: string }} frame @param {string} ts */
  #add(frame, ts) {
    /** @type {Unsent} */
    const unsent = { userId: this.#userId, roomId: frame.roomId, clientMsgId: frame.clientMsgId, order: this.#nextOrder(), owner: this.#owner, ts, frame, status: 'sending' };
    this.#unsent.set(unsent.clientMsgId, unsent);
    return unsent;
  }

  /** @param {Unsent} unsent */
  #remove(unsent) {
    if (this.#unsent.get(unsent.clientMsgId) === unsent) this.#unsent.delete(unsent.clientMsgId);
    this.#save([{ remove: unsent }]);
  }

  /** Increases with every frame, across reloads. */
  #nextOrder() {
    for (const { order } of this.#unsent.values()) this.#lastOrder = Math.max(this.#lastOrder, order);
    this.#lastOrder = Math.max(Date.now(), this.#lastOrder + 1);
    return this.#lastOrder;
  }

  #inOrder() {
    return [...this.#unsent.values()].sort(byOrder);
  }

  /** Stores the newest draft of a room; changes during a write are stored once after it. @param {string} roomId */
  async #storeDraft(roomId) {
    do {
      this.#storing.set(roomId, false);
      await this.#save([{ draft: this.draft(roomId), userId: this.#userId, roomId }]);
    } while (this.#storing.get(roomId));
    this.#storing.delete(roomId);
  }

  /** @param {import('./local-store.js').Change[]} changes */
  async #save(changes) {
    if (this.#closed) return;
    try {
      await this.#store.apply(changes);
    } catch (error) {
      this.#storeFailed(error);
    }
  }

  /** The disk is full or the database is gone: the outbox continues in memory. @param {unknown} error */
  #storeFailed(error) {
    console.warn('Unsent messages cannot be stored in this browser.', error);
    this.isDurable = false;
    this.emit('durability');
  }
}

/** @param {Unsent} one @param {Unsent} other */
function byOrder(one, other) {
  return one.order - other.order;
}
