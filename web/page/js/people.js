/**
 * Names and presence of users. Names are fetched by id, a few at a time, and cached; until then a
 * placeholder is shown. Emits `names` and `presence`.
 */
import { stripControls } from './bidi.js';
import { Emitter } from './emitter.js';

const FETCH_CONCURRENCY_MAX = 4;
const RETRY_DELAY_MS = 5_000;
/** Ids of accounts in this installation; ids of other forms come from the host product and are readable. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-/i;

/**
 * @typedef {import('../../types/wire').User} User
 * @typedef {import('../../types/wire').Status} Status
 */

/** @param {User} user */
export const displayNameOf = ({ displayName, name, userId }) => stripControls(displayName || '') || name || userId;

export class People extends Emitter {
  /** Increases when a name becomes known; views compare it. */
  revision = 0;
  /** @type {Map<string, User>} */ #users = new Map();
  /** @type {Set<string>} */ #missing = new Set();
  /** @type {Map<string, { status: Status, lastSeen?: string }>} */ #presence = new Map();
  /** @type {Map<string, string[]>} */ #watched = new Map();
  #fetching = 0;
  #api;
  #watch;

  /**
   * @param {{ api: Pick<import('./api.js').Api, 'user'>, watch: (userIds: string[]) => void }} options
   */
  constructor({ api, watch }) {
    super();
    this.#api = api;
    this.#watch = watch;
  }

  /** @param {User} user */
  put(user) {
    this.#users.set(user.userId, user);
    this.revision += 1;
    this.emit('names');
  }

  /** A cached user; unknown ones are fetched. @param {string} userId */
  user(userId) {
    const user = this.#users.get(userId);
    if (!user && userId !== '') {
      this.#missing.add(userId);
      void this.#fetchMissing();
    }
    return user;
  }

  /** The display name. @param {string} userId */
  name(userId) {
    const user = this.user(userId);
    return user ? displayNameOf(user) : '…';
  }

  /** @param {string} userId @returns {Status} */
  status(userId) {
    return this.#presence.get(userId)?.status ?? 'OFFLINE';
  }

  /** @param {string} userId */
  lastSeen(userId) {
    return this.#presence.get(userId)?.lastSeen;
  }

  /** @param {{ userId: string, status: Status, lastSeen?: string }} frame */
  setPresence({ userId, status, lastSeen }) {
    this.#presence.set(userId, { status, lastSeen });
    this.emit('presence', userId);
  }

  /** Sets the users whose presence one part of the page watches. @param {string} part @param {string[]} userIds */
  watch(part, userIds) {
    this.#watched.set(part, userIds);
    this.#watch([...new Set([...this.#watched.values()].flat())]);
  }

  async #fetchMissing() {
    while (this.#fetching < FETCH_CONCURRENCY_MAX && this.#missing.size > 0) {
      const [userId] = this.#missing;
      this.#missing.delete(userId);
      if (this.#users.has(userId)) continue;
      this.#fetching += 1;
      this.#fetch(userId).finally(() => {
        this.#fetching -= 1;
        void this.#fetchMissing();
      });
    }
  }

  /** @param {string} userId */
  async #fetch(userId) {
    // A placeholder prevents a second fetch of the same user.
    this.#users.set(userId, { userId, displayName: '…' });
    try {
      this.put(await this.#api.user(userId));
    } catch (error) {
      if (/** @type {any} */ (error)?.status === 404) {
        this.put(UUID.test(userId) ? { userId, displayName: 'Former member' } : { userId });
        return;
      }
      this.#users.delete(userId);
      setTimeout(() => this.user(userId), RETRY_DELAY_MS);
    }
  }
}
