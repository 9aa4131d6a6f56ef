/** Completes `@na` to a member's name: arrows select, Enter or Tab accepts, Escape closes. */
import { avatar, fill, h } from './dom.js';
import { displayNameOf } from './people.js';

const SHOWN_MAX = 6;
const LIST_ID = 'mention-list';

/**
 * @typedef {{ userId: string, name: string, displayName?: string }} Candidate
 */

/**
 * @param {HTMLTextAreaElement} input
 * @param {() => Candidate[]} candidates
 */
export function mentionPicker(input, candidates) {
  const list = h('ul', { class: 'mention-list', id: LIST_ID, role: 'listbox', 'aria-label': 'Mention', hidden: true, 'data-testid': 'mention-list' });
  /** @type {Candidate[]} */
  let found = [];
  let chosen = 0;

  const close = () => {
    found = [];
    list.hidden = true;
    input.removeAttribute('aria-activedescendant');
    input.removeAttribute('aria-controls');
  };
  const typed = () => /(?:^|\s)@([A-Za-z0-9_\-.:]*)$/.exec(input.value.slice(0, input.selectionStart));
  const take = (/** @type {number} */ index) => {
    const match = typed();
    const user = found[index];
    if (!match || !user) return close();
    const start = input.selectionStart - match[1].length;
    input.setRangeText(`${user.name} `, start, input.selectionStart, 'end');
    close();
    input.focus();
    input.dispatchEvent(new Event('input'));
  };
  const render = () => {
    fill(list, found.map((user, index) => h('li', {
      role: 'option', id: `${LIST_ID}-${index}`, 'aria-selected': String(index === chosen), class: 'mention-option',
      onpointerdown: (/** @type {Event} */ event) => { event.preventDefault(); take(index); },
    }, avatar(user.userId, displayNameOf(user)), h('bdi', {}, displayNameOf(user)), h('span', { class: 'handle' }, `@${user.name}`))));
    list.hidden = found.length === 0;
    if (found.length === 0) return close();
    input.setAttribute('aria-controls', LIST_ID);
    input.setAttribute('aria-activedescendant', `${LIST_ID}-${chosen}`);
  };
  input.addEventListener('input', () => {
    const prefix = typed()?.[1].toLowerCase();
    if (prefix === undefined) return close();
    const fits = (/** @type {string | undefined} */ text) => text?.toLowerCase().startsWith(prefix) ?? false;
    found = candidates().filter((user) => fits(user.name) || fits(user.displayName)).slice(0, SHOWN_MAX);
    if (found.length === 1 && found[0].name.toLowerCase() === prefix) found = [];
    chosen = 0;
    render();
  });
  input.addEventListener('blur', close);
  return {
    element: list,
    close,
    /** @param {KeyboardEvent} event @returns {boolean} whether the key was for this list */
    handleKey(event) {
      if (found.length === 0) return false;
      if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        chosen = (chosen + (event.key === 'ArrowDown' ? 1 : found.length - 1)) % found.length;
        render();
      } else if (event.key === 'Enter' || event.key === 'Tab') take(chosen);
      else if (event.key === 'Escape') close();
      else return false;
      event.preventDefault();
      return true;
    },
  };
}
