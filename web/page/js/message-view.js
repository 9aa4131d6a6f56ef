/** Renders one message or notice. User actions are delegated to `actions`. */
import { isolate } from './bidi.js';
import { avatar, h, icon } from './dom.js';
import { clock, fullTime, joinNames, plural } from './format.js';
import { richText } from './rich-text.js';

/** The emoji offered as reactions. */
export const PALETTE = ['👍', '❤️', '😂', '🎉', '😮', '🙏'];

/**
 * @typedef {import('./timeline.js').Message} Message
 * @typedef {import('./timeline.js').Pending} Pending
 * @typedef {import('./timeline.js').Notice} Notice
 * @typedef {import('./people.js').People} People
 * @typedef {{
 *   reply: (message: Message) => void, edit: (message: Message) => void, remove: (message: Message) => void,
 *   react: (message: Message, emoji: string) => void, retry: (clientMsgId: string) => void,
 *   discard: (clientMsgId: string) => void, jump: (messageId: string) => void }} Actions
 * @typedef {{ selfId: string, people: People, actions: Actions, grouped: boolean, mayDelete: boolean,
 *   quoted: (messageId: string) => { senderId?: string, content?: string, deleted?: boolean } | null }} Context
 */

/** @param {Message | Pending} item @param {Context} context */
export function messageView(item, context) {
  const { selfId, people, grouped } = context;
  const own = item.senderId === selfId;
  const name = people.name(item.senderId);
  const message = item.kind === 'message' ? item : undefined;
  const deleted = message?.deleted ?? false;
  const article = h('article', {
    class: ['message', own ? 'own' : '', grouped ? 'grouped' : '', deleted ? 'deleted' : '', item.kind].filter(Boolean).join(' '),
    tabindex: '-1', 'aria-label': `${own ? 'You' : isolate(name)}, ${clock(item.ts)}`, 'data-testid': 'message',
    'data-message-id': message?.messageId, 'data-seq': message?.seq, 'data-sender': item.senderId,
    'data-client-msg-id': item.clientMsgId, 'data-state': item.kind === 'pending' ? item.status : deleted ? 'deleted' : 'sent',
  },
  own ? null : h('span', { class: 'message-avatar' }, grouped ? null : avatar(item.senderId, name)),
  h('div', { class: 'message-body' },
    grouped ? null : h('header', { class: 'message-head' },
      own ? null : h('span', { class: 'message-who' }, h('bdi', {}, name)),
      h('time', { datetime: item.ts, title: fullTime(item.ts) }, clock(item.ts))),
    h('div', { class: 'bubble' },
      item.replyTo && !deleted ? quote(item.replyTo, context) : null,
      deleted
        ? h('p', { class: 'message-text', 'data-testid': 'message-text' }, 'This message was deleted')
        : h('p', { class: 'message-text', dir: 'auto', 'data-testid': 'message-text' }, richText(item.content, mentioned(item.mentions, context))),
      message && message.attachments.length > 0 ? h('p', { class: 'message-note' }, plural(message.attachments.length, 'attachment')) : null,
      message?.edited && !deleted ? h('span', { class: 'message-edited', 'data-testid': 'edited' }, 'edited') : null),
    message && message.reactions.size > 0 ? reactions(message, context) : null,
    item.kind === 'pending' ? pendingNote(item, context) : null));
  if (message && !deleted) article.addEventListener('pointerenter', () => addToolbar(article, message, context), { once: true });
  if (message && !deleted) article.addEventListener('focusin', () => addToolbar(article, message, context), { once: true });
  return article;
}

/** @param {string[]} mentions @param {Context} context @returns {(name: string) => 'me' | 'other' | undefined} */
function mentioned(mentions, { people, selfId }) {
  return (name) => {
    const userId = mentions.find((each) => people.user(each)?.name?.toLowerCase() === name.toLowerCase());
    return userId === undefined ? undefined : userId === selfId ? 'me' : 'other';
  };
}

/** @param {string} messageId @param {Context} context */
function quote(messageId, { quoted, people, actions }) {
  const target = quoted(messageId);
  const text = target?.deleted ? 'This message was deleted' : target?.content ?? 'Earlier message';
  return h('button', { type: 'button', class: 'quote', 'data-testid': 'quote', onclick: () => actions.jump(messageId) },
    h('span', { class: 'hidden' }, 'In reply to '),
    target?.senderId ? h('strong', {}, h('bdi', {}, people.name(target.senderId))) : null,
    h('span', { dir: 'auto' }, text.length > 140 ? `${text.slice(0, 140)}…` : text));
}

/** @param {Message} message @param {Context} context */
function reactions(message, { people, selfId, actions }) {
  return h('ul', { class: 'reactions', 'aria-label': 'Reactions' }, [...message.reactions].map(([emoji, { count, userIds }]) => {
    const names = joinNames([...userIds].map((userId) => (userId === selfId ? 'you' : isolate(people.name(userId)))), 3);
    return h('li', {}, h('button', {
      type: 'button', class: 'reaction', 'aria-pressed': String(userIds.has(selfId)), title: names,
      'data-testid': 'reaction', 'data-emoji': emoji, onclick: () => actions.react(message, emoji),
    }, h('bdi', {}, emoji), h('span', { class: 'reaction-count' }, String(count)), h('span', { class: 'hidden' }, `from ${names}`)));
  }));
}

/** @param {Pending} item @param {Context} context */
function pendingNote(item, { actions }) {
  if (item.status === 'sending') return h('p', { class: 'message-note', 'data-testid': 'pending' }, icon('clock'), 'Sending…');
  return h('p', { class: 'message-note failed', 'data-testid': 'failed', role: 'alert' }, icon('alert'), `Not sent. ${item.error ?? ''} `,
    h('button', { type: 'button', class: 'link', 'data-testid': 'retry', onclick: () => actions.retry(item.clientMsgId) }, 'Try again'),
    h('button', { type: 'button', class: 'link', 'data-testid': 'discard', onclick: () => actions.discard(item.clientMsgId) }, 'Discard'));
}

/** Added on first hover or focus, because most messages never need it. @param {HTMLElement} article @param {Message} message @param {Context} context */
function addToolbar(article, message, { selfId, actions, mayDelete }) {
  if (article.querySelector('.toolbar')) return;
  const own = message.senderId === selfId;
  const button = (/** @type {any} */ iconName, /** @type {string} */ label, /** @type {string} */ testid, /** @type {() => void} */ work) => h('button', {
    type: 'button', class: 'icon-button small', 'aria-label': label, title: label, 'data-testid': testid, onclick: work,
  }, icon(iconName));
  const palette = h('div', { class: 'palette', role: 'group', 'aria-label': 'React with', hidden: true }, PALETTE.map((emoji) => h('button', {
    type: 'button', class: 'emoji', 'aria-label': `React with ${emoji}`, 'data-testid': 'react-emoji', 'data-emoji': emoji,
    onclick: () => { palette.hidden = true; actions.react(message, emoji); },
  }, emoji)));
  const toolbar = h('div', { class: 'toolbar', role: 'group', 'aria-label': 'Message actions' },
    palette,
    button('smile', 'Add a reaction', 'react', () => {
      palette.hidden = !palette.hidden;
      if (palette.hidden) return;
      placePalette(palette, article);
      /** @type {HTMLElement | null} */ (palette.firstElementChild)?.focus();
    }),
    button('reply', 'Reply', 'reply', () => actions.reply(message)),
    own ? button('pencil', 'Edit', 'edit', () => actions.edit(message)) : null,
    own || mayDelete ? button('trash', 'Delete', 'delete', () => actions.remove(message)) : null);
  article.addEventListener('pointerleave', ({ pointerType }) => { if (pointerType === 'mouse') palette.hidden = true; });
  toolbar.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || palette.hidden) return;
    palette.hidden = true;
    event.stopPropagation();
  });
  article.querySelector('.bubble')?.append(toolbar);
}

/** The palette opens upwards and to the right, unless it would be clipped there. @param {HTMLElement} palette @param {HTMLElement} article */
function placePalette(palette, article) {
  const scroller = article.closest('.scroller')?.getBoundingClientRect();
  const toolbar = palette.parentElement?.getBoundingClientRect();
  if (!scroller || !toolbar) return;
  const { width, height } = palette.getBoundingClientRect();
  palette.classList.toggle('below', toolbar.top - height - 8 < scroller.top);
  palette.classList.toggle('leftward', toolbar.left + width + 8 > scroller.right);
}

/** @param {Notice} notice @param {People} people @param {string} selfId */
export function noticeText({ event }, people, selfId) {
  const name = (/** @type {string | undefined} */ userId) => (userId === selfId ? 'You' : isolate(people.name(userId ?? '')));
  const who = name(event.userId);
  const by = name(event.senderId);
  switch (event.type) {
    case 'MEMBER_JOINED': return event.userId === event.senderId ? `${who} joined` : `${by} added ${who === 'You' ? 'you' : who}`;
    case 'MEMBER_LEFT': return event.userId === event.senderId ? `${who} left` : `${by} removed ${who === 'You' ? 'you' : who}`;
    case 'MEMBER_CHANGED': return `${who} ${who === 'You' ? 'are' : 'is'} now ${event.role === 'OWNER' ? 'an owner' : event.role === 'ADMIN' ? 'an admin' : 'a member'}`;
    case 'ROOM_CHANGED':
      if (event.name) return `${by} renamed the room to “${isolate(event.name)}”`;
      if (event.topic !== undefined) return `${by} changed the topic`;
      if (event.visibility) return `${by} made the room ${event.visibility.toLowerCase()}`;
      return event.memberCount !== undefined ? `The room now has ${plural(event.memberCount, 'member')}` : `${by} changed the room`;
    case 'ROOM_DELETED': return `${by} deleted the room`;
    default: return '';
  }
}
