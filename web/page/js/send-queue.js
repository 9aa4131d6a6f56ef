/**
 * Queue of frames without an acknowledgement.
 *
 * Each room has its own first-in-first-out queue with one frame in flight, so a retryable error cannot
 * reorder messages. A frame keeps its clientMsgId through every resend, so the server deduplicates
 * resends. The queue is bounded: past its limit a send is rejected immediately and shown as "not sent".
 * An oversized frame is rejected before the socket: the server would close the connection on it.
 */
import { utf8Bytes } from './bounds.js';
import { backoffMs } from './reconnect-policy.js';

export const QUEUED_PER_ROOM_MAX = 500;
/** Timeout after which a frame without an answer is resent. */
export const ACK_TIMEOUT_MS = 10_000;

/** A rejection with an error code of the contract. */
export class SendError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = 'SendError';
    this.code = code;
  }
}

/**
 * @typedef {import('../../types/wire').Frame} Frame
 * @typedef {import('../../types/wire').Ack} Ack
 * @typedef {{ frame: Frame, order: number, attempts: number, inFlight: boolean,
 *   timer: ReturnType<typeof setTimeout> | undefined,
 *   resolve: (ack: Ack) => void, reject: (error: Error) => void }} Entry
 */

export class SendQueue {
  /** @type {Map<string, Entry[]>} */
  #queues = new Map();
  #online = false;
  #nextRef = 1;
  #send;
  #random;
  #problem;

  /**
   * @param {{ send: (frame: Frame) => boolean, random: () => number,
   *   problem?: (frame: Frame) => import('./bounds.js').Problem | undefined }} options
   *   `send` writes a frame to the socket and returns whether there was one; `problem` returns why a frame
   *   must not be written
   */
  constructor({ send, random, problem = () => undefined }) {
    this.#send = send;
    this.#random = random;
    this.#problem = problem;
  }

  /** Number of frames without an acknowledgement. */
  get length() {
    let waiting = 0;
    for (const queue of this.#queues.values()) waiting += queue.length;
    return waiting;
  }

  /**
   * Keeps `frame` until the server acknowledges or rejects it.
   * @param {Frame & { roomId: string, clientMsgId: string }} frame
   * @param {number} [order] its order in its room's queue, behind every entry of a lower or equal one; last
   *   when absent. An entry that was already sent stays first.
   * @returns {Promise<Ack>}
   */
  push(frame, order = Infinity) {
    const queue = this.#queues.get(frame.roomId) ?? [];
    if (queue.length >= QUEUED_PER_ROOM_MAX) {
      return Promise.reject(new SendError('QUEUE_FULL', 'Too many messages are waiting to be sent.'));
    }
    const problem = this.#problem(frame);
    if (problem) return Promise.reject(new SendError(problem.code, problem.message));
    this.#queues.set(frame.roomId, queue);
    return new Promise((resolve, reject) => {
      const ref = `q${this.#nextRef++}`;
      const entry = { frame: { ...frame, ref }, order, attempts: 0, inFlight: false, timer: undefined, resolve, reject };
      const later = queue.findIndex((each) => each.attempts === 0 && each.order > order);
      queue.splice(later < 0 ? queue.length : later, 0, entry);
      if (queue[0] === entry) this.#sendFirst(queue);
    });
  }

  /**
   * The server closed the connection on an oversized frame. The largest frame in flight is rejected, so
   * that the others are resent after the reconnect.
   */
  rejectLargest() {
    const sent = [...this.#queues.values()].map(([first]) => first).filter((first) => first?.inFlight);
    const [largest] = sent.sort((one, other) => sizeOf(other) - sizeOf(one));
    if (!largest) return;
    this.#finish(largest);
    largest.reject(new SendError('CONTENT_TOO_LARGE', 'This message is too large for the server. Shorten it, or send it in parts.'));
  }

  /** The connection is up: every queue resends its first frame. */
  online() {
    this.#online = true;
    for (const queue of this.#queues.values()) this.#sendFirst(queue);
  }

  /** The connection is down: frames in flight may or may not have arrived. */
  offline() {
    this.#online = false;
    for (const [first] of this.#queues.values()) {
      if (!first) continue;
      clearTimeout(first.timer);
      first.inFlight = false;
    }
  }

  /** Rejects every queued frame, at sign-out. */
  clear() {
    const queues = [...this.#queues.values()];
    this.#queues.clear();
    for (const entry of queues.flat()) {
      clearTimeout(entry.timer);
      entry.reject(new SendError('STOPPED', 'Not sent: the connection was closed.'));
    }
  }

  /**
   * @param {Ack} ack
   * @returns {boolean} whether a frame of this queue matched
   */
  acknowledge(ack) {
    const entry = this.#entryOf(ack);
    if (!entry) return false;
    this.#finish(entry);
    entry.resolve(ack);
    return true;
  }

  /**
   * @param {Frame} error
   * @returns {boolean} whether a frame of this queue matched
   */
  reject(error) {
    const entry = this.#entryOf(error);
    if (!entry) return false;
    if (!error.retryable) {
      this.#finish(entry);
      entry.reject(new SendError(error.code, error.message));
      return true;
    }
    clearTimeout(entry.timer);
    entry.inFlight = false;
    const waitMs = Math.max(Number(error.retryAfterMs) || 0, 200 + backoffMs(entry.attempts, this.#random));
    entry.timer = setTimeout(() => this.#sendFirst(this.#queueOf(entry)), waitMs);
    return true;
  }

  /** @param {Entry[]} queue */
  #sendFirst(queue) {
    const entry = queue[0];
    if (!entry || !this.#online || entry.inFlight) return;
    clearTimeout(entry.timer);
    const problem = this.#problem(entry.frame);
    if (problem) {
      this.#finish(entry);
      entry.reject(new SendError(problem.code, problem.message));
      return;
    }
    if (!this.#send(entry.frame)) return;
    entry.attempts += 1;
    entry.inFlight = true;
    entry.timer = setTimeout(() => {
      entry.inFlight = false;
      this.#sendFirst(this.#queueOf(entry));
    }, ACK_TIMEOUT_MS * Math.min(entry.attempts, 3));
  }

  /**
   * Only the first entry of a queue is ever sent, so only it can be answered.
   * @param {{ ref?: string, roomId?: string, clientMsgId?: string }} answer
   */
  #entryOf(answer) {
    for (const [first] of this.#queues.values()) {
      if (!first || first.attempts === 0) continue;
      if (answer.ref !== undefined && answer.ref === first.frame.ref) return first;
      const sameMessage = answer.clientMsgId !== undefined && answer.clientMsgId === first.frame.clientMsgId;
      if (answer.ref === undefined && sameMessage && (answer.roomId ?? first.frame.roomId) === first.frame.roomId) return first;
    }
    return undefined;
  }

  /** @param {Entry} entry */
  #finish(entry) {
    clearTimeout(entry.timer);
    const queue = this.#queueOf(entry);
    queue.shift();
    if (queue.length === 0) this.#queues.delete(entry.frame.roomId ?? '');
    else this.#sendFirst(queue);
  }

  /** @param {Entry} entry */
  #queueOf(entry) {
    return this.#queues.get(entry.frame.roomId ?? '') ?? [];
  }
}

/** @param {Entry} entry */
function sizeOf(entry) {
  return utf8Bytes(JSON.stringify(entry.frame));
}
