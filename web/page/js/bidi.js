/**
 * Isolation of user text from the direction of the surrounding text: `<bdi>` or `dir="auto"` for text in
 * its own element, `isolate` for text inside a sentence.
 */

/** Characters that change the direction of the text around them; they are removed from names. */
const DIRECTION_CONTROLS = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;

/** Removes direction controls from a name. @param {string} name */
export function stripControls(name) {
  return name.replace(DIRECTION_CONTROLS, '');
}

/** Wraps a name in isolation characters for use inside a sentence. @param {string} name */
export function isolate(name) {
  return `\u2068${stripControls(name)}\u2069`;
}
