/** Shows the state of the connection when it is not online. */
import { fill, h, icon } from './dom.js';

const BACK_ONLINE_SHOWN_MS = 4_000;
const WARNING_SHOWN_MS = 10_000;
/** Shorter interruptions are not shown. */
const SHOW_DELAY_MS = 400;

/**
 * @param {import('./workspace.js').Workspace} workspace
 */
export function connectionBanner(workspace) {
  const { client } = workspace;
  const text = h('span', {});
  const action = h('span', {});
  const view = h('div', { class: 'connection', role: 'status', hidden: true, 'data-testid': 'connection-status', 'data-state': 'connecting' }, text, action);
  let wasLost = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  /** @type {ReturnType<typeof setInterval> | undefined} */ let counting;

  /** @param {string} state @param {string} words @param {Node} [button] */
  const show = (state, words, button) => {
    clearTimeout(timer);
    clearInterval(counting);
    view.dataset.state = state;
    fill(text, words);
    fill(action, button);
    view.hidden = words === '';
  };
  const showReconnecting = (/** @type {number} */ retryAt) => {
    const now = h('button', { type: 'button', class: 'link', 'data-testid': 'reconnect-now', onclick: () => client.reconnectNow() }, 'Retry now');
    const count = h('span', { 'aria-hidden': 'true' });
    const tick = () => fill(count, retryAt - Date.now() > 1500 ? ` in ${Math.round((retryAt - Date.now()) / 1000)} s ` : ' ');
    const note = workspace.outbox.isDurable ? 'Your messages will be sent when you are back online.' : 'Your messages will be sent when you are back online. Keep this page open: this browser cannot store them.';
    show('reconnecting', `Reconnecting… ${note}`, h('span', {}, count, now));
    tick();
    counting = setInterval(tick, 1000);
  };
  const render = () => {
    const { phase, retryAt = 0, message } = client.state;
    if (phase === 'stopped') {
      if (message) show('stopped', message, h('button', { type: 'button', class: 'link', onclick: () => location.reload() }, 'Reload'));
      return;
    }
    if (phase === 'waiting') {
      wasLost = true;
      view.dataset.state = 'reconnecting';
      clearTimeout(timer);
      timer = setTimeout(() => showReconnecting(retryAt), view.hidden ? SHOW_DELAY_MS : 0);
    } else if (phase === 'online') showOnline();
    else if (!wasLost) show('connecting', '');
  };
  /** Announces once that all events have arrived. */
  const showOnline = () => {
    if (client.state.phase !== 'online') return;
    if (!wasLost) return show('online', '');
    if (!client.caughtUp || workspace.openRoom?.caughtUp === false) return show('catching-up', 'Back online. Catching up…');
    wasLost = false;
    show('online', 'Back online', icon('check'));
    timer = setTimeout(() => show('online', ''), BACK_ONLINE_SHOWN_MS);
  };
  client.on('state', render);
  client.on('caught-up', () => { if (wasLost) showOnline(); });
  workspace.on('caught-up', () => { if (wasLost) showOnline(); });
  client.on('warning', ({ code, message }) => {
    if (code === 'PRESENCE_TOO_LARGE' || wasLost) return;
    show('warning', code === 'LOG_UNAVAILABLE' ? 'Sending is delayed. No messages are lost.' : message);
    timer = setTimeout(() => show('online', ''), WARNING_SHOWN_MS);
  });
  return view;
}
