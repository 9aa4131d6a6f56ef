/**
 * The signed-in session and its access tokens.
 *
 * The session is stored in localStorage and shared by all tabs. A refresh token works once: within a tab
 * concurrent callers share one refresh; between tabs a Web Lock serialises refreshes, and later tabs use
 * the stored result. In browsers without locks the server's 30 s of grace returns the same successor to
 * both tabs.
 */
import { ApiError, request } from './api.js';
import { Emitter } from './emitter.js';
import { safeStore } from './key-value-store.js';

const STORAGE_KEY = 'roomcast.session';
const LOCK_NAME = 'roomcast.session.refresh';
/** A token this close to its expiry is refreshed before use. */
const REFRESH_MARGIN_MS = 20_000;

/**
 * @typedef {{ accessToken: string, refreshToken: string, renewAt: number }} Tokens
 * @typedef {import('./key-value-store.js').KeyValueStore} KeyValueStore
 * @typedef {<T>(work: () => Promise<T>) => Promise<T>} Exclusively
 */

export class Session extends Emitter {
  /** @type {Promise<string> | undefined} */ #refreshing;
  #storage;
  #fetch;
  #exclusively;

  /**
   * Emits `ended` when the session ends in any tab, and `replaced` when another tab signs in again.
   * @param {{ storage?: KeyValueStore, fetch?: typeof globalThis.fetch, exclusively?: Exclusively }} [options]
   */
  constructor({ storage = safeStore, fetch = (...args) => globalThis.fetch(...args), exclusively = withTabLock } = {}) {
    super();
    this.#storage = storage;
    this.#fetch = fetch;
    this.#exclusively = exclusively;
  }

  get signedIn() {
    return this.#read() !== undefined;
  }

  /** @param {{ name: string, password: string, displayName?: string }} account */
  async signUp(account) {
    await request('POST', '/v1/accounts', { body: account, fetch: this.#fetch });
    await this.signIn(account);
  }

  /** @param {{ name: string, password: string }} account */
  async signIn({ name, password }) {
    this.#store(await request('POST', '/v1/sessions', { body: { name, password }, fetch: this.#fetch }));
  }

  /**
   * Returns a valid access token.
   * @param {string} [stale] a token that was rejected or is about to expire
   * @returns {Promise<string>} rejects with `UNAUTHORIZED` when there is no session any more
   */
  async get(stale) {
    const tokens = this.#read();
    if (tokens && isUsable(tokens, stale)) return tokens.accessToken;
    this.#refreshing ??= this.#exclusively(() => this.#refresh(stale)).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Deletes the session in every tab of this browser. */
  end() {
    this.#storage.removeItem(STORAGE_KEY);
    this.emit('ended');
  }

  /** Handles a session change of another tab; bind it to the window's `storage` event. @param {StorageEvent} event */
  storageChanged(event) {
    if (event.key !== STORAGE_KEY && event.key !== null) return;
    if (!this.signedIn) this.emit('ended');
    else if (event.oldValue === null) this.emit('replaced');
  }

  /** @param {string | undefined} stale */
  async #refresh(stale) {
    const tokens = this.#read();
    if (!tokens) throw new ApiError(401, 'UNAUTHORIZED', 'You are signed out.');
    // Another tab may have refreshed while this one waited for the lock.
    if (isUsable(tokens, stale)) return tokens.accessToken;
    try {
      return this.#store(await request('POST', '/v1/sessions/refresh', { body: { refreshToken: tokens.refreshToken }, fetch: this.#fetch }));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      const now = this.#read();
      if (now && now.refreshToken !== tokens.refreshToken) return now.accessToken;
      this.end();
      throw new ApiError(401, 'UNAUTHORIZED', 'Your session has ended. Please sign in again.');
    }
  }

  /** @param {import('../../types/wire').TokenPair} pair */
  #store({ accessToken, refreshToken, expiresIn }) {
    const lifetimeMs = expiresIn * 1000;
    const tokens = { accessToken, refreshToken, renewAt: Date.now() + lifetimeMs - Math.min(REFRESH_MARGIN_MS, lifetimeMs / 4) };
    this.#storage.setItem(STORAGE_KEY, JSON.stringify(tokens));
    return accessToken;
  }

  /** @returns {Tokens | undefined} */
  #read() {
    try {
      return JSON.parse(this.#storage.getItem(STORAGE_KEY) ?? 'null') ?? undefined;
    } catch {
      return undefined;
    }
  }
}

/**
 * @param {Tokens} tokens
 * @param {string | undefined} stale
 */
function isUsable(tokens, stale) {
  return tokens.accessToken !== stale && Date.now() < tokens.renewAt;
}

/** @type {Exclusively} */
function withTabLock(work) {
  // Browsers provide locks in secure contexts only; elsewhere the server's grace period applies.
  const locks = globalThis.navigator?.locks;
  return locks ? locks.request(LOCK_NAME, /** @type {any} */ (work)) : work();
}
