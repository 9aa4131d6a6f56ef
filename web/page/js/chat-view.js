/** The open room: header, messages, typing line, composer and member panel. */
import { isolate } from './bidi.js';
import { batched, fill, h, icon, setText } from './dom.js';
import { composerView } from './composer-view.js';
import { confirm, toast } from './dialogs.js';
import { detailsView } from './details-view.js';
import { joinNames, plural } from './format.js';
import { messagesView } from './messages-view.js';
import { roomAvatar, roomName } from './sidebar-view.js';
import { displayNameOf } from './people.js';

/**
 * @param {import('./room.js').Room} room
 * @param {import('./workspace.js').Workspace} workspace
 */
export function chatView(room, workspace) {
  const { people, me, outbox } = workspace;
  const name = () => roomName(room.info, people);
  const title = h('bdi', {});
  const subtitle = h('p', { class: 'chat-subtitle', 'data-testid': 'room-subtitle' });
  const face = h('span', { class: 'chat-face' });
  const typing = h('p', { class: 'typing', 'data-testid': 'typing' });
  const peopleButton = h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Members of this room', title: 'Members', 'aria-expanded': 'false', 'data-testid': 'invite', onclick: () => toggleDetails() }, icon('people'));
  const details = detailsView(room, workspace, () => toggleDetails(false));
  details.element.hidden = true;
  /** @param {boolean} [open] @param {boolean} [focusInvite] */
  const toggleDetails = (open = details.element.hidden === true, focusInvite = false) => {
    details.element.hidden = !open;
    peopleButton.setAttribute('aria-expanded', String(open));
    if (open && focusInvite) details.focusInvite();
    if (!open) peopleButton.focus();
  };

  const report = (/** @type {Promise<unknown>} */ work, /** @type {string} */ what) => void work.catch((error) => toast(`${what} ${error.message}`));
  /** @type {import('./message-view.js').Actions} */
  const actions = {
    reply: (message) => composer.reply(message),
    edit: (message) => composer.edit(message),
    react: (message, emoji) => report(outbox.submit({ type: 'REACT', roomId: room.roomId, messageId: message.messageId, emoji, ...(message.reactions.get(emoji)?.userIds.has(me.userId) ? { remove: true } : {}) }), 'The reaction was not saved.'),
    retry: (clientMsgId) => room.retry(clientMsgId),
    discard: (clientMsgId) => room.discard(clientMsgId),
    async remove(message) {
      const sure = await confirm({ title: 'Delete this message?', text: 'The message will be deleted for everyone.', action: 'Delete', danger: true });
      if (sure) report(outbox.submit({ type: 'DELETE_MESSAGE', roomId: room.roomId, messageId: message.messageId }), 'The message was not deleted.');
    },
    jump: (messageId) => void jumpTo(messageId),
  };
  const messages = messagesView({
    room, people, actions,
    intro: () => introOf(room, name(), () => toggleDetails(true, true)),
    onSeen(seq, unreadAfter) {
      room.markRead(seq);
      workspace.list.markRead(room.roomId, room.readSeq, unreadAfter);
    },
  });
  const jumpTo = async (/** @type {string} */ messageId) => {
    for (let pages = 0; pages < 5 && !messages.show(messageId); pages += 1) {
      if (!room.timeline.hasMoreBefore) return;
      await room.loadBefore();
      messages.render();
    }
  };
  const composer = composerView({ room, people, name, onSent: () => messages.stickToBottom(), onProblem: toast });

  const renderHead = () => {
    setText(title, name());
    fill(face, roomAvatar(room.info, people));
    setText(subtitle, subtitleOf(room, people));
    workspace.watchMembers([...room.members.keys()]);
  };
  const renderTyping = () => {
    const names = room.typingUserIds.map((userId) => people.name(userId));
    fill(typing, names.length === 0 ? '' : [h('span', { class: 'typing-dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i')), `${joinNames(names.map(isolate))} ${names.length === 1 ? 'is' : 'are'} typing…`]);
  };
  const scheduleHead = batched(renderHead, 50);
  const unsubscribes = [room.on('members', scheduleHead), people.on('names', scheduleHead), people.on('presence', scheduleHead), room.on('typing', renderTyping), people.on('names', renderTyping)];
  const chat = h('section', { class: 'chat', 'aria-label': 'Open room', 'data-testid': 'chat', 'data-room-id': room.roomId },
    h('header', { class: 'chat-head' },
      h('a', { class: 'icon-button only-narrow', href: '#/', 'aria-label': 'Back to rooms', 'data-testid': 'back' }, icon('back')),
      face, h('div', { class: 'chat-names' }, h('h1', { class: 'chat-title', 'data-testid': 'room-title' }, title), subtitle), peopleButton),
    messages.element, typing, composer.element);
  renderHead();
  return {
    elements: [chat, details.element],
    /** Renders after the elements are attached. @param {boolean} focus */
    shown(focus) {
      composer.fit();
      messages.render();
      if (focus) composer.focus();
    },
    dispose() {
      for (const unsubscribe of unsubscribes) unsubscribe();
      messages.dispose();
      details.dispose();
    },
  };
}

/** @param {import('./room.js').Room} room @param {import('./people.js').People} people */
function subtitleOf(room, people) {
  if (room.info.kind === 'DIRECT') {
    const status = people.status(room.info.peerId ?? '');
    return status === 'ONLINE' ? 'Online' : status === 'AWAY' ? 'Away' : 'Offline';
  }
  const online = [...room.members.keys()].filter((userId) => userId !== room.selfId && people.status(userId) !== 'OFFLINE').length;
  const parts = [room.info.visibility === 'PUBLIC' ? 'Public' : 'Private', plural(room.info.memberCount, 'member'), `${online + 1} online`];
  return [room.info.topic ? isolate(room.info.topic) : '', parts.join(' · ')].filter(Boolean).join(' — ');
}

/** The introduction above the first message. @param {import('./room.js').Room} room @param {string} name @param {() => void} onInvite */
function introOf(room, name, onInvite) {
  const isDirect = room.info.kind === 'DIRECT';
  return h('div', { class: 'intro' },
    h('h2', {}, isDirect ? 'Your conversation with ' : 'Welcome to ', h('bdi', {}, name)),
    h('p', {}, isDirect ? 'Only the two of you can read this conversation.' : 'This is the beginning of the room.'),
    room.mayManage ? h('button', { type: 'button', class: 'button', 'data-testid': 'invite-first', onclick: onInvite }, icon('people'), 'Invite people') : null);
}

/** The view while no room is open. @param {import('./workspace.js').Workspace} workspace */
export function noRoomView(workspace) {
  const isNew = workspace.list.loaded && workspace.list.rooms.length === 0;
  return h('section', { class: 'chat no-room', 'aria-label': 'No room is open', 'data-testid': 'empty-state' },
    h('div', { class: 'welcome' },
      h('div', { class: 'welcome-art', 'aria-hidden': 'true' }, h('i'), h('i'), h('i')),
      h('h2', {}, isNew ? ['Hello, ', h('bdi', {}, displayNameOf(workspace.me))] : 'Select a room'),
      h('p', {}, isNew ? 'Create a room and invite people, or join a public room.' : 'Select a room from the list to open it.'),
      h('div', { class: 'welcome-actions' },
        h('button', { type: 'button', class: 'button', 'data-testid': 'first-room', onclick: () => workspace.openStartDialog('room') }, icon('plus'), isNew ? 'Create your first room' : 'New room'),
        h('button', { type: 'button', class: 'button quiet', 'data-testid': 'first-find', onclick: () => workspace.openStartDialog('find') }, icon('hash'), 'Find a public room'),
        h('button', { type: 'button', class: 'button quiet', 'data-testid': 'first-direct', onclick: () => workspace.openStartDialog('direct') }, icon('people'), 'New direct message'))));
}
