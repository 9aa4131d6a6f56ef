/** Formatting of times, counts and lists of names. */

const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'long' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const fullDay = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });
const DAY_MS = 86_400_000;

/** @param {string} ts */
export const clock = (ts) => time.format(new Date(ts));

/** @param {string} ts */
export const fullTime = (ts) => full.format(new Date(ts));

/** Calendar days between then and now, in the local time zone. @param {string} ts */
function daysAgo(ts) {
  const midnight = (/** @type {Date} */ date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  return Math.round((midnight(new Date()) - midnight(new Date(ts))) / DAY_MS);
}

/** @param {string} ts */
export function dayName(ts) {
  const days = daysAgo(ts);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return fullDay.format(new Date(ts));
}

/** A short time for the room list. @param {string} ts */
export function shortTime(ts) {
  const days = daysAgo(ts);
  if (days <= 0) return clock(ts);
  if (days === 1) return 'Yesterday';
  return days < 7 ? weekday.format(new Date(ts)) : day.format(new Date(ts));
}

/** @param {number} count @param {string} one @param {string} [many] */
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** "Ana", "Ana and Bo", "Ana, Bo and 3 others". @param {string[]} names @param {number} [shown] */
export function joinNames(names, shown = 2) {
  if (names.length === 0) return '';
  if (names.length === 1) return names[0];
  if (names.length <= shown) return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  return `${names.slice(0, shown).join(', ')} and ${plural(names.length - shown, 'other')}`;
}

/** @param {number} count */
export const badge = (count) => (count > 99 ? '99+' : String(count));
