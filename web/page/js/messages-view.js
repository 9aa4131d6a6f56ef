/**
 * The scrolling message list. It keeps the visible message in position while pages are inserted above,
 * follows the newest message only at the bottom, and reports what was seen.
 */
import { isolate } from './bidi.js';
import { batched, fill, h, icon, setText } from './dom.js';
import { dayName, joinNames, plural } from './format.js';
import { messageView, noticeText } from './message-view.js';

const NEAR_BOTTOM_PX = 60;
const LOAD_BEFORE_PX = 400;
const GROUP_WINDOW_MS = 5 * 60_000;

/**
 * @typedef {import('./room.js').Room} Room
 * @typedef {{ key: string, version: string, build: () => HTMLElement }} Row
 */

/**
 * @param {{ room: Room, people: import('./people.js').People, actions: import('./message-view.js').Actions,
 *   onSeen: (seq: number, unreadAfter: number) => void, intro: () => HTMLElement }} options
 */
export function messagesView({ room, people, actions, onSeen, intro }) {
  const rows = h('div', { class: 'rows' });
  const top = h('div', { class: 'rows-top' });
  const scroller = h('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Messages', 'data-testid': 'messages' }, top, rows);
  const jumpText = h('span', {}, 'Latest');
  const jump = h('button', { type: 'button', class: 'jump', hidden: true, 'data-testid': 'jump-latest', onclick: () => stickToBottom() }, jumpText, icon('down'));
  const announcer = h('div', { class: 'hidden', role: 'status', 'aria-live': 'polite', 'data-testid': 'announcer' });
  const view = h('div', { class: 'messages' }, scroller, jump, announcer);

  /** @type {Map<string, { version: string, element: HTMLElement }>} */
  const shown = new Map();
  let isSticky = true;
  let isPositioned = false;
  let seenSeq = room.readSeq;

  const render = () => {
    if (!view.isConnected) return;
    const anchor = isSticky ? undefined : anchorOf(scroller, rows);
    reconcile(rows, shown, rowsOf(room, people, actions));
    renderTop(top, room, intro);
    if (!isPositioned && room.state === 'ready') {
      isPositioned = true;
      const divider = rows.querySelector('.divider');
      if (divider) {
        scroller.scrollTop = /** @type {HTMLElement} */ (divider).offsetTop - scroller.clientHeight / 3;
        isSticky = isAtBottom();
      }
    }
    if (isSticky) scroller.scrollTop = scroller.scrollHeight;
    else if (anchor?.element.isConnected) scroller.scrollTop += anchor.element.getBoundingClientRect().top - anchor.top;
    afterMove();
  };
  const isAtBottom = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_BOTTOM_PX;

  /** After any scroll or change: loads more, reports what was seen, updates the jump button. */
  const afterMove = () => {
    if (room.state !== 'ready') return;
    if (scroller.scrollTop < LOAD_BEFORE_PX) void room.loadBefore();
    if (document.visibilityState === 'visible') markSeen();
    else if (room.newAfter === undefined && room.timeline.lastSeq > seenSeq) room.newAfter = seenSeq;
    const below = room.timeline.messages.filter((message) => message.seq > seenSeq && message.senderId !== room.selfId).length;
    jump.hidden = isSticky;
    setText(jumpText, below > 0 ? plural(below, 'new message') : 'Latest');
  };
  const markSeen = () => {
    const seq = isSticky ? room.timeline.lastSeq : lastVisibleSeq(scroller, rows);
    if (seq <= seenSeq) return;
    seenSeq = seq;
    const unreadAfter = room.timeline.messages.filter((message) => message.seq > seq && message.senderId !== room.selfId).length;
    onSeen(seq, unreadAfter);
  };
  const stickToBottom = () => {
    isSticky = true;
    scroller.scrollTop = scroller.scrollHeight;
    afterMove();
  };

  scroller.addEventListener('scroll', () => {
    isSticky = isAtBottom();
    afterMove();
  }, { passive: true });
  scroller.addEventListener('keydown', (event) => moveFocus(event, scroller, rows));
  const resized = new ResizeObserver(() => {
    if (isSticky) scroller.scrollTop = scroller.scrollHeight;
  });
  resized.observe(scroller);
  const scheduleRender = batched(render);
  const unsubscribes = [
    room.on('changed', scheduleRender), room.on('receipts', scheduleRender), room.on('members', scheduleRender), people.on('names', scheduleRender),
    room.on('message', (event) => {
      if (!isSticky && room.newAfter === undefined) room.newAfter = Math.max(seenSeq, 1);
      setText(announcer, `${isolate(people.name(event.senderId))}: ${event.content.slice(0, 200)}`);
    }),
  ];
  document.addEventListener('visibilitychange', scheduleRender);
  return {
    element: view,
    render,
    stickToBottom,
    /** @param {string} messageId */
    show(messageId) {
      const element = /** @type {HTMLElement | null} */ (rows.querySelector(`[data-message-id="${CSS.escape(messageId)}"]`));
      element?.scrollIntoView({ block: 'center' });
      element?.focus({ preventScroll: true });
      return element !== null;
    },
    dispose() {
      for (const unsubscribe of unsubscribes) unsubscribe();
      resized.disconnect();
      document.removeEventListener('visibilitychange', scheduleRender);
    },
  };
}

/** @param {Room} room @param {import('./people.js').People} people @param {import('./message-view.js').Actions} actions @returns {Row[]} */
function rowsOf(room, people, actions) {
  /** @type {Row[]} */
  const rows = [];
  const { selfId, newAfter } = room;
  let day = '';
  let dividerDone = newAfter === undefined;
  /** @type {import('./timeline.js').Item | undefined} */
  let before;
  /** @type {import('./timeline.js').Message | undefined} */
  let lastMessage;
  for (const item of room.timeline.items) {
    const itsDay = new Date(item.ts).toDateString();
    if (itsDay !== day) {
      day = itsDay;
      before = undefined;
      const text = dayName(item.ts);
      rows.push({ key: `d:${itsDay}`, version: text, build: () => h('div', { class: 'day', role: 'separator' }, h('span', {}, text)) });
    }
    if (!dividerDone && item.kind === 'message' && item.seq > (newAfter ?? 0) && item.senderId !== selfId) {
      dividerDone = true;
      before = undefined;
      rows.push({ key: 'divider', version: '', build: () => h('div', { class: 'divider', role: 'separator', 'data-testid': 'new-divider' }, h('span', {}, 'New messages')) });
    }
    if (item.kind === 'notice') {
      const text = noticeText(item, people, selfId);
      rows.push({ key: item.key, version: text, build: () => h('p', { class: 'notice-row', 'data-testid': 'notice' }, text) });
      before = undefined;
      continue;
    }
    const grouped = before !== undefined && before.kind !== 'notice' && before.senderId === item.senderId && Date.parse(item.ts) - Date.parse(before.ts) < GROUP_WINDOW_MS;
    const quote = item.replyTo ? room.quoted(item.replyTo) : null;
    rows.push({
      key: item.key,
      version: `${item.version} ${grouped} ${people.revision} ${room.mayManage} ${quote?.content ?? ''} ${quote?.deleted ?? ''}`,
      build: () => messageView(item, { selfId, people, actions, grouped, mayDelete: room.mayManage, quoted: (messageId) => room.quoted(messageId) }),
    });
    before = item;
    if (item.kind === 'message') lastMessage = item;
  }
  if (lastMessage && lastMessage.senderId === selfId && before === lastMessage) rows.push(receiptRow(room, people, lastMessage.seq));
  return rows;
}

/** @param {Room} room @param {import('./people.js').People} people @param {number} seq @returns {Row} */
function receiptRow(room, people, seq) {
  const readers = room.readersOf(seq);
  const text = readers.length === 0 ? 'Sent' : room.info.kind === 'DIRECT' ? 'Seen' : `Seen by ${joinNames(readers.map((userId) => isolate(people.name(userId))), 3)}`;
  return { key: 'receipt', version: text, build: () => h('p', { class: 'receipt', 'data-testid': 'read-by' }, icon('check'), text) };
}

/** @param {HTMLElement} parent @param {Map<string, { version: string, element: HTMLElement }>} shown @param {Row[]} rows */
function reconcile(parent, shown, rows) {
  const keys = new Set(rows.map((row) => row.key));
  for (const [key, { element }] of shown) {
    if (keys.has(key)) continue;
    element.remove();
    shown.delete(key);
  }
  /** @type {ChildNode | null} */
  let next = parent.firstChild;
  for (const { key, version, build } of rows) {
    let row = shown.get(key);
    if (!row || row.version !== version) {
      const element = build();
      if (row) {
        if (next === row.element) next = element;
        const hadFocus = row.element.contains(document.activeElement);
        row.element.replaceWith(element);
        if (hadFocus) element.focus({ preventScroll: true });
      }
      row = { version, element };
      shown.set(key, row);
    }
    if (row.element === next) next = next.nextSibling;
    else parent.insertBefore(row.element, next);
  }
}

/** @param {HTMLElement} top @param {Room} room @param {() => HTMLElement} intro */
function renderTop(top, room, intro) {
  const state = room.state === 'failed' ? 'failed' : room.state === 'loading' ? 'loading' : room.timeline.hasMoreBefore ? 'more' : 'intro';
  const version = state === 'intro' ? `${state} ${room.info.name} ${room.mayManage} ${room.timeline.messages.length === 0}` : state;
  if (top.dataset.version === version) return;
  top.dataset.version = version;
  if (state === 'failed') fill(top, h('p', { class: 'problem', role: 'alert' }, icon('alert'), room.error));
  else if (state === 'intro') fill(top, intro());
  else fill(top, h('p', { class: 'loading' }, state === 'more' ? 'Loading earlier messages…' : 'Loading messages…'));
}

/** The first visible row and its position, to restore the scroll offset. @param {HTMLElement} scroller @param {HTMLElement} rows */
function anchorOf(scroller, rows) {
  const edge = scroller.getBoundingClientRect().top;
  for (const element of rows.children) {
    const { top, bottom } = element.getBoundingClientRect();
    if (bottom > edge) return { element, top };
  }
  return undefined;
}

/** @param {HTMLElement} scroller @param {HTMLElement} rows */
function lastVisibleSeq(scroller, rows) {
  const edge = scroller.getBoundingClientRect().bottom + 4;
  for (let index = rows.children.length - 1; index >= 0; index -= 1) {
    const element = /** @type {HTMLElement} */ (rows.children[index]);
    if (element.dataset.seq && element.getBoundingClientRect().bottom <= edge) return Number(element.dataset.seq);
  }
  return 0;
}

/** Arrow keys move the focus between messages; the focused one shows its toolbar. @param {KeyboardEvent} event @param {HTMLElement} scroller @param {HTMLElement} rows */
function moveFocus(event, scroller, rows) {
  if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
  const messages = /** @type {HTMLElement[]} */ ([...rows.querySelectorAll('.message')]);
  const at = messages.findIndex((message) => message.contains(document.activeElement));
  if (at < 0 && document.activeElement !== scroller) return;
  const next = at < 0 ? messages.length - 1 : at + (event.key === 'ArrowUp' ? -1 : 1);
  if (!messages[next]) return;
  event.preventDefault();
  messages[next].focus({ preventScroll: true });
  messages[next].scrollIntoView({ block: 'nearest' });
}
