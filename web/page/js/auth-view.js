/** The sign-up and sign-in forms. */
import { displayNameProblem, passwordProblem } from './bounds.js';
import { fill, h, icon, logo } from './dom.js';
import { labelledField, assertValid, withSubmitState } from './dialogs.js';
import { safeStore } from './key-value-store.js';
import { toggleTheme } from './theme.js';

/**
 * @param {{ session: import('./session.js').Session, onSignedIn: () => void, notice?: string }} options
 */
export function authView({ session, onSignedIn, notice }) {
  const form = h('div', { class: 'auth-form' });
  const show = (/** @type {boolean} */ signsUp, /** @type {string} */ name = '') => {
    fill(form, formFor({ signsUp, name, session, onSignedIn, notice, onToggle: (typed) => show(!signsUp, typed) }));
    /** @type {HTMLInputElement | null} */ (form.querySelector('input'))?.focus();
  };
  show(safeStore.getItem('roomcast.has-signed-in') === null);
  return h('main', { class: 'auth', 'data-testid': 'auth' },
    h('section', { class: 'auth-story', 'aria-label': 'About Roomcast' },
      h('p', { class: 'brand' }, logo(), 'Roomcast'),
      h('p', { class: 'auth-claim' }, 'Chat that never loses a message.'),
      h('p', { class: 'auth-sub' }, 'Everyone sees the same messages in the same order. After a break you catch up automatically.'),
      sample()),
    h('section', { class: 'auth-panel' },
      h('button', { type: 'button', class: 'icon-button theme-corner', 'aria-label': 'Switch theme', 'data-testid': 'theme-toggle', onclick: toggleTheme }, icon('sun'), icon('moon')),
      form));
}

/** Decorative example messages, hidden from assistive technology. */
function sample() {
  const line = (/** @type {string} */ side, /** @type {string} */ text) => h('div', { class: `sample-bubble ${side}` }, text);
  return h('div', { class: 'sample', 'aria-hidden': 'true' },
    line('left', 'The train is in a tunnel, talk to you in a minute'),
    line('right', 'No hurry. It will all be here when you are out.'),
    line('left', 'And there it is. Every word.'));
}

/**
 * @param {{ signsUp: boolean, name: string, session: import('./session.js').Session, onSignedIn: () => void, notice?: string,
 *   onToggle: (name: string) => void }} options
 */
function formFor({ signsUp, name, session, onSignedIn, notice, onToggle }) {
  const nameInput = h('input', { type: 'text', name: 'username', required: true, minlength: 3, maxlength: 32, pattern: '[A-Za-z0-9_\\-.:]{3,32}', title: '3 to 32 letters, digits or _ - . :', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', 'data-testid': 'auth-name' });
  nameInput.value = name;
  const displayInput = h('input', { type: 'text', name: 'name', dir: 'auto', autocomplete: 'name', 'data-testid': 'auth-display-name' });
  const passwordInput = h('input', { type: 'password', name: 'password', required: true, autocomplete: signsUp ? 'new-password' : 'current-password', 'data-testid': 'auth-password' });
  const problem = h('p', { class: 'problem', role: 'alert', 'data-testid': 'auth-error' });
  const button = h('button', { type: 'submit', class: 'button wide', 'data-testid': 'auth-submit' }, signsUp ? 'Create account' : 'Sign in');
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void withSubmitState(problem, button, async () => {
      const account = { name: nameInput.value.trim(), password: passwordInput.value };
      const displayName = displayInput.value.trim();
      if (signsUp) assertValid(displayNameProblem(displayName) || passwordProblem(account.password));
      if (signsUp) await session.signUp({ ...account, ...(displayName ? { displayName } : {}) });
      else await session.signIn(account);
      safeStore.setItem('roomcast.has-signed-in', '1');
      onSignedIn();
    });
  };
  return h('form', { onsubmit: submit, 'aria-labelledby': 'auth-title' },
    h('h1', { id: 'auth-title' }, signsUp ? 'Create your account' : 'Welcome back'),
    notice ? h('p', { class: 'notice', role: 'status' }, notice) : null,
    labelledField({ id: 'auth-name', label: 'User name', hint: signsUp ? '3 to 32 letters, digits or _ - . : Others find you by this name.' : undefined, input: nameInput }),
    signsUp ? labelledField({ id: 'auth-display-name', label: 'Display name (optional)', hint: 'Shown with your messages.', input: displayInput }) : null,
    labelledField({ id: 'auth-password', label: 'Password', hint: signsUp ? 'At least 8 characters.' : undefined, input: passwordInput }),
    problem, button,
    h('p', { class: 'auth-switch' }, signsUp ? 'Already have an account? ' : 'New here? ',
      h('button', { type: 'button', class: 'link', 'data-testid': 'auth-toggle', onclick: () => onToggle(nameInput.value) }, signsUp ? 'Sign in' : 'Create an account')));
}
