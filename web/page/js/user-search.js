/** User search by prefix of the user name. */
import { isolate } from './bidi.js';
import { USER_NAME_CHARS_MAX } from './bounds.js';
import { avatar, fill, h } from './dom.js';
import { displayNameOf } from './people.js';

const SEARCH_AFTER_MS = 200;

/**
 * @typedef {import('../../types/wire').User} User
 */

/**
 * Binds an input to a list of matching users; `choose` receives the selected one.
 * @param {{ input: HTMLInputElement, api: import('./api.js').Api, isExcluded: (userId: string) => boolean,
 *   choose: (user: User) => void }} options
 */
export function userSearch({ input, api, isExcluded, choose }) {
  const results = h('ul', { class: 'results', 'aria-label': 'Search results', 'data-testid': 'user-results' });
  const status = h('p', { class: 'hint', role: 'status' });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  input.setAttribute('autocomplete', 'off');
  input.setAttribute('autocapitalize', 'none');
  input.setAttribute('spellcheck', 'false');
  /** Longer names cannot exist and are not searched. @param {string} name */
  const searchUsers = async (name) => (name.length > USER_NAME_CHARS_MAX ? [] : api.searchUsers(name));
  const search = async () => {
    const name = typedName(input);
    if (name === '') {
      fill(results);
      fill(status);
      return;
    }
    const found = await searchUsers(name).catch(() => undefined);
    if (found === undefined || typedName(input) !== name) return;
    const shown = found.filter((user) => !isExcluded(user.userId));
    fill(results, shown.map((user) => h('li', {}, h('button', { type: 'button', class: 'result', 'data-testid': 'user-result', 'data-user-name': user.name, onclick: () => choose(user) },
      avatar(user.userId, displayNameOf(user)),
      h('span', { class: 'result-text' }, h('strong', {}, h('bdi', {}, displayNameOf(user))), h('span', { class: 'handle' }, `@${user.name}`))))));
    fill(status, shown.length > 0 ? '' : found.length > 0 ? 'No other users found.' : `No users found for “${isolate(name)}”.`);
  };
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => void search(), SEARCH_AFTER_MS);
  });
  return {
    element: h('div', { class: 'search-results' }, status, results),
    /** The user whose name matches the input exactly. @returns {Promise<User>} */
    async exact() {
      const name = typedName(input);
      const found = name === '' ? [] : await searchUsers(name);
      const user = found.find((each) => each.name?.toLowerCase() === name.toLowerCase());
      if (!user) throw new Error(name === '' ? 'Enter a user name.' : `There is no user named “${isolate(name)}”.`);
      return user;
    },
    clear() {
      clearTimeout(timer);
      input.value = '';
      fill(results);
      fill(status);
    },
  };
}

/** @param {HTMLInputElement} input */
function typedName(input) {
  return input.value.trim().replace(/^@/, '');
}
