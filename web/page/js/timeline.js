/**
 * The timeline of one room: its events folded into messages, in the order of `seq`.
 *
 * Events arrive live, in replays and in catch-up pages, possibly twice and out of order; messages arrive in
 * history pages as they were at the time of the read. The result does not depend on the order of arrival,
 * because every fold is idempotent and records the seq of its state. Events that arrive during a page load
 * are recorded and folded again on top of the page, which may be older.
 */

/**
 * @typedef {import('../../types/wire').EventFrame} EventFrame
 * @typedef {{ count: number, userIds: Set<string> }} Reaction
 * @typedef {{ kind: 'message', key: string, seq: number, ts: string, messageId: string, senderId: string,
 *   content: string, clientMsgId?: string, replyTo?: string, attachments: string[], mentions: string[],
 *   deleted: boolean, edited: boolean, contentSeq: number, provisional: boolean,
 *   reactions: Map<string, Reaction>, reactionSeqs: Map<string, number>, version: number }} Message
 * @typedef {{ kind: 'notice', key: string, seq: number, ts: string, event: EventFrame, version: number }} Notice
 * @typedef {{ kind: 'pending', key: string, clientMsgId: string, senderId: string, content: string, ts: string,
 *   replyTo?: string, mentions: string[], status: 'sending' | 'failed', error?: string, version: number }} Pending
 * @typedef {Message | Notice | Pending} Item
 */

const NOTICES = new Set(['MEMBER_JOINED', 'MEMBER_LEFT', 'MEMBER_CHANGED', 'ROOM_CHANGED', 'ROOM_DELETED']);

export class Timeline {
  /** Whether older messages exist than the first loaded one. */
  hasMoreBefore = true;
  /** @type {(Message | Notice)[]} */ #entries = [];
  /** @type {Map<string, Message>} */ #messages = new Map();
  /** @type {Pending[]} */ #pending = [];
  /** @type {Set<{ events: EventFrame[] }>} */ #loads = new Set();
  #selfId;
  #onChange;

  /**
   * @param {string} selfId whose pending messages these are
   * @param {() => void} [onChange]
   */
  constructor(selfId, onChange = () => {}) {
    this.#selfId = selfId;
    this.#onChange = onChange;
  }

  /** All items in display order: the log by seq, then pending messages. @returns {Item[]} */
  get items() {
    return [...this.#entries, ...this.#pending];
  }

  /** @returns {Message[]} */
  get messages() {
    return /** @type {Message[]} */ (this.#entries.filter((entry) => entry.kind === 'message'));
  }

  get lastSeq() {
    return this.#entries.at(-1)?.seq ?? 0;
  }

  /** The seq of the oldest loaded message, to load the page before it. */
  get firstMessageSeq() {
    return this.#entries.find((entry) => entry.kind === 'message')?.seq;
  }

  /** @param {string} messageId */
  message(messageId) {
    return this.#messages.get(messageId);
  }

  /** Folds one event of the log. @param {EventFrame} event */
  apply(event) {
    for (const load of this.#loads) load.events.push(event);
    if (this.#fold(event)) this.#onChange();
  }

  /** Records events from now on, until the page is inserted or abandoned. */
  startPage() {
    const load = { events: /** @type {EventFrame[]} */ ([]) };
    this.#loads.add(load);
    return load;
  }

  /** @param {{ events: EventFrame[] }} load */
  abandonPage(load) {
    this.#loads.delete(load);
  }

  /**
   * Inserts messages in their current state, from default, `before` and `around` pages.
   * @param {{ events: EventFrame[] }} load
   * @param {{ events: EventFrame[], hasMoreBefore?: boolean }} page
   */
  insertPage(load, page) {
    for (const event of page.events) if (event.type === 'MESSAGE') this.#insert(messageOf(event));
    if (page.hasMoreBefore !== undefined) this.hasMoreBefore = page.hasMoreBefore;
    this.#finish(load);
  }

  /**
   * Inserts events as they happened, from `after` pages.
   * @param {{ events: EventFrame[] }} load
   * @param {EventFrame[]} events
   */
  insertEvents(load, events) {
    for (const event of events) this.#fold(event);
    this.#finish(load);
  }

  /** Removes all entries of the log; pending messages stay. */
  reset() {
    this.#entries = [];
    this.#messages.clear();
    this.hasMoreBefore = true;
    this.#onChange();
  }

  /** Removes all but the newest `keep` entries, to bound memory. @param {number} keep */
  trim(keep) {
    if (this.#entries.length <= keep * 2) return;
    for (const entry of this.#entries.splice(0, this.#entries.length - keep)) {
      if (entry.kind === 'message') this.#messages.delete(entry.messageId);
    }
    this.hasMoreBefore = true;
    this.#onChange();
  }

  /** @param {{ clientMsgId: string, content: string, ts: string, replyTo?: string, mentions?: string[] }} pending */
  addPending(pending) {
    if (this.#isKnown(pending.clientMsgId)) return;
    this.#pending.push({ mentions: [], ...pending, kind: 'pending', key: `c:${pending.clientMsgId}`, senderId: this.#selfId, status: 'sending', version: 0 });
    this.#onChange();
  }

  /** Whether this own message is in the log or pending. @param {string} clientMsgId */
  #isKnown(clientMsgId) {
    const isThis = (/** @type {{ clientMsgId?: string, senderId: string }} */ each) => each.clientMsgId === clientMsgId && each.senderId === this.#selfId;
    return this.#pending.some(isThis) || this.messages.some(isThis);
  }

  /** Moves an acknowledged message from pending into the log. @param {import('../../types/wire').Ack} ack */
  confirm(ack) {
    const index = this.#pending.findIndex((each) => each.clientMsgId === ack.clientMsgId);
    if (index < 0) return;
    const [pending] = this.#pending.splice(index, 1);
    const oldest = this.firstMessageSeq;
    const isOnOlderPage = this.hasMoreBefore && oldest !== undefined && ack.seq < oldest;
    if (!this.#messages.has(ack.messageId) && !isOnOlderPage) {
      this.#insert({ ...messageOf({ ...pending, type: 'MESSAGE', roomId: ack.roomId, seq: ack.seq, ts: ack.ts, messageId: ack.messageId }), provisional: true });
    }
    this.#onChange();
  }

  /**
   * @param {string} clientMsgId
   * @param {string} error
   */
  fail(clientMsgId, error) {
    this.#updatePending(clientMsgId, { status: 'failed', error });
  }

  /** @param {string} clientMsgId */
  retry(clientMsgId) {
    return this.#updatePending(clientMsgId, { status: 'sending', error: undefined });
  }

  /** @param {string} clientMsgId */
  discard(clientMsgId) {
    this.#pending = this.#pending.filter((each) => each.clientMsgId !== clientMsgId);
    this.#onChange();
  }

  /**
   * @param {string} clientMsgId
   * @param {Partial<Pending>} change
   */
  #updatePending(clientMsgId, change) {
    const pending = this.#pending.find((each) => each.clientMsgId === clientMsgId);
    if (!pending) return undefined;
    Object.assign(pending, change);
    pending.version += 1;
    this.#onChange();
    return pending;
  }

  /** @param {{ events: EventFrame[] }} load */
  #finish(load) {
    this.#loads.delete(load);
    for (const event of load.events) this.#fold(event);
    this.#onChange();
  }

  /**
   * @param {EventFrame} event
   * @returns {boolean} whether anything changed
   */
  #fold(event) {
    if (event.type === 'MESSAGE') return this.#foldMessage(event);
    if (NOTICES.has(event.type)) return this.#insertSorted({ kind: 'notice', key: `n:${event.seq}`, seq: event.seq, ts: event.ts, event, version: 0 });
    const message = this.#messages.get(event.messageId ?? '');
    if (!message || message.deleted) return false;
    const changed = applyChange(message, event);
    if (changed) message.version += 1;
    return changed;
  }

  /** @param {EventFrame} event */
  #foldMessage(event) {
    const known = this.#messages.get(event.messageId ?? '');
    if (!known) return this.#insert(messageOf(event));
    if (event.deleted && !known.deleted) {
      applyChange(known, { ...event, type: 'MESSAGE_DELETED' });
    } else if (known.provisional) {
      known.provisional = false;
      if (known.contentSeq <= event.seq) known.content = event.content ?? '';
    } else {
      return false;
    }
    known.version += 1;
    return true;
  }

  /** Inserts a message, replacing an earlier state of it. @param {Message} message */
  #insert(message) {
    const known = this.#messages.get(message.messageId);
    if (known) message.version = known.version + 1;
    if (known?.deleted) return false;
    this.#messages.set(message.messageId, message);
    if (message.senderId === this.#selfId && message.clientMsgId !== undefined) {
      this.#pending = this.#pending.filter((each) => each.clientMsgId !== message.clientMsgId);
    }
    return this.#insertSorted(message);
  }

  /** @param {Message | Notice} entry */
  #insertSorted(entry) {
    let low = 0;
    let high = this.#entries.length;
    if (high > 0 && this.#entries[high - 1].seq < entry.seq) low = high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entries[middle].seq < entry.seq) low = middle + 1;
      else high = middle;
    }
    const isPresent = this.#entries[low]?.seq === entry.seq;
    if (isPresent && entry.kind === 'notice') return false;
    this.#entries.splice(low, isPresent ? 1 : 0, entry);
    return true;
  }
}

/**
 * @param {EventFrame} event
 * @returns {Message}
 */
function messageOf(event) {
  /** @type {Map<string, Reaction>} */
  const reactions = new Map();
  for (const { emoji, count, userIds = [] } of event.reactions ?? []) reactions.set(emoji, { count, userIds: new Set(userIds) });
  return {
    kind: 'message', key: `m:${event.messageId}`, seq: event.seq, ts: event.ts,
    messageId: event.messageId ?? '', senderId: event.senderId ?? '', content: event.content ?? '',
    clientMsgId: event.clientMsgId, replyTo: event.replyTo,
    attachments: event.attachments ?? [], mentions: event.mentions ?? [],
    deleted: event.deleted === true, edited: event.editedAt !== undefined && event.editedAt !== null,
    contentSeq: event.seq, provisional: false, reactions, reactionSeqs: new Map(), version: 0,
  };
}

/**
 * @param {Message} message
 * @param {EventFrame} event
 * @returns {boolean} whether the message has changed
 */
function applyChange(message, event) {
  switch (event.type) {
    case 'MESSAGE_EDITED':
      if (event.seq <= message.contentSeq) return false;
      // The text of an edit is missing from a replay when the message was deleted later.
      if (event.content !== undefined && event.content !== null) message.content = event.content;
      message.contentSeq = event.seq;
      message.edited = true;
      return true;
    case 'MESSAGE_DELETED':
      message.deleted = true;
      message.content = '';
      message.attachments = [];
      message.reactions.clear();
      return true;
    case 'REACTION':
      return applyReaction(message, event);
    default:
      return false;
  }
}

/**
 * @param {Message} message
 * @param {EventFrame} event
 */
function applyReaction(message, event) {
  const { emoji = '', senderId = '' } = event;
  const key = `${senderId} ${emoji}`;
  if (event.seq <= (message.reactionSeqs.get(key) ?? 0)) return false;
  message.reactionSeqs.set(key, event.seq);
  const reaction = message.reactions.get(emoji) ?? { count: 0, userIds: new Set() };
  const isListed = reaction.userIds.has(senderId);
  if (event.removed) {
    if (!isListed && reaction.count <= reaction.userIds.size) return false;
    reaction.userIds.delete(senderId);
    reaction.count -= 1;
  } else {
    if (isListed) return false;
    reaction.userIds.add(senderId);
    reaction.count += 1;
  }
  if (reaction.count > 0) message.reactions.set(emoji, reaction);
  else message.reactions.delete(emoji);
  return true;
}
