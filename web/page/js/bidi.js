/**
 * Text of different directions side by side. What a person wrote is isolated from what stands around it:
 * by `<bdi>` or `dir="auto"` where it has an element of its own, by `isolated` inside a sentence.
 */

/** Characters that set the direction of the text around them: they have no place in a name. */
const CONTROLS = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;

/** A name without the characters that would turn the text around it. @param {string} name */
export function withoutControls(name) {
  return name.replace(CONTROLS, '');
}

/** A name inside a sentence, kept from setting the direction of the rest. @param {string} name */
export function isolated(name) {
  return `\u2068${withoutControls(name)}\u2069`;
}
