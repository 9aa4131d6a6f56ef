/**
 * What a person wrote and the fleet has not acknowledged, and what they have not sent yet, kept over
 * reloads and restarts of the browser.
 *
 * A frame is stored under its clientMsgId before it is sent and removed when the fleet acknowledged or
 * refused it; a refused message stays, marked as failed, until the person sends it again or discards it.
 * After a reload the stored frames are sent in the order they were written, under their first
 * clientMsgId, so that the fleet takes each once however often it is sent. One tab owns a frame: a tab
 * holds a Web Lock while it lives, and frames of tabs that are gone are claimed by another. Without Web
 * Locks two tabs may both send a frame, and the fleet answers the second as a duplicate.
 *
 * Emits `acknowledged` ({ unsent, ack }) and `failed` (unsent) for messages, `restored` (unsent) for a
 * message claimed from another tab, `refused` (error) for other frames of an earlier page, and
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
  /** Whether what is written survives the end of this page. */
  isDurable;
  /** What this tab sends or shows as failed, by clientMsgId. @type {Map<string, Unsent>} */
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
   * Opens what this browser keeps for the user.
   * @param {string} userId
   * @param {{ store?: Store, locks?: LockManager }} [options]
   */
  static async open(userId, { store, locks = globalThis.navigator?.locks } = {}) {
    const outbox = new Outbox({ userId, store: store ?? (await openStore()), locks });
    await outbox.#open();
    return outbox;
  }

  /** How many frames wait for their acknowledgement. */
  get pendingCount() {
    return [...this.#unsent.values()].filter(({ status }) => status === 'sending').length;
  }

  /** The unsent messages of a room, in the order they were written. @param {string} roomId */
  messagesOf(roomId) {
    return this.#inOrder().filter((unsent) => unsent.roomId === roomId && unsent.frame.type === 'SEND_MESSAGE');
  }

  /** Whether a room has as many unsent frames as may wait. @param {string} roomId */
  isFull(roomId) {
    return [...this.#unsent.values()].filter((unsent) => unsent.roomId === roomId).length >= QUEUED_PER_ROOM_MAX;
  }

  /** Begins to send, with what an earlier page left. @param {Client} client */
  start(client) {
    this.#client = client;
    for (const unsent of this.#inOrder()) if (unsent.status === 'sending') this.#resume(unsent);
  }

  /**
   * Sends a message; the outcome is emitted.
   * @param {{ roomId: string, clientMsgId: string, content: string, replyTo?: string, mentions?: string[] }} message
   * @param {string} ts when it was written
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
   * @returns {Promise<void>} rejects when the fleet refuses it
   */
  async submit(frame) {
    if (this.isFull(frame.roomId)) throw new Error('Too many changes are waiting to be sent.');
    const unsent = this.#add({ clientMsgId: this.#client?.mintId() ?? '', ...frame }, new Date().toISOString());
    this.#save([{ put: unsent }]);
    await this.#deliver(unsent);
  }

  /** Sends a failed message again, under the same id. @param {string} clientMsgId */
  retry(clientMsgId) {
    const unsent = this.#unsent.get(clientMsgId);
    if (unsent?.status !== 'failed') return;
    Object.assign(unsent, { status: 'sending', error: undefined, order: this.#nextOrder() });
    this.#save([{ put: unsent }]);
    void this.#deliver(unsent).catch(() => {});
  }

  /** Forgets a failed message. @param {string} clientMsgId */
  discard(clientMsgId) {
    const unsent = this.#unsent.get(clientMsgId);
    if (unsent) this.#remove(unsent);
  }

  /** What was typed in a room and not sent. @param {string} roomId */
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

  /** Takes over what tabs that are gone have left. */
  async claimOrphans() {
    if (this.#locks === undefined || this.#closed) return;
    try {
      for (const unsent of await this.#claimOrphaned()) this.#resume(unsent, true);
    } catch (error) {
      this.#storeFailed(error);
    }
  }

  /** Removes everything that is kept for the user, as at a sign-out. */
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

  /** Stores nothing more; what is stored is sent by the next page. */
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

  /** Holds a lock that shows other tabs that this one lives, until it ends. @returns {Promise<void>} */
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

  /** @returns {Promise<Unsent[]>} what became this tab's, in order */
  async #claimOrphaned() {
    // The stored owners are read before the living tabs: a tab that stores something lives already.
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
      // The connection was ended, not the message refused: the next page sends it.
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

  /** Rises with every frame, over reloads too. */
  #nextOrder() {
    for (const { order } of this.#unsent.values()) this.#lastOrder = Math.max(this.#lastOrder, order);
    this.#lastOrder = Math.max(Date.now(), this.#lastOrder + 1);
    return this.#lastOrder;
  }

  #inOrder() {
    return [...this.#unsent.values()].sort(byOrder);
  }

  /** Stores the newest draft of a room; while that is under way, only the last change waits. @param {string} roomId */
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

  /** The browser's disk is full or its database is gone: the page goes on from memory. @param {unknown} error */
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
