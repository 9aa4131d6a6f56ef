/** The composer: a new message, a reply, or an edit of an own message. */
import { isolate } from './bidi.js';
import { wellFormed } from './bounds.js';
import { isComposing, fill, h, icon, setText } from './dom.js';
import { mentionPicker } from './mention-picker.js';
import { mentionsIn } from './rich-text.js';

const HEIGHT_MAX_PX = 180;

/**
 * @typedef {import('./timeline.js').Message} Message
 * @typedef {{ kind: 'new' } | { kind: 'reply' | 'edit', message: Message }} Mode
 */

/**
 * @param {{ room: import('./room.js').Room, people: import('./people.js').People, name: () => string,
 *   onSent: () => void, onProblem: (text: string) => void }} options
 */
export function composerView({ room, people, name, onSent, onProblem }) {
  /** @type {Mode} */
  let mode = { kind: 'new' };
  const { outbox, roomId } = room;
  const banner = h('div', { class: 'composer-mode', hidden: true, 'data-testid': 'composer-mode' });
  const input = h('textarea', { rows: 1, class: 'composer-input', dir: 'auto', 'aria-label': `Message ${isolate(name())}`, placeholder: 'Write a message', 'data-testid': 'composer', autocomplete: 'off', enterkeyhint: 'send' });
  const button = h('button', { type: 'submit', class: 'icon-button filled', 'aria-label': 'Send', title: 'Send (Enter)', 'data-testid': 'send', disabled: true }, icon('send'));
  const problem = h('p', { class: 'composer-problem', role: 'alert', 'data-testid': 'composer-problem' });
  /** The other members with a known user name. */
  const candidates = () => [...room.members.keys()].flatMap((userId) => {
    const { name, displayName } = people.user(userId) ?? {};
    return name === undefined || userId === room.selfId ? [] : [{ userId, name, displayName }];
  });
  const picker = mentionPicker(input, candidates);
  const view = h('form', { class: 'composer', 'aria-label': 'Write', onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); submit(); } },
    banner, picker.element, problem,
    h('div', { class: 'composer-row' }, input, button));

  /** The reply and mention fields sent with the text. @param {string} content */
  const metadataOf = (content) => {
    const names = new Map(content.includes('@') ? candidates().map((user) => [user.name.toLowerCase(), user.userId]) : []);
    return { replyTo: mode.kind === 'reply' ? mode.message.messageId : undefined, mentions: mode.kind === 'edit' ? [] : mentionsIn(content, names) };
  };
  /** Shows why the text cannot be sent; the text stays in the input. @param {string} content @returns {boolean} whether it can be sent */
  const isSendable = (content) => {
    const isEmpty = content.trim() === '';
    const text = isEmpty ? '' : room.problemWith(content, metadataOf(content));
    setText(problem, text);
    button.disabled = isEmpty || text !== '';
    return !button.disabled;
  };
  const fit = () => {
    isSendable(input.value);
    input.style.height = 'auto';
    input.style.height = `${Math.min(input.scrollHeight, HEIGHT_MAX_PX)}px`;
  };
  const write = (/** @type {string} */ text) => {
    input.value = text;
    fit();
    picker.close();
  };
  /** @param {Mode} next */
  const enter = (next) => {
    if (mode.kind === 'new' && next.kind === 'edit') outbox.setDraft(roomId, input.value);
    const leftEdit = mode.kind === 'edit' && next.kind !== 'edit';
    mode = next;
    banner.hidden = next.kind === 'new';
    if (next.kind !== 'new') {
      const about = next.kind === 'edit' ? 'Editing your message' : `Replying to ${isolate(people.name(next.message.senderId))}`;
      fill(banner, icon(next.kind === 'edit' ? 'pencil' : 'reply'),
        h('span', { class: 'composer-about' }, h('strong', {}, about), next.kind === 'reply' ? h('bdi', {}, next.message.content.slice(0, 120)) : null),
        h('button', { type: 'button', class: 'icon-button small', 'aria-label': 'Cancel', 'data-testid': 'composer-cancel', onclick: () => enter({ kind: 'new' }) }, icon('close')));
    }
    if (next.kind === 'edit') write(next.message.content);
    else if (leftEdit) write(outbox.draft(roomId));
    input.focus();
  };

  const submit = () => {
    const content = wellFormed(input.value);
    if (!isSendable(content)) return;
    if (mode.kind === 'edit') {
      const { message } = mode;
      if (content !== message.content) {
        outbox.submit({ type: 'EDIT_MESSAGE', roomId, messageId: message.messageId, content }).catch((error) => onProblem(`The edit was not saved. ${error.message}`));
      }
      enter({ kind: 'new' });
      return;
    }
    room.send(content, metadataOf(content));
    write('');
    if (mode.kind === 'reply') enter({ kind: 'new' });
    input.focus();
    onSent();
  };

  input.addEventListener('input', () => {
    fit();
    if (mode.kind !== 'edit') outbox.setDraft(roomId, input.value);
    if (input.value !== '' && mode.kind !== 'edit') room.client.typing(room.roomId);
  });
  input.addEventListener('keydown', (event) => {
    if (isComposing(event) || picker.handleKey(event)) return;
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === 'Escape' && mode.kind !== 'new') {
      event.preventDefault();
      enter({ kind: 'new' });
    } else if (event.key === 'ArrowUp' && input.value === '' && mode.kind === 'new') {
      const own = room.timeline.messages.findLast((message) => message.senderId === room.selfId && !message.deleted);
      if (!own) return;
      event.preventDefault();
      enter({ kind: 'edit', message: own });
    }
  });
  write(outbox.draft(roomId));
  return {
    element: view,
    focus: () => input.focus(),
    reply: (/** @type {Message} */ message) => enter({ kind: 'reply', message }),
    edit: (/** @type {Message} */ message) => enter({ kind: 'edit', message }),
    /** Resizes the input; heights are known only after it is attached. */
    fit,
  };
}
