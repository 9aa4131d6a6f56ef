/**
 * Size limits of the wire contract, checked before frames and requests are sent.
 *
 * The server closes the connection with 1009 on an oversized frame, which also fails every queued message.
 * The page therefore rejects such a frame itself and keeps the text in its input. WELCOME names the
 * server's frame and content limits; before the first WELCOME the contract's defaults apply.
 */

export const CONTENT_BYTES_MAX = 16_384;
export const FRAME_BYTES_MAX = 65_536;
export const MENTIONS_MAX = 50;
export const ATTACHMENTS_MAX = 10;
export const EMOJI_BYTES_MAX = 64;
export const ROOM_NAME_BYTES_MAX = 128;
export const TOPIC_BYTES_MAX = 1_024;
export const DISPLAY_NAME_CHARS_MAX = 64;
export const USER_NAME_CHARS_MAX = 32;
export const PASSWORD_CHARS_MIN = 8;
export const PASSWORD_CHARS_MAX = 256;
/** Bytes that the server adds to a message when it becomes an event frame: ids, seq, prev, ts and their keys. */
const EVENT_BYTES_ADDED = 512;

const encoder = new TextEncoder();

/**
 * @typedef {{ contentBytesMax: number, frameBytesMax: number }} Limits
 * @typedef {{ code: string, message: string }} Problem
 */

/** The defaults until a WELCOME arrives. @type {Limits} */
export const DEFAULT_LIMITS = { contentBytesMax: CONTENT_BYTES_MAX, frameBytesMax: FRAME_BYTES_MAX };

/** @param {string} text */
export function utf8Bytes(text) {
  return encoder.encode(text).length;
}

/** The number of Unicode scalar values, which is how the server counts characters. @param {string} text */
export function characters(text) {
  return [...text].length;
}

/** Replaces lone surrogates, which UTF-8 cannot encode and the server rejects. @param {string} text */
export function wellFormed(text) {
  return text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, '\uFFFD');
}

/** The limits of WELCOME, capped at the contract's. @param {Record<string, any> | undefined} announced @returns {Limits} */
export function limitsOf(announced) {
  const atMost = (/** @type {unknown} */ value, /** @type {number} */ max) => (typeof value === 'number' && value > 0 ? Math.min(value, max) : max);
  return { contentBytesMax: atMost(announced?.contentBytesMax, CONTENT_BYTES_MAX), frameBytesMax: atMost(announced?.frameBytesMax, FRAME_BYTES_MAX) };
}

/**
 * Returns why the server would reject this frame or close the connection on it.
 * @param {{ content?: string, mentions?: string[], attachments?: unknown[], emoji?: string, [field: string]: any }} frame
 * @param {Limits} limits
 * @returns {Problem | undefined}
 */
export function frameProblem(frame, limits = DEFAULT_LIMITS) {
  const { content, mentions, attachments, emoji } = frame;
  if (content !== undefined) {
    const bytes = utf8Bytes(content);
    if (bytes > limits.contentBytesMax) return tooLarge(`This message is too long: ${count(bytes)} bytes, and at most ${count(limits.contentBytesMax)} can be sent. Shorten it, or send it in parts.`);
  }
  if (mentions !== undefined && mentions.length > MENTIONS_MAX) return badFrame(`A message can mention at most ${MENTIONS_MAX} people, and this one mentions ${mentions.length}.`);
  if (attachments !== undefined && attachments.length > ATTACHMENTS_MAX) return badFrame(`A message can have at most ${ATTACHMENTS_MAX} attachments.`);
  if (emoji !== undefined && utf8Bytes(emoji) > EMOJI_BYTES_MAX) return badFrame('This reaction is too long.');
  // Control characters take up to six bytes in JSON, so content within its limit can still fill a frame.
  if (utf8Bytes(JSON.stringify(frame)) + EVENT_BYTES_ADDED > limits.frameBytesMax) return tooLarge('This message is too large to send. Shorten it, or send it in parts.');
  return undefined;
}

/** @param {string} name @returns {string} the problem with a room's name; empty when it is valid */
export function roomNameProblem(name) {
  if (name.trim() === '') return 'Give the room a name.';
  return bytesProblem('The name', name, ROOM_NAME_BYTES_MAX);
}

/** @param {string} topic @returns {string} */
export function topicProblem(topic) {
  return bytesProblem('The topic', topic, TOPIC_BYTES_MAX);
}

/** @param {string} displayName @returns {string} */
export function displayNameProblem(displayName) {
  const length = characters(displayName.normalize('NFC'));
  return length > DISPLAY_NAME_CHARS_MAX ? `Your name is too long: ${length} characters, and at most ${DISPLAY_NAME_CHARS_MAX} are allowed.` : '';
}

/** @param {string} password @returns {string} */
export function passwordProblem(password) {
  const length = characters(password);
  if (length < PASSWORD_CHARS_MIN) return `The password is too short: at least ${PASSWORD_CHARS_MIN} characters.`;
  return length > PASSWORD_CHARS_MAX ? `The password is too long: ${length} characters, and at most ${PASSWORD_CHARS_MAX} are allowed.` : '';
}

/** @param {string} label @param {string} text @param {number} bytesMax */
function bytesProblem(label, text, bytesMax) {
  const bytes = utf8Bytes(text.normalize('NFC'));
  return bytes > bytesMax ? `${label} is too long: ${count(bytes)} bytes, and at most ${count(bytesMax)} are allowed. Letters outside the English alphabet and emoji take 2 to 4 bytes.` : '';
}

/** @param {number} number */
const count = (number) => number.toLocaleString('en');

/** @param {string} message @returns {Problem} */
const tooLarge = (message) => ({ code: 'CONTENT_TOO_LARGE', message });

/** @param {string} message @returns {Problem} */
const badFrame = (message) => ({ code: 'BAD_FRAME', message });
