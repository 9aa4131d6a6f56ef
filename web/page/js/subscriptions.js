/**
 * Room subscriptions of one connection, with gap detection.
 *
 * Every event names its predecessor. An event whose `prev` is beyond the last seq proves a gap, and the
 * room is subscribed again from the last seq. Until the answer arrives, events of that room are dropped:
 * they belong to the old subscription, and the replay repeats them.
 */

/** Timeout after which an unanswered SUBSCRIBE is sent again. */
export const SUBSCRIBE_TIMEOUT_MS = 10_000;
const RETRY_DELAY_MS = 1_000;

/**
 * @typedef {import('../../types/wire').Frame} Frame
 * @typedef {{ roomId: string, last: number | undefined, ref: string | undefined, head: number,
 *   caughtUp: boolean, timer: ReturnType<typeof setTimeout> | undefined }} Subscription
 */

export class Subscriptions {
  /** @type {Map<string, Subscription>} */
  #rooms = new Map();
  #nextRef = 1;
  #online = false;
  #send;
  #emit;

  /**
   * @param {{ send: (frame: Frame) => boolean, emit: (type: string, detail: any) => void }} options
   */
  constructor({ send, emit }) {
    this.#send = send;
    this.#emit = emit;
  }

  /** Whether every room has received the events up to its head. */
  get caughtUp() {
    return [...this.#rooms.values()].every((room) => room.caughtUp);
  }

  /**
   * @param {string} roomId
   * @param {number} [after] the last received seq; without it the subscription starts at the head
   */
  add(roomId, after) {
    clearTimeout(this.#rooms.get(roomId)?.timer);
    /** @type {Subscription} */
    const room = { roomId, last: after, ref: undefined, head: 0, caughtUp: false, timer: undefined };
    this.#rooms.set(roomId, room);
    this.#subscribe(room);
  }

  /** @param {string} roomId */
  remove(roomId) {
    const room = this.#rooms.get(roomId);
    if (!room) return;
    this.#delete(room);
    if (this.#online) this.#send({ type: 'UNSUBSCRIBE', roomId, ref: `u${this.#nextRef++}` });
  }

  /** @param {string} roomId */
  lastSeq(roomId) {
    return this.#rooms.get(roomId)?.last;
  }

  online() {
    this.#online = true;
    for (const room of this.#rooms.values()) this.#subscribe(room);
  }

  offline() {
    this.#online = false;
    for (const room of this.#rooms.values()) {
      clearTimeout(room.timer);
      room.ref = undefined;
      room.caughtUp = false;
    }
  }

  /** @param {Frame} frame */
  onSubscribed(frame) {
    const room = this.#rooms.get(frame.roomId ?? '');
    if (!room || room.ref === undefined || (frame.ref !== undefined && frame.ref !== room.ref)) return;
    clearTimeout(room.timer);
    room.ref = undefined;
    const missedAfter = room.last;
    room.head = frame.head;
    if (missedAfter === undefined || !frame.recovered) room.last = frame.head;
    this.#emit('subscribed', { roomId: room.roomId, recovered: frame.recovered, head: frame.head, missedAfter });
    this.#checkCaughtUp(room);
  }

  /** The server ended the subscription, for example after a removal. @param {Frame} frame */
  onUnsubscribed(frame) {
    const room = this.#rooms.get(frame.roomId ?? '');
    const isOwnUnsubscribe = frame.ref?.startsWith('u') ?? false;
    if (!room || isOwnUnsubscribe || room.ref !== undefined) return;
    this.#delete(room);
    this.#emit('unsubscribed', { roomId: room.roomId, code: 'REMOVED' });
  }

  /** @param {Frame} frame */
  onEvent(frame) {
    const room = this.#rooms.get(frame.roomId ?? '');
    if (!room || room.ref !== undefined || room.last === undefined) return;
    if (frame.seq <= room.last) return;
    if ((frame.prev ?? 0) > room.last) {
      this.#subscribe(room);
      return;
    }
    room.last = frame.seq;
    this.#emit('event', frame);
    this.#checkCaughtUp(room);
  }

  /**
   * @param {Frame} error
   * @returns {boolean} whether a SUBSCRIBE or UNSUBSCRIBE matched
   */
  reject(error) {
    if (error.ref?.startsWith('u')) return true;
    const room = [...this.#rooms.values()].find((each) => each.ref !== undefined && each.ref === error.ref);
    if (!room) return false;
    clearTimeout(room.timer);
    if (error.retryable) {
      room.timer = setTimeout(() => this.#subscribe(room), Number(error.retryAfterMs) || RETRY_DELAY_MS);
    } else {
      this.#delete(room);
      this.#emit('unsubscribed', { roomId: room.roomId, code: error.code });
    }
    return true;
  }

  /** @param {Subscription} room */
  #subscribe(room) {
    if (!this.#online) return;
    clearTimeout(room.timer);
    room.ref = `s${this.#nextRef++}`;
    room.caughtUp = false;
    const after = room.last === undefined ? {} : { after: room.last };
    this.#send({ type: 'SUBSCRIBE', roomId: room.roomId, ref: room.ref, ...after });
    room.timer = setTimeout(() => this.#subscribe(room), SUBSCRIBE_TIMEOUT_MS);
  }

  /** @param {Subscription} room */
  #checkCaughtUp(room) {
    if (room.caughtUp || (room.last ?? 0) < room.head) return;
    room.caughtUp = true;
    this.#emit('caught-up', { roomId: room.roomId });
  }

  /** @param {Subscription} room */
  #delete(room) {
    clearTimeout(room.timer);
    this.#rooms.delete(room.roomId);
  }
}
