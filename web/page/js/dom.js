/**
 * Element helpers. Text only ever becomes text nodes, so user text cannot become markup. Styles and
 * handler attributes cannot be set; the Content-Security-Policy would block them.
 */

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [attributes] `on…` are listeners, `true` is a bare attribute; `false`, `null` and `undefined` are left out
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  append(element, children);
  return element;
}

/** Replaces the children of an element. @param {Element} element @param {...(Child | Child[])} children */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/** @param {Element} element @param {(Child | Child[])[]} children */
function append(element, children) {
  for (const child of children.flat()) if (child !== null && child !== undefined && child !== false) element.append(child);
}

/** Sets text only when it differs, so that live regions announce it once. @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Whether a key belongs to an input method that composes text. Safari reports the Enter that ends a
 * composition afterwards, without `isComposing` and with the key code 229.
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/** Debounces `work`: one run for all calls within `ms`. @param {() => void} work @param {number} [ms] */
export function batched(work, ms = 16) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      work();
    }, ms);
  };
}

const SVG = 'http://www.w3.org/2000/svg';
const ICONS = {
  plus: 'M12 5v14M5 12h14',
  send: 'M4 12 20 4l-5 16-3.5-6.5L4 12Zm7.5 1.5L20 4',
  smile: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8.5 14.5a4.5 4.5 0 0 0 7 0M9 9.5h.01M15 9.5h.01',
  reply: 'M10 7 4 12l6 5v-3c5 0 8 1 10 4 0-6-4-9-10-9V7Z',
  pencil: 'm4 20 1-4L16 5l3 3L8 19l-4 1ZM14 7l3 3',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5',
  people: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20c0-3.5 2.5-6 6.5-6s6.5 2.5 6.5 6M16 4.5a3.3 3.3 0 0 1 0 6.2M18 14.5c2.2.9 3.5 2.9 3.5 5.5',
  down: 'M12 5v14M6 13l6 6 6-6',
  close: 'M6 6l12 12M18 6 6 18',
  back: 'M15 5l-7 7 7 7',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z',
  exit: 'M14 4H6v16h8M10 12h10M17 8.5l3.5 3.5-3.5 3.5',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  hash: 'M9.5 4 8 20M16 4l-1.5 16M4.5 9h15.5M4 15h15.5',
  check: 'M5 12.5 10 17 19 7',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3 2',
  alert: 'M12 8v5M12 16.5h.01M12 3.5 2.5 20h19L12 3.5Z',
};

/** @param {keyof typeof ICONS} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** The product's logo. */
export function logo() {
  return h('img', { src: '/favicon.svg', alt: '', class: 'logo', width: 32, height: 32 });
}

/**
 * Initials on a colour derived from the id.
 * @param {string} id
 * @param {string} name
 * @param {{ status?: string, shape?: 'person' | 'room' }} [options]
 */
export function avatar(id, name, { status, shape = 'person' } = {}) {
  const words = name.trim().split(/[\s._-]+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const initials = words.length === 0 ? '·' : words.slice(0, 2).map((word) => [...word][0]).join('').toUpperCase();
  const element = h('span', { class: `avatar ${shape}`, 'aria-hidden': 'true' }, initials);
  let hash = 7;
  for (const letter of id) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  element.style.setProperty('--hue', String((hash % 24) * 15));
  if (status) element.append(h('span', { class: 'dot', 'data-status': status, 'data-testid': 'presence-dot' }));
  return element;
}
