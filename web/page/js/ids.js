/**
 * UUIDv7 ids made by the client, on the server's clock: the server reads the time of a clientMsgId to
 * decide whether a frame can be a resend from outside its deduplication window.
 */

/**
 * @param {number} nowMs milliseconds since 1970 on the server's clock
 * @param {(bytes: Uint8Array) => Uint8Array} [fill] fills the bytes with random numbers
 */
export function uuidv7(nowMs, fill = (bytes) => crypto.getRandomValues(bytes)) {
  const bytes = fill(new Uint8Array(16));
  let rest = Math.max(0, Math.floor(nowMs));
  for (let index = 5; index >= 0; index -= 1) {
    bytes[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
