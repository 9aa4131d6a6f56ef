/** Modal dialogs, toasts and form helpers. The browser's own dialog element traps the focus. */
import { fill, h, icon } from './dom.js';

const TOAST_MS = { error: 6_000, info: 3_000 };

/**
 * Opens a dialog; closing removes it from the page.
 * @param {string} title
 * @param {(close: () => void) => Node[]} content
 * @param {{ testid?: string }} [options]
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, content, { testid } = {}) {
  const close = () => dialog.close();
  const dialog = h('dialog', {
    class: 'dialog', 'data-testid': testid, 'aria-labelledby': 'dialog-title',
    onclose: () => dialog.remove(),
    onclick: (/** @type {MouseEvent} */ event) => { if (event.target === dialog) close(); },
  });
  dialog.append(h('div', { class: 'dialog-body' },
    h('header', { class: 'dialog-head' },
      h('h2', { id: 'dialog-title' }, title),
      h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Close', onclick: close }, icon('close'))),
    content(close)));
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * @param {{ title: string, text: string, action: string, danger?: boolean }} question
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, action, danger = false }) {
  return new Promise((resolve) => {
    let isConfirmed = false;
    const dialog = openDialog(title, (close) => [
      h('p', {}, text),
      h('div', { class: 'actions' },
        h('button', { type: 'button', class: 'button quiet', onclick: close }, 'Cancel'),
        h('button', { type: 'button', class: danger ? 'button danger' : 'button', 'data-testid': 'confirm', autofocus: true, onclick: () => { isConfirmed = true; close(); } }, action)),
    ]);
    dialog.addEventListener('close', () => resolve(isConfirmed));
  });
}

/** Shows a toast for a few seconds. @param {string} text @param {'error' | 'info'} [tone] */
export function toast(text, tone = 'error') {
  const container = document.getElementById('toasts');
  if (!container) return;
  const note = h('div', { class: `toast ${tone}`, 'data-testid': 'toast' }, icon(tone === 'error' ? 'alert' : 'check'), h('span', {}, text));
  container.append(note);
  setTimeout(() => note.remove(), TOAST_MS[tone]);
}

/**
 * A form field with its label and hint.
 * @param {{ id: string, label: string, hint?: string, testid?: string, input: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement }} field
 */
export function labelledField({ id, label, hint, input }) {
  input.id = id;
  if (hint) input.setAttribute('aria-describedby', `${id}-hint`);
  return h('div', { class: 'field' },
    h('label', { for: id }, label),
    input,
    hint ? h('p', { class: 'hint', id: `${id}-hint` }, hint) : null);
}

/** Throws a validation problem, if there is one. @param {string} problem */
export function assertValid(problem) {
  if (problem !== '') throw new Error(problem);
}

/**
 * Runs a form's action: its button is marked busy, and an error is shown inside the form.
 * @param {HTMLElement} problem where errors are shown (a `role="alert"`)
 * @param {HTMLButtonElement} button
 * @param {() => Promise<void>} work
 */
export async function withSubmitState(problem, button, work) {
  fill(problem);
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  try {
    await work();
  } catch (error) {
    fill(problem, icon('alert'), h('span', {}, /** @type {Error} */ (error).message));
  } finally {
    button.removeAttribute('aria-busy');
  }
}
