/**
 * HTTP calls to the server, one method each, with readable errors.
 *
 * A 401 is retried once with a refreshed access token; a second 401 rejects the call.
 */

/** An error of the server's problem document, or `UNREACHABLE` when there was no response. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }
}

/**
 * One HTTP request with an optional access token.
 * @param {string} method
 * @param {string} path
 * @param {{ body?: unknown, token?: string, fetch?: typeof globalThis.fetch }} [options]
 * @returns {Promise<any>} the parsed body, or undefined when there is none
 */
export async function request(method, path, { body, token, fetch = globalThis.fetch } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: 'application/json, application/problem+json' };
  if (token !== undefined) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, 'UNREACHABLE', 'Roomcast cannot be reached. Check your connection and try again.');
  }
  const text = await response.text().catch(() => '');
  const parsed = parse(text);
  if (response.ok) return parsed;
  throw new ApiError(response.status, parsed?.code ?? 'INTERNAL', messageOf(response.status, parsed));
}

/** @param {string} text */
function parse(text) {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * @param {number} status
 * @param {{ code?: string, detail?: string, title?: string } | undefined} problem
 */
function messageOf(status, problem) {
  if (problem?.code === 'RATE_LIMITED') return 'Too many requests. Wait a moment and try again.';
  if (problem?.code === 'LOG_UNAVAILABLE' || status === 503) return 'Roomcast is temporarily unavailable. Try again in a moment.';
  return problem?.detail ?? problem?.title ?? `Something went wrong (${status}).`;
}

const id = encodeURIComponent;

/** @param {Record<string, string | number | undefined>} parameters */
function query(parameters) {
  const present = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== '');
  return present.length === 0 ? '' : `?${new URLSearchParams(present.map(([name, value]) => [name, String(value)]))}`;
}

/**
 * @typedef {import('../../types/wire').RoomInfo} RoomInfo
 * @typedef {import('../../types/wire').Member} Member
 * @typedef {import('../../types/wire').User} User
 */

export class Api {
  #tokens;
  #fetch;

  /**
   * @param {import('../../types/wire').TokenSource} tokens
   * @param {typeof globalThis.fetch} [fetch]
   */
  constructor(tokens, fetch = (...args) => globalThis.fetch(...args)) {
    this.#tokens = tokens;
    this.#fetch = fetch;
  }

  /** @returns {Promise<User>} */
  me() {
    return this.#request('GET', '/v1/me');
  }

  /** @returns {Promise<User>} @param {string} userId */
  user(userId) {
    return this.#request('GET', `/v1/users/${id(userId)}`);
  }

  /** @param {string} name the beginning of it @returns {Promise<User[]>} */
  async searchUsers(name) {
    const reply = await this.#request('GET', `/v1/users${query({ name, limit: 8 })}`);
    return reply?.users ?? [];
  }

  /** One page of the user's rooms, latest activity first. @param {string} [cursor] @returns {Promise<{ rooms: RoomInfo[], nextCursor?: string }>} */
  rooms(cursor) {
    return this.#request('GET', `/v1/rooms${query({ limit: 100, cursor })}`);
  }

  /** The list's rows of these rooms; rooms without membership are left out. @param {string[]} roomIds at most 100 @returns {Promise<RoomInfo[]>} */
  async roomRows(roomIds) {
    const reply = await this.#request('GET', `/v1/rooms?${new URLSearchParams(roomIds.map((roomId) => ['roomId', roomId]))}`);
    return reply?.rooms ?? [];
  }

  /** @param {string} name @returns {Promise<RoomInfo[]>} */
  async searchPublicRooms(name) {
    const reply = await this.#request('GET', `/v1/rooms${query({ visibility: 'PUBLIC', name, limit: 30 })}`);
    return reply?.rooms ?? [];
  }

  /** @param {string} roomId @returns {Promise<RoomInfo>} */
  room(roomId) {
    return this.#request('GET', `/v1/rooms/${id(roomId)}`);
  }

  /** @param {{ kind: string, name?: string, visibility?: string, memberIds?: string[] }} room @returns {Promise<RoomInfo>} */
  createRoom(room) {
    return this.#request('POST', '/v1/rooms', room);
  }

  /**
   * @param {string} roomId
   * @param {{ name?: string, topic?: string, visibility?: string }} change
   */
  updateRoom(roomId, change) {
    return this.#request('PATCH', `/v1/rooms/${id(roomId)}`, change);
  }

  /**
   * @param {string} roomId
   * @param {{ before?: number, after?: number, around?: number, limit?: number }} [range]
   * @returns {Promise<import('../../types/wire').HistoryPage>}
   */
  history(roomId, range = {}) {
    return this.#request('GET', `/v1/rooms/${id(roomId)}/messages${query(range)}`);
  }

  /**
   * @param {string} roomId
   * @param {string} messageId
   * @returns {Promise<import('../../types/wire').EventFrame>}
   */
  message(roomId, messageId) {
    return this.#request('GET', `/v1/rooms/${id(roomId)}/messages/${id(messageId)}`);
  }

  /** The members of a room, at most 1000. @param {string} roomId @returns {Promise<Member[]>} */
  async members(roomId) {
    const reply = await this.#request('GET', `/v1/rooms/${id(roomId)}/members${query({ limit: 1000 })}`);
    return reply?.members ?? [];
  }

  /** Adds a member, or joins a public room. @param {string} roomId @param {string} userId */
  addMember(roomId, userId) {
    return this.#request('PUT', `/v1/rooms/${id(roomId)}/members/${id(userId)}`, {});
  }

  /** @param {string} roomId @param {string} userId @param {string} role */
  changeRole(roomId, userId, role) {
    return this.#request('PATCH', `/v1/rooms/${id(roomId)}/members/${id(userId)}`, { role });
  }

  /** Removes a member, or leaves the room. @param {string} roomId @param {string} userId */
  removeMember(roomId, userId) {
    return this.#request('DELETE', `/v1/rooms/${id(roomId)}/members/${id(userId)}`);
  }

  signOut() {
    return this.#request('DELETE', '/v1/sessions/current');
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   */
  async #request(method, path, body) {
    const token = await this.#tokens.get();
    try {
      return await request(method, path, { body, token, fetch: this.#fetch });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      return request(method, path, { body, token: await this.#tokens.get(token), fetch: this.#fetch });
    }
  }
}
