/**
 * Text of different directions side by side. What a person wrote is isolated from what stands around it:
 * by `<bdi>` or `dir="auto"` where it has an element of its own, by `isolate` inside a sentence.
 */

/** Characters that set the direction of the text around them: they have no place in a name. */
const DIRECTION_CONTROLS = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;

/** A name without the characters that would turn the text around it. @param {string} name */
export function stripControls(name) {
  return name.replace(DIRECTION_CONTROLS, '');
}

/** A name inside a sentence, kept from setting the direction of the rest. @param {string} name */
export function isolate(name) {
  return `\u2068${stripControls(name)}\u2069`;
}
