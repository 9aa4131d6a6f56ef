/**
 * Who is who, and who is here. Ids are opaque, so names are read one by one, a few at a time, and kept;
 * until one is known its owner is shown without a name. Emits `names` and `presence`.
 */
import { withoutControls } from './bidi.js';
import { Emitter } from './emitter.js';

const LOOKUPS_AT_ONCE = 4;
const RETRY_MS = 5_000;
/** Accounts made here have such ids; other ids come from a host product and are names of a kind themselves. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-/i;

/**
 * @typedef {import('../../types/wire').User} User
 * @typedef {import('../../types/wire').Status} Status
 */

/** @param {User} user */
export const shownName = ({ displayName, name, userId }) => withoutControls(displayName || '') || name || userId;

export class People extends Emitter {
  /** Rises whenever a name became known: what shows names compares it. */
  revision = 0;
  /** @type {Map<string, User>} */ #users = new Map();
  /** @type {Set<string>} */ #wanted = new Set();
  /** @type {Map<string, { status: Status, lastSeen?: string }>} */ #presence = new Map();
  /** @type {Map<string, string[]>} */ #watched = new Map();
  #looking = 0;
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

  /** What is known of a person; unknown ones are looked up. @param {string} userId */
  user(userId) {
    const user = this.#users.get(userId);
    if (!user && userId !== '') {
      this.#wanted.add(userId);
      void this.#lookUp();
    }
    return user;
  }

  /** The name to show. @param {string} userId */
  name(userId) {
    const user = this.user(userId);
    return user ? shownName(user) : '…';
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
  presenceIs({ userId, status, lastSeen }) {
    this.#presence.set(userId, { status, lastSeen });
    this.emit('presence', userId);
  }

  /** Sets the users whose presence one part of the page watches. @param {string} part @param {string[]} userIds */
  watch(part, userIds) {
    this.#watched.set(part, userIds);
    this.#watch([...new Set([...this.#watched.values()].flat())]);
  }

  async #lookUp() {
    while (this.#looking < LOOKUPS_AT_ONCE && this.#wanted.size > 0) {
      const [userId] = this.#wanted;
      this.#wanted.delete(userId);
      if (this.#users.has(userId)) continue;
      this.#looking += 1;
      this.#read(userId).finally(() => {
        this.#looking -= 1;
        void this.#lookUp();
      });
    }
  }

  /** @param {string} userId */
  async #read(userId) {
    // A placeholder keeps a second look-up from starting while this one is under way.
    this.#users.set(userId, { userId, displayName: '…' });
    try {
      this.put(await this.#api.user(userId));
    } catch (error) {
      if (/** @type {any} */ (error)?.status === 404) {
        this.put(UUID.test(userId) ? { userId, displayName: 'Former member' } : { userId });
        return;
      }
      this.#users.delete(userId);
      setTimeout(() => this.user(userId), RETRY_MS);
    }
  }
}
