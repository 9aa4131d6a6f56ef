/**
 * localStorage with an in-memory fallback, for browsers that block it (site data, some private windows,
 * a full disk). The fallback ends with the page.
 */

/** @typedef {Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>} KeyValueStore */

/** @implements {KeyValueStore} */
export class SafeStore {
  /** Values that could not be stored; `null` for keys that could not be removed. @type {Map<string, string | null>} */ #memory = new Map();
  #open;

  /** @param {() => KeyValueStore} open may throw: in some browsers naming localStorage does */
  constructor(open = () => globalThis.localStorage) {
    this.#open = open;
  }

  /** @param {string} key @returns {string | null} */
  getItem(key) {
    const value = this.#memory.get(key);
    if (value !== undefined) return value;
    try {
      return this.#open().getItem(key);
    } catch {
      return null;
    }
  }

  /** @param {string} key @param {string} value */
  setItem(key, value) {
    try {
      this.#open().setItem(key, value);
      this.#memory.delete(key);
    } catch {
      this.#memory.set(key, value);
    }
  }

  /** @param {string} key */
  removeItem(key) {
    try {
      this.#open().removeItem(key);
      this.#memory.delete(key);
    } catch {
      this.#memory.set(key, null);
    }
  }
}

/** The page's instance. */
export const safeStore = new SafeStore();
