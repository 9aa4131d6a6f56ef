/**
 * Reconnect policy: the close codes of the contract and the delays between attempts. Delays have full
 * jitter, so that clients of a failed gateway do not reconnect in the same instant.
 */

export const BACKOFF_BASE_MS = 500;
export const BACKOFF_CAP_MS = 20_000;
/** Minimum delay after 4409 and 4429. */
export const LONG_DELAY_MS = 10_000;

/**
 * @typedef {'soon' | 'later' | 'new-token' | 'never'} ReconnectPolicy
 */

/** The policy of each close code, and the user's message for final ones. */
const CLOSE_POLICIES = new Map(/** @type {[number, { reconnect: ReconnectPolicy, message?: string }][]} */ ([
  [1002, { reconnect: 'never', message: 'This page does not match the server. Reload the page.' }],
  [1003, { reconnect: 'never', message: 'This page does not match the server. Reload the page.' }],
  [1007, { reconnect: 'never', message: 'This page does not match the server. Reload the page.' }],
  [4400, { reconnect: 'never', message: 'This page does not match the server. Reload the page.' }],
  [4401, { reconnect: 'new-token' }],
  [4403, { reconnect: 'never', message: 'This account is not allowed to connect.' }],
  [4409, { reconnect: 'later' }],
  [4429, { reconnect: 'later' }],
]));

/**
 * @param {number} code
 * @returns {{ reconnect: ReconnectPolicy, message?: string }} unknown codes reconnect
 */
export function closePolicy(code) {
  return CLOSE_POLICIES.get(code) ?? { reconnect: 'soon' };
}

/**
 * @param {number} attempt number of consecutive failed attempts
 * @param {() => number} random from 0 to 1
 */
export function backoffMs(attempt, random) {
  const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempt, 16));
  return Math.round(random() * ceiling);
}
