/** The member panel of a room: members, presence, roles, inviting and leaving. */
import { isolate } from './bidi.js';
import { avatar, batched, isComposing, fill, h, icon } from './dom.js';
import { confirm, withSubmitState, toast } from './dialogs.js';
import { plural, shortTime } from './format.js';
import { renameDialog } from './start-dialog.js';
import { userSearch } from './user-search.js';
import { displayNameOf } from './people.js';

const SHOWN_MAX = 100;
const RANK = { ONLINE: 0, AWAY: 1, OFFLINE: 2 };
const STATUS_WORDS = { ONLINE: 'online', AWAY: 'away', OFFLINE: 'offline' };

/**
 * @typedef {import('./room.js').Room} Room
 * @typedef {import('./workspace.js').Workspace} Workspace
 * @typedef {import('../../types/wire').Member} Member
 */

/**
 * @param {Room} room
 * @param {Workspace} workspace
 * @param {() => void} onClose
 */
export function detailsView(room, workspace, onClose) {
  const { people } = workspace;
  const isGroup = room.info.kind === 'GROUP';
  const count = h('h2', {}, 'Members');
  const members = h('ul', { class: 'members', 'data-testid': 'members' });
  const invite = inviteForm(room, workspace);
  const manage = h('div', { class: 'details-actions' });
  const view = h('section', { class: 'details', 'aria-label': 'Members of this room', 'data-testid': 'details', onkeydown: (/** @type {KeyboardEvent} */ event) => { if (event.key === 'Escape' && !isComposing(event)) onClose(); } },
    h('header', { class: 'details-head' }, count, h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Close member list', onclick: onClose }, icon('close'))),
    invite, members, manage);
  const render = () => {
    const all = [...room.members.values()].sort((one, other) => RANK[people.status(one.userId)] - RANK[people.status(other.userId)] || people.name(one.userId).localeCompare(people.name(other.userId)));
    fill(count, `Members · ${room.info.memberCount}`);
    if (members.contains(document.activeElement) && document.activeElement instanceof HTMLSelectElement) return;
    fill(members, all.slice(0, SHOWN_MAX).map((member) => memberItem(member, room, workspace)),
      all.length > SHOWN_MAX ? h('li', { class: 'hint' }, `and ${plural(all.length - SHOWN_MAX, 'more member')}`) : null);
    invite.hidden = !room.mayManage;
    fill(manage,
      room.mayManage ? h('button', { type: 'button', class: 'button quiet', 'data-testid': 'rename', onclick: () => renameDialog(room) }, icon('pencil'), 'Edit room') : null,
      isGroup ? h('button', { type: 'button', class: 'button quiet danger-text', 'data-testid': 'leave', onclick: () => void leave(room, workspace) }, icon('exit'), 'Leave room') : null);
  };
  const scheduleRender = batched(render, 50);
  const unsubscribes = [room.on('members', scheduleRender), people.on('names', scheduleRender), people.on('presence', scheduleRender)];
  render();
  return { element: view, focusInvite: () => /** @type {HTMLElement | null} */ (invite.querySelector('input'))?.focus(), dispose: () => { for (const unsubscribe of unsubscribes) unsubscribe(); } };
}

/** @param {Member} member @param {Room} room @param {Workspace} workspace */
function memberItem({ userId, role }, room, workspace) {
  const { people, me } = workspace;
  const name = people.name(userId);
  const status = people.status(userId);
  const lastSeen = people.lastSeen(userId);
  const isMe = userId === me.userId;
  const myRole = room.members.get(me.userId)?.role;
  const mayRemove = !isMe && room.info.kind === 'GROUP' && (myRole === 'OWNER' || (myRole === 'ADMIN' && role === 'MEMBER'));
  const words = status === 'OFFLINE' && lastSeen ? `last seen ${shortTime(lastSeen)}` : STATUS_WORDS[status];
  return h('li', { class: 'member', 'data-testid': 'member', 'data-user-id': userId, 'data-status': status },
    avatar(userId, name, { status }),
    h('span', { class: 'member-text' }, h('span', { class: 'member-name' }, h('bdi', {}, name), isMe ? ' (you)' : null), h('span', { class: 'hint' }, words)),
    myRole === 'OWNER' && !isMe && room.info.kind === 'GROUP' ? roleChoice(userId, name, role, room)
      : role !== 'MEMBER' ? h('span', { class: 'role' }, role.toLowerCase()) : null,
    mayRemove ? h('button', { type: 'button', class: 'icon-button small', 'aria-label': `Remove ${isolate(name)}`, title: `Remove ${isolate(name)}`, 'data-testid': 'remove-member', onclick: () => void remove(userId, name, room) }, icon('close')) : null);
}

/** @param {string} userId @param {string} name @param {string} role @param {Room} room */
function roleChoice(userId, name, role, room) {
  const select = h('select', { class: 'role-choice', 'aria-label': `Role of ${isolate(name)}`, 'data-testid': 'role-choice', onchange: async () => {
    const newRole = select.value;
    select.blur();
    await room.api.changeRole(room.roomId, userId, newRole).catch((error) => {
      select.value = role;
      toast(error.message);
    });
  } }, ['OWNER', 'ADMIN', 'MEMBER'].map((each) => h('option', { value: each, selected: each === role }, each.toLowerCase())));
  return select;
}

/** @param {Room} room @param {Workspace} workspace */
function inviteForm(room, workspace) {
  const input = h('input', { type: 'text', id: 'invite-name', maxlength: 64, placeholder: 'User name', 'data-testid': 'invite-name' });
  const problem = h('p', { class: 'problem', role: 'alert', 'data-testid': 'invite-error' });
  const button = h('button', { type: 'submit', class: 'button', 'data-testid': 'invite-submit' }, 'Invite');
  const add = async (/** @type {import('../../types/wire').User} */ user) => {
    if (room.members.has(user.userId)) throw new Error(`${isolate(displayNameOf(user))} is already a member.`);
    await room.api.addMember(room.roomId, user.userId);
    workspace.people.put(user);
    search.clear();
    toast(`${isolate(displayNameOf(user))} was added to the room.`, 'info');
  };
  const search = userSearch({ input, api: workspace.api, isExcluded: (userId) => room.members.has(userId), choose: (user) => void withSubmitState(problem, button, () => add(user)) });
  return h('form', { class: 'invite-form', onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void withSubmitState(problem, button, async () => add(await search.exact()));
  } },
  h('label', { for: 'invite-name' }, 'Invite by user name'),
  h('div', { class: 'inline' }, input, button), problem, search.element);
}

/** @param {string} userId @param {string} name @param {Room} room */
async function remove(userId, name, room) {
  const sure = await confirm({ title: `Remove ${isolate(name)}?`, text: 'They will lose access to this room.', action: 'Remove', danger: true });
  if (sure) await room.api.removeMember(room.roomId, userId).catch((error) => toast(error.message));
}

/** @param {Room} room @param {Workspace} workspace */
async function leave(room, workspace) {
  const text = room.info.visibility === 'PUBLIC' ? 'You can join again at any time.' : 'You can rejoin only if you are invited again.';
  if (!(await confirm({ title: 'Leave this room?', text, action: 'Leave', danger: true }))) return;
  try {
    await room.api.removeMember(room.roomId, workspace.me.userId);
    workspace.list.remove(room.roomId);
  } catch (error) {
    const { code, message } = /** @type {any} */ (error);
    toast(code === 'FORBIDDEN' ? 'You are the last owner. Make another member an owner first.' : message);
  }
}
