/** Dialogs to create a room, find a public room or start a direct chat. */
import { isolate, stripControls } from './bidi.js';
import { ROOM_NAME_BYTES_MAX, roomNameProblem, topicProblem, utf8Bytes } from './bounds.js';
import { fill, h } from './dom.js';
import { labelledField, openDialog, assertValid, withSubmitState } from './dialogs.js';
import { plural } from './format.js';
import { userSearch } from './user-search.js';

const TABS = /** @type {const} */ ([['room', 'New room'], ['find', 'Find a room'], ['direct', 'Direct message']]);

/**
 * @param {import('./workspace.js').Workspace} workspace
 * @param {'room' | 'find' | 'direct'} [first]
 */
export function startDialog(workspace, first = 'room') {
  openDialog('New conversation', (close) => {
    const panel = h('div', { class: 'tab-panel', role: 'tabpanel', id: 'start-panel', tabindex: '-1' });
    const panels = { room: () => newRoom(workspace, close), find: () => findRoom(workspace, close), direct: () => direct(workspace, close) };
    const tabs = TABS.map(([key, label]) => h('button', {
      type: 'button', role: 'tab', id: `tab-${key}`, 'aria-controls': 'start-panel', 'data-testid': `tab-${key}`, onclick: () => show(key),
    }, label));
    /** @param {'room' | 'find' | 'direct'} key @param {boolean} [focusTab] */
    const show = (key, focusTab = false) => {
      tabs.forEach((tab, index) => {
        const on = TABS[index][0] === key;
        tab.setAttribute('aria-selected', String(on));
        tab.tabIndex = on ? 0 : -1;
        if (on && focusTab) tab.focus();
      });
      panel.setAttribute('aria-labelledby', `tab-${key}`);
      fill(panel, panels[key]());
      if (!focusTab) setTimeout(() => /** @type {HTMLElement | null} */ (panel.querySelector('input'))?.focus());
    };
    const list = h('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Conversation type', onkeydown: (/** @type {KeyboardEvent} */ event) => {
      const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
      if (step === 0) return;
      const at = tabs.findIndex((tab) => tab.tabIndex === 0);
      show(TABS[(at + step + TABS.length) % TABS.length][0], true);
    } }, tabs);
    show(first);
    return [list, panel];
  }, { testid: 'start-dialog' });
}

/** @param {import('./workspace.js').Workspace} workspace @param {() => void} close */
function newRoom(workspace, close) {
  const input = h('input', { type: 'text', required: true, dir: 'auto', autocomplete: 'off', 'data-testid': 'room-name-input', placeholder: 'e.g. Weekend plans' });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const button = h('button', { type: 'submit', class: 'button', 'data-testid': 'room-create' }, 'Create room');
  const choice = (/** @type {string} */ value, /** @type {string} */ label, /** @type {string} */ hint, /** @type {boolean} */ checked) => h('label', { class: 'choice' },
    h('input', { type: 'radio', name: 'visibility', value, checked, 'data-testid': `visibility-${value.toLowerCase()}` }),
    h('span', {}, h('strong', {}, label), h('span', { class: 'hint' }, hint)));
  const form = h('form', { onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void withSubmitState(problem, button, async () => {
      assertValid(roomNameProblem(input.value));
      const visibility = String(new FormData(form).get('visibility'));
      const room = await workspace.api.createRoom({ kind: 'GROUP', name: input.value.trim(), visibility });
      close();
      workspace.enter(room);
    });
  } },
  labelledField({ id: 'new-room-name', label: 'Name', input }),
  h('fieldset', { class: 'choices' }, h('legend', {}, 'Who can join'),
    choice('PRIVATE', 'Private', 'Only invited people can join.', true),
    choice('PUBLIC', 'Public', 'Anyone can find and join it.', false)),
  problem, h('div', { class: 'actions' }, button));
  return form;
}

/** @param {import('./workspace.js').Workspace} workspace @param {() => void} close */
function findRoom(workspace, close) {
  const input = h('input', { type: 'search', autocomplete: 'off', 'data-testid': 'find-input', placeholder: 'Search by name' });
  const results = h('ul', { class: 'results', 'aria-label': 'Search results', 'data-testid': 'find-results' });
  const status = h('p', { class: 'hint', role: 'status' });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const result = (/** @type {import('../../types/wire').RoomInfo} */ room) => {
    const mine = workspace.list.get(room.roomId) !== undefined;
    const button = h('button', { type: 'button', class: 'button small', 'data-testid': 'join-room', 'aria-label': `${mine ? 'Open' : 'Join'} ${isolate(room.name ?? '')}` }, mine ? 'Open' : 'Join');
    button.addEventListener('click', () => void withSubmitState(problem, button, async () => {
      if (!mine) await workspace.api.addMember(room.roomId, workspace.me.userId);
      close();
      workspace.enter(mine ? room : await workspace.api.room(room.roomId));
    }));
    return h('li', { class: 'result', 'data-room-id': room.roomId }, h('span', { class: 'result-text' }, h('strong', {}, h('bdi', {}, stripControls(room.name ?? '') || 'Unnamed room')), h('span', { class: 'hint' }, plural(room.memberCount, 'member'))), button);
  };
  const search = async () => {
    const name = input.value.trim();
    try {
      const found = utf8Bytes(name) > ROOM_NAME_BYTES_MAX ? [] : await workspace.api.searchPublicRooms(name);
      if (input.value.trim() !== name) return;
      fill(results, found.map(result));
      fill(status, found.length > 0 ? plural(found.length, 'public room') : name === '' ? 'There are no public rooms yet.' : `No public rooms found for “${isolate(name)}”.`);
    } catch (error) {
      fill(status, /** @type {Error} */ (error).message);
    }
  };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => void search(), 200);
  });
  void search();
  return h('div', {}, labelledField({ id: 'find-room', label: 'Room name', input }), status, problem, results);
}

/** @param {import('./workspace.js').Workspace} workspace @param {() => void} close */
function direct(workspace, close) {
  const input = h('input', { type: 'text', maxlength: 64, 'data-testid': 'direct-name', placeholder: 'User name' });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const button = h('button', { type: 'submit', class: 'button', 'data-testid': 'direct-start' }, 'Start chat');
  const start = async (/** @type {import('../../types/wire').User} */ user) => {
    if (user.userId === workspace.me.userId) throw new Error('You cannot message yourself.');
    const room = await workspace.api.createRoom({ kind: 'DIRECT', memberIds: [user.userId] });
    workspace.people.put(user);
    close();
    workspace.enter(room);
  };
  const search = userSearch({ input, api: workspace.api, isExcluded: (userId) => userId === workspace.me.userId, choose: (user) => void withSubmitState(problem, button, () => start(user)) });
  return h('form', { onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void withSubmitState(problem, button, async () => start(await search.exact()));
  } },
  labelledField({ id: 'direct-name', label: 'Send a message to', input }),
  search.element, problem, h('div', { class: 'actions' }, button));
}

/**
 * A dialog to change a room's name and topic.
 * @param {import('./room.js').Room} room
 */
export function renameDialog(room) {
  const name = h('input', { type: 'text', required: true, dir: 'auto', 'data-testid': 'rename-input' });
  const topic = h('input', { type: 'text', dir: 'auto', 'data-testid': 'topic-input', placeholder: 'What this room is about' });
  name.value = room.info.name ?? '';
  topic.value = room.info.topic ?? '';
  const problem = h('p', { class: 'problem', role: 'alert' });
  const button = h('button', { type: 'submit', class: 'button', 'data-testid': 'rename-save' }, 'Save');
  openDialog('Edit room', (close) => [h('form', { onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void withSubmitState(problem, button, async () => {
      assertValid(roomNameProblem(name.value) || topicProblem(topic.value));
      const change = { name: name.value.trim(), ...(topic.value.trim() === (room.info.topic ?? '') ? {} : { topic: topic.value.trim() }) };
      await room.api.updateRoom(room.roomId, change);
      close();
    });
  } },
  labelledField({ id: 'rename-name', label: 'Name', input: name }),
  labelledField({ id: 'rename-topic', label: 'Topic (optional)', input: topic }),
  problem,
  h('div', { class: 'actions' }, h('button', { type: 'button', class: 'button quiet', onclick: close }, 'Cancel'), button))]);
  name.select();
}

