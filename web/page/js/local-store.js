/**
 * Storage of unsent messages and drafts: IndexedDB, or memory in browsers without it (some private
 * windows). Every change is one transaction over both tables, and transactions run in the order of their
 * creation, so an earlier change never overwrites a later one.
 */

const DATABASE = 'roomcast';
const VERSION = 1;
const OUTBOX = 'outbox';
const DRAFTS = 'drafts';
/** After this time the page uses memory: it must not wait for the database. */
const OPEN_TIMEOUT_MS = 3_000;

/**
 * @typedef {import('../../types/wire').Frame} Frame
 * @typedef {{ userId: string, roomId: string, clientMsgId: string, order: number, owner: string, ts: string,
 *   frame: Frame & { roomId: string, clientMsgId: string }, status: 'sending' | 'failed', error?: string }} Unsent
 *   a frame without an acknowledgement; `owner` is the tab that sends it
 * @typedef {{ put: Unsent } | { remove: Unsent } | { draft: string, userId: string, roomId: string } | { clear: string }} Change
 *   an empty draft removes it; `clear` names a user
 * @typedef {{ unsent: Unsent[], drafts: Map<string, string> }} StoredState
 * @typedef {{ isDurable: boolean, read: (userId: string) => Promise<StoredState>, apply: (changes: Change[]) => Promise<void>,
 *   claim: (userId: string, from: Set<string>, owner: string) => Promise<Unsent[]>, close: () => void }} Store
 *   `claim` transfers the frames of the tabs `from` to `owner`, for one caller only
 */

/**
 * Reading `globalThis.indexedDB` itself throws in browsers that block site data.
 *
 * @param {IDBFactory | undefined} [factory] @returns {Promise<Store>}
 */
export async function openStore(factory) {
  try {
    const database = factory ?? globalThis.indexedDB;
    if (!database) return new MemoryStore();
    return new IndexedDbStore(await openDatabase(database));
  } catch {
    return new MemoryStore();
  }
}

/** @implements {Store} */
export class MemoryStore {
  isDurable = false;
  /** @type {Map<string, Unsent>} */ #unsent = new Map();
  /** @type {Map<string, Map<string, string>>} */ #drafts = new Map();

  /** @param {string} userId @returns {Promise<StoredState>} */
  async read(userId) {
    const unsent = [...this.#unsent.values()].filter((each) => each.userId === userId);
    return { unsent: structuredClone(unsent), drafts: new Map(this.#drafts.get(userId)) };
  }

  /** @param {Change[]} changes */
  async apply(changes) {
    for (const change of changes) {
      if ('put' in change) this.#unsent.set(keyOf(change.put).join(' '), structuredClone(change.put));
      else if ('remove' in change) this.#unsent.delete(keyOf(change.remove).join(' '));
      else if ('clear' in change) this.#clear(change.clear);
      else this.#setDraft(change);
    }
  }

  /** @param {string} userId @param {Set<string>} from @param {string} owner */
  async claim(userId, from, owner) {
    const claimed = [...this.#unsent.values()].filter((each) => each.userId === userId && from.has(each.owner));
    for (const each of claimed) each.owner = owner;
    return structuredClone(claimed);
  }

  close() {}

  /** @param {string} userId */
  #clear(userId) {
    for (const [key, each] of this.#unsent) if (each.userId === userId) this.#unsent.delete(key);
    this.#drafts.delete(userId);
  }

  /** @param {{ draft: string, userId: string, roomId: string }} change */
  #setDraft({ draft, userId, roomId }) {
    const drafts = this.#drafts.get(userId) ?? new Map();
    this.#drafts.set(userId, drafts);
    if (draft === '') drafts.delete(roomId);
    else drafts.set(roomId, draft);
  }
}

/** @implements {Store} */
class IndexedDbStore {
  isDurable = true;
  #database;

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.#database = database;
    // Another tab with a newer page may need to upgrade the database.
    database.onversionchange = () => database.close();
  }

  /** @param {string} userId @returns {Promise<StoredState>} */
  async read(userId) {
    const { outbox, drafts } = this.#tables('readonly');
    const [unsent, texts] = await Promise.all([requestResult(outbox.getAll(userRange(userId))), requestResult(drafts.getAll(userRange(userId)))]);
    return { unsent, drafts: new Map(texts.map((/** @type {{ roomId: string, text: string }} */ each) => [each.roomId, each.text])) };
  }

  /** @param {Change[]} changes @returns {Promise<void>} */
  apply(changes) {
    const { outbox, drafts, done, commit } = this.#tables('readwrite');
    for (const change of changes) {
      if ('put' in change) outbox.put(change.put);
      else if ('remove' in change) outbox.delete(keyOf(change.remove));
      else if ('clear' in change) {
        outbox.delete(userRange(change.clear));
        drafts.delete(userRange(change.clear));
      } else if (change.draft === '') drafts.delete([change.userId, change.roomId]);
      else drafts.put({ userId: change.userId, roomId: change.roomId, text: change.draft });
    }
    commit();
    return done;
  }

  /** @param {string} userId @param {Set<string>} from @param {string} owner @returns {Promise<Unsent[]>} */
  async claim(userId, from, owner) {
    const { outbox, done } = this.#tables('readwrite');
    const all = /** @type {Unsent[]} */ (await requestResult(outbox.getAll(userRange(userId))));
    const claimed = all.filter((each) => from.has(each.owner)).map((each) => ({ ...each, owner }));
    for (const each of claimed) outbox.put(each);
    await done;
    return claimed;
  }

  close() {
    this.#database.close();
  }

  /** One transaction over both tables. @param {IDBTransactionMode} mode */
  #tables(mode) {
    const transaction = this.#database.transaction([OUTBOX, DRAFTS], mode);
    const done = /** @type {Promise<void>} */ (new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('the browser ended the transaction'));
    }));
    // Commit explicitly instead of waiting for the browser's automatic commit: the page may be closing.
    const commit = () => transaction.commit?.();
    return { outbox: transaction.objectStore(OUTBOX), drafts: transaction.objectStore(DRAFTS), done, commit };
  }
}

/** @param {IDBFactory} factory @returns {Promise<IDBDatabase>} */
function openDatabase(factory) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the browser does not open its database')), OPEN_TIMEOUT_MS);
    const request = factory.open(DATABASE, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(OUTBOX, { keyPath: ['userId', 'roomId', 'clientMsgId'] });
      request.result.createObjectStore(DRAFTS, { keyPath: ['userId', 'roomId'] });
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      resolve(request.result);
    };
    request.onerror = () => {
      clearTimeout(timer);
      reject(request.error);
    };
  });
}

/** @param {IDBRequest} request @returns {Promise<any>} */
function requestResult(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** The key range of one user: an array sorts behind any string. @param {string} userId */
function userRange(userId) {
  return IDBKeyRange.bound([userId], [userId, []]);
}

/** @param {Unsent} unsent */
function keyOf({ userId, roomId, clientMsgId }) {
  return [userId, roomId, clientMsgId];
}
