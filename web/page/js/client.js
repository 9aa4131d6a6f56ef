/**
 * A reconnecting WebSocket client of one user.
 *
 * Guarantees: a frame passed to `enqueue` is resent until it is acknowledged or rejected, in order and with
 * one effect. Events of a subscribed room are emitted in order, each once, without gaps; after a
 * `subscribed` with `recovered: false` the caller has to read history. A silent connection is replaced.
 * A final close stops reconnecting and exposes its reason.
 *
 * Emits: `state`, `welcome`, `subscribed`, `unsubscribed`, `caught-up`, `event`, `typing`, `receipt`,
 * `presence`, `notification`, `warning`, `error`, `signed-out`.
 */
import { DEFAULT_LIMITS, frameProblem, limitsOf, utf8Bytes } from './bounds.js';
import { Emitter } from './emitter.js';
import { uuidv7 } from './ids.js';
import { backoffMs, closePolicy, LONG_DELAY_MS } from './reconnect-policy.js';
import { SendQueue } from './send-queue.js';
import { Subscriptions } from './subscriptions.js';

const WELCOME_TIMEOUT_MS = 10_000;
/** A connection of this age resets the back-off. */
const STABLE_AFTER_MS = 5_000;
const TYPING_INTERVAL_MS = 3_000;
const MARK_DELAY_MS = 250;
const WATCHED_USERS_MAX = 200;
/** RFC 6455: the server or a proxy does not accept frames of this size. */
const FRAME_TOO_LARGE = 1009;

/**
 * @typedef {import('../../types/wire').Frame} Frame
 * @typedef {import('../../types/wire').Ack} Ack
 * @typedef {{ phase: 'idle' | 'connecting' | 'online' | 'waiting' | 'stopped', retryAt?: number, message?: string }} ConnectionState
 */

export class RoomcastClient extends Emitter {
  /** @type {ConnectionState} */
  state = { phase: 'idle' };
  /** The last WELCOME; undefined before the first. @type {Frame | undefined} */
  welcome;
  /** Milliseconds by which the server's clock is ahead of this device's. */
  clockSkewMs;
  /** Frame limits; see WELCOME. */
  limits = DEFAULT_LIMITS;

  /** @type {WebSocket | undefined} */ #socket;
  /** @type {string | undefined} */ #token;
  /** @type {string | undefined} */ #staleToken;
  /** Counts connection attempts, to discard results of earlier ones. */
  #attempt = 0;
  #failures = 0;
  #lastReceivedAt = 0;
  #lastSentAt = 0;
  #onlineSince = 0;
  /** @type {number | undefined} */ #reconnectAt;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #migrateTimer;
  /** @type {string[]} */ #watched = [];
  /** @type {'ONLINE' | 'AWAY'} */ #status = 'ONLINE';
  /** @type {Map<string, number>} */ #marks = new Map();
  /** @type {Set<string>} */ #unsentMarks = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #markTimer;
  /** @type {Map<string, number>} */ #typingSentAt = new Map();
  #url;
  #tokens;
  #WebSocket;
  #random;
  #queue;
  #subscriptions;

  /**
   * @param {{ url: string, tokens: import('../../types/wire').TokenSource,
   *   WebSocket?: typeof WebSocket, random?: () => number, clockSkewMs?: number }} options
   *   `clockSkewMs` is the last known one, for ids made before the first WELCOME
   */
  constructor({ url, tokens, WebSocket: Socket = globalThis.WebSocket, random = Math.random, clockSkewMs = 0 }) {
    super();
    this.clockSkewMs = clockSkewMs;
    this.#url = url;
    this.#tokens = tokens;
    this.#WebSocket = Socket;
    this.#random = random;
    const send = (/** @type {Frame} */ frame) => this.#send(frame);
    this.#queue = new SendQueue({ send, random, problem: (frame) => frameProblem(frame, this.limits) });
    this.#subscriptions = new Subscriptions({ send, emit: (type, detail) => this.emit(type, detail) });
  }

  /** Number of frames without an acknowledgement. */
  get pendingCount() {
    return this.#queue.length;
  }

  /** Whether every subscribed room has all events up to its announced head. */
  get caughtUp() {
    return this.state.phase === 'online' && this.#subscriptions.caughtUp;
  }

  start() {
    if (this.state.phase === 'idle' || this.state.phase === 'stopped') void this.#connect();
  }

  /** Ends the connection; frames without an acknowledgement are rejected. */
  stop() {
    this.#closeSocket(1000);
    this.#queue.clear();
    this.#setState({ phase: 'stopped' });
  }

  /** Skips the reconnect delay, for example after the device wakes up or gets a network. */
  reconnectNow() {
    if (this.state.phase === 'waiting' && this.#reconnectAt === undefined) void this.#connect();
    else if (this.state.phase === 'online') this.#checkHeartbeat();
  }

  /** Creates an id for a frame, on the server's clock. */
  mintId() {
    return uuidv7(Date.now() + this.clockSkewMs);
  }

  /**
   * @param {string} roomId
   * @param {number} [after]
   */
  subscribe(roomId, after) {
    this.#subscriptions.add(roomId, after);
  }

  /** @param {string} roomId */
  unsubscribe(roomId) {
    this.#subscriptions.remove(roomId);
  }

  /** The last received seq of a subscribed room, to resume from. @param {string} roomId */
  lastSeq(roomId) {
    return this.#subscriptions.lastSeq(roomId);
  }

  /**
   * Sends a SEND_MESSAGE, EDIT_MESSAGE, DELETE_MESSAGE or REACT until it is acknowledged or rejected.
   * @param {Frame & { roomId: string, clientMsgId: string }} frame
   * @param {number} [order] its order among the queued frames of its room; the last when absent
   * @returns {Promise<Ack>} rejects with `SendError`
   */
  enqueue(frame, order) {
    if (frame.type === 'SEND_MESSAGE') this.#typingSentAt.delete(frame.roomId);
    return this.#queue.push(frame, order);
  }

  /** Sends a throttled TYPING; call it at every key. @param {string} roomId */
  typing(roomId) {
    const now = Date.now();
    if (now - (this.#typingSentAt.get(roomId) ?? 0) < TYPING_INTERVAL_MS) return;
    if (this.state.phase === 'online' && this.#send({ type: 'TYPING', roomId })) this.#typingSentAt.set(roomId, now);
  }

  /**
   * Records the read marker; it is sent after a short delay, and again after a reconnect.
   * @param {string} roomId
   * @param {number} seq
   */
  markRead(roomId, seq) {
    if (seq <= (this.#marks.get(roomId) ?? 0)) return;
    this.#marks.set(roomId, seq);
    this.#unsentMarks.add(roomId);
    this.#markTimer ??= setTimeout(() => this.#flushMarks(), MARK_DELAY_MS);
  }

  /** Sends pending read markers immediately, before the page may close. */
  flush() {
    this.#flushMarks();
  }

  /** Replaces the list of users whose presence is watched. @param {string[]} userIds */
  watchPresence(userIds) {
    const watched = userIds.slice(0, Math.min(this.welcome?.limits?.watchedUsersMax ?? WATCHED_USERS_MAX, WATCHED_USERS_MAX));
    if (watched.length === this.#watched.length && watched.every((userId, index) => userId === this.#watched[index])) return;
    this.#watched = watched;
    if (this.state.phase === 'online') this.#send({ type: 'WATCH_PRESENCE', userIds: watched });
  }

  /** @param {'ONLINE' | 'AWAY'} status */
  setStatus(status) {
    if (status === this.#status) return;
    this.#status = status;
    if (this.state.phase === 'online') this.#send({ type: 'SET_STATUS', status });
  }

  async #connect() {
    this.#closeSocket(1000);
    const attempt = this.#attempt;
    this.#reconnectAt = undefined;
    this.#setState({ phase: 'connecting' });
    try {
      this.#token = await this.#tokens.get(this.#staleToken);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (/** @type {any} */ (error)?.code === 'UNAUTHORIZED') this.#onSignedOut();
      else this.#scheduleReconnect();
      return;
    }
    if (attempt !== this.#attempt) return;
    this.#staleToken = undefined;
    const socket = new this.#WebSocket(this.#url, ['roomcast.v1', `bearer.${this.#token}`]);
    this.#socket = socket;
    socket.onmessage = (event) => {
      if (this.#socket === socket) this.#receive(event.data);
    };
    socket.onclose = (event) => {
      if (this.#socket === socket) this.#onClose(event.code);
    };
    this.#timer = setTimeout(() => this.#onClose(1006), WELCOME_TIMEOUT_MS);
  }

  /** @param {string} text */
  #receive(text) {
    this.#lastReceivedAt = Date.now();
    /** @type {Frame} */
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    this.#dispatch(frame);
  }

  /** @param {Frame} frame */
  #dispatch(frame) {
    switch (frame.type) {
      case 'WELCOME': return this.#onWelcome(frame);
      case 'SUBSCRIBED': return this.#subscriptions.onSubscribed(frame);
      case 'UNSUBSCRIBED': return this.#subscriptions.onUnsubscribed(frame);
      case 'ACK': return void this.#queue.acknowledge(/** @type {any} */ (frame));
      case 'ERROR': return this.#onError(frame);
      case 'RECONNECT': return this.#migrateAfter(frame);
      case 'PONG': return this.#syncClock(frame.serverTime);
      case 'TOKEN_EXPIRING': return void this.#refreshToken();
      case 'TYPING': case 'RECEIPT': case 'PRESENCE': case 'NOTIFICATION': case 'WARNING':
        return this.emit(frame.type.toLowerCase(), frame);
      default:
        // Room events carry a seq; an unknown type still advances the subscription.
        if (typeof frame.seq === 'number' && frame.roomId !== undefined) this.#subscriptions.onEvent(frame);
    }
  }

  /** @param {Frame} frame */
  #onWelcome(frame) {
    clearTimeout(this.#timer);
    this.welcome = frame;
    this.limits = limitsOf(frame.limits);
    this.#onlineSince = this.#lastSentAt = Date.now();
    this.#syncClock(frame.serverTime);
    this.#setState({ phase: 'online' });
    if (this.#status !== 'ONLINE') this.#send({ type: 'SET_STATUS', status: this.#status });
    this.#subscriptions.online();
    this.#queue.online();
    if (this.#watched.length > 0) this.#send({ type: 'WATCH_PRESENCE', userIds: this.#watched });
    for (const roomId of this.#marks.keys()) this.#unsentMarks.add(roomId);
    this.#flushMarks();
    this.emit('welcome', frame);
    this.#checkHeartbeat();
  }

  /** @param {string} serverTime */
  #syncClock(serverTime) {
    const skewMs = Date.parse(serverTime) - Date.now();
    if (Number.isFinite(skewMs)) this.clockSkewMs = skewMs;
  }

  /** @param {Frame} frame */
  #onError(frame) {
    if (this.#queue.reject(frame) || this.#subscriptions.reject(frame)) return;
    this.emit('error', frame);
  }

  /** The gateway is draining: reconnects after the delay that it names. @param {Frame} frame */
  #migrateAfter(frame) {
    const afterMs = Math.max(0, Number(frame.afterMs) || 0);
    this.#reconnectAt = Date.now() + afterMs;
    clearTimeout(this.#migrateTimer);
    this.#migrateTimer = setTimeout(() => {
      if (this.#socket) this.#onClose(1001);
    }, afterMs);
  }

  async #refreshToken() {
    const socket = this.#socket;
    try {
      const token = await this.#tokens.get(this.#token);
      if (socket !== this.#socket) return;
      this.#token = token;
      this.#send({ type: 'AUTH', token });
    } catch (error) {
      // Unreachable: the following close with 4401 refreshes the token again.
      if (/** @type {any} */ (error)?.code === 'UNAUTHORIZED' && socket === this.#socket) this.#onSignedOut();
    }
  }

  /** Replaces a silent connection, and pings before the server considers this one silent. */
  #checkHeartbeat() {
    clearTimeout(this.#timer);
    const heartbeatMs = Number(this.welcome?.heartbeatMs) || 15_000;
    const now = Date.now();
    if (now - this.#lastReceivedAt > 1.5 * heartbeatMs) return this.#onClose(4408);
    if (now - this.#lastSentAt >= heartbeatMs) this.#send({ type: 'PING' });
    this.#timer = setTimeout(() => this.#checkHeartbeat(), heartbeatMs / 4);
  }

  /** @param {number} code */
  #onClose(code) {
    const wasOnline = this.state.phase === 'online';
    if (wasOnline && Date.now() - this.#onlineSince >= STABLE_AFTER_MS) this.#failures = 0;
    if (code === FRAME_TOO_LARGE) this.#queue.rejectLargest();
    this.#closeSocket(1000);
    const policy = closePolicy(code);
    if (policy.reconnect === 'never') {
      this.#setState({ phase: 'stopped', message: policy.message });
      return;
    }
    // Browsers report a rejected handshake like a lost network, so the token is refreshed after two failures.
    if (policy.reconnect === 'new-token' || (!wasOnline && this.#failures === 1)) this.#staleToken = this.#token;
    if (policy.reconnect === 'later') this.#reconnectAt = Date.now() + LONG_DELAY_MS + backoffMs(this.#failures, this.#random);
    if (this.#reconnectAt !== undefined) this.#scheduleReconnect(this.#reconnectAt - Date.now());
    else if (policy.reconnect === 'new-token' && this.#failures === 0) this.#scheduleReconnect(0);
    else this.#scheduleReconnect();
  }

  /** @param {number} [delayMs] when something other than the back-off decides the moment */
  #scheduleReconnect(delayMs = backoffMs(this.#failures, this.#random)) {
    this.#failures += 1;
    this.#setState({ phase: 'waiting', retryAt: Date.now() + Math.max(0, delayMs) });
    this.#timer = setTimeout(() => void this.#connect(), Math.max(0, delayMs));
  }

  #onSignedOut() {
    this.stop();
    this.emit('signed-out');
  }

  /** Closes the socket, if any, and clears its timers. @param {number} code */
  #closeSocket(code) {
    this.#attempt += 1;
    clearTimeout(this.#timer);
    clearTimeout(this.#migrateTimer);
    this.#queue.offline();
    this.#subscriptions.offline();
    this.#typingSentAt.clear();
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close(code);
  }

  #flushMarks() {
    clearTimeout(this.#markTimer);
    this.#markTimer = undefined;
    if (this.state.phase !== 'online') return;
    for (const roomId of this.#unsentMarks) {
      if (this.#send({ type: 'MARK', roomId, read: this.#marks.get(roomId) })) this.#unsentMarks.delete(roomId);
    }
  }

  /**
   * @param {Frame} frame
   * @returns {boolean} whether there was a socket to put it on
   */
  #send(frame) {
    if (this.#socket?.readyState !== 1) return false;
    const text = JSON.stringify(frame);
    // An oversized frame would close the connection and fail every queued frame.
    if (utf8Bytes(text) > this.limits.frameBytesMax) return false;
    this.#socket.send(text);
    this.#lastSentAt = Date.now();
    return true;
  }

  /** @param {ConnectionState} state */
  #setState(state) {
    this.state = state;
    this.emit('state', state);
  }
}
