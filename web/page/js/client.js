/**
 * One person's live connection to the fleet, kept up through everything that can end it.
 *
 * Promises: a frame handed to `enqueue` is sent until it is acknowledged or refused, in order and
 * once in effect; a subscribed room's events are emitted in order, each once, with nothing missing, or a
 * `subscribed` with `recovered: false` means that history must be read; a connection that falls silent is
 * replaced; a close without a way back shows its reason instead of reconnecting without end.
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
/** A connection that stood this long counts as a success: the next loss starts again with short delays. */
const STABLE_AFTER_MS = 5_000;
const TYPING_INTERVAL_MS = 3_000;
const MARK_DELAY_MS = 250;
const WATCHED_USERS_MAX = 200;
/** RFC 6455: the fleet, or a proxy before it, does not take frames of this size. */
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
  /** How far the fleet's clock is ahead of this device's, in milliseconds. */
  clockSkewMs;
  /** What a frame may hold; see WELCOME. */
  limits = DEFAULT_LIMITS;

  /** @type {WebSocket | undefined} */ #socket;
  /** @type {string | undefined} */ #token;
  /** @type {string | undefined} */ #staleToken;
  /** Counts connections tried, so that an answer for an earlier one is recognised. */
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
   *   `clockSkewMs` is the last one known, for ids made before the first WELCOME
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

  /** How many things this person did that the fleet has not acknowledged. */
  get pendingCount() {
    return this.#queue.length;
  }

  /** Whether every subscribed room has everything up to its announced head. */
  get caughtUp() {
    return this.state.phase === 'online' && this.#subscriptions.caughtUp;
  }

  start() {
    if (this.state.phase === 'idle' || this.state.phase === 'stopped') void this.#connect();
  }

  /** Ends the connection for good; what was not acknowledged is refused. */
  stop() {
    this.#closeSocket(1000);
    this.#queue.clear();
    this.#setState({ phase: 'stopped' });
  }

  /** The machine woke up or found a network: try now instead of at the end of the delay. */
  reconnectNow() {
    if (this.state.phase === 'waiting' && this.#reconnectAt === undefined) void this.#connect();
    else if (this.state.phase === 'online') this.#checkHeartbeat();
  }

  /** A new id for something this person does, on the fleet's clock. */
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

  /** The last seq of a subscribed room this client has, to resume from later. @param {string} roomId */
  lastSeq(roomId) {
    return this.#subscriptions.lastSeq(roomId);
  }

  /**
   * Sends a SEND_MESSAGE, EDIT_MESSAGE, DELETE_MESSAGE or REACT until it is acknowledged or refused.
   * @param {Frame & { roomId: string, clientMsgId: string }} frame
   * @param {number} [order] its place among the frames of its room that wait; the last when absent
   * @returns {Promise<Ack>} rejects with `SendError`
   */
  enqueue(frame, order) {
    if (frame.type === 'SEND_MESSAGE') this.#typingSentAt.delete(frame.roomId);
    return this.#queue.push(frame, order);
  }

  /** Sends TYPING; call it at every key, it is throttled. @param {string} roomId */
  typing(roomId) {
    const now = Date.now();
    if (now - (this.#typingSentAt.get(roomId) ?? 0) < TYPING_INTERVAL_MS) return;
    if (this.state.phase === 'online' && this.#send({ type: 'TYPING', roomId })) this.#typingSentAt.set(roomId, now);
  }

  /**
   * Notes that everything up to `seq` was read; sent a moment later, and again after a reconnect.
   * @param {string} roomId
   * @param {number} seq
   */
  markRead(roomId, seq) {
    if (seq <= (this.#marks.get(roomId) ?? 0)) return;
    this.#marks.set(roomId, seq);
    this.#unsentMarks.add(roomId);
    this.#markTimer ??= setTimeout(() => this.#flushMarks(), MARK_DELAY_MS);
  }

  /** Flushes pending marks now: the page may be about to close. */
  flush() {
    this.#flushMarks();
  }

  /** Replaces the list of people whose presence is wanted. @param {string[]} userIds */
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
        // Events of a room carry a seq; a type this page does not know still moves the chain.
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

  /** The gateway is draining: stay until it is time to come back elsewhere. @param {Frame} frame */
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
      // Out of reach: the close 4401 that follows starts over.
      if (/** @type {any} */ (error)?.code === 'UNAUTHORIZED' && socket === this.#socket) this.#onSignedOut();
    }
  }

  /** Looks after the heartbeat: silence replaces the connection, and we are never silent ourselves. */
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
    // A refused handshake looks like a lost network to a page, so a token that failed twice is renewed.
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

  /** Lets go of the socket, if there is one, and of every timer that belonged to it. @param {number} code */
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
    // One oversized frame would cost the connection, and everything that waits for it.
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
