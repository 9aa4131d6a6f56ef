// The rules of rooms, in memory and in one JSON file: enough of them to develop the page.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

const REPLAY_MAX = Number(process.env.MOCK_REPLAY_MAX ?? 1000);

export class Chat {
  #file;
  #state = { users: {}, rooms: {}, sent: {}, next: 1, sessions: {} };

  /** `deliver(userIds, frame, room)` sends a frame to users. */
  constructor(directory, deliver) {
    mkdirSync(directory, { recursive: true });
    this.#file = join(directory, 'mock.json');
    this.deliver = deliver;
    if (existsSync(this.#file)) this.#state = JSON.parse(readFileSync(this.#file, 'utf8'));
  }

  get state() {
    return this.#state;
  }

  save() {
    writeFileSync(`${this.#file}.new`, JSON.stringify(this.#state));
    renameSync(`${this.#file}.new`, this.#file);
  }

  id(prefix) {
    return `${prefix}-${(this.#state.next++).toString(36).padStart(6, '0')}`;
  }

  signUp({ name, password, displayName }) {
    if (!/^[\w.:-]{3,32}$/.test(name ?? '')) throw new Refusal(400, 'BAD_FRAME', 'the name must be 3 to 32 characters of A-Z a-z 0-9 _ - . :');
    if ((password ?? '').length < 8) throw new Refusal(400, 'BAD_FRAME', 'the password must have at least 8 characters');
    if (this.findByName(name)) throw new Refusal(409, 'CONFLICT', 'the name is taken');
    const userId = this.id('u');
    this.#state.users[userId] = { userId, name, displayName: displayName ?? name, password };
    this.save();
    return this.user(userId);
  }

  findByName(name) {
    return Object.values(this.#state.users).find((user) => user.name.toLowerCase() === String(name).toLowerCase());
  }

  user(userId) {
    const user = this.#state.users[userId];
    if (!user) throw new Refusal(404, 'NOT_FOUND', 'no such user');
    return { userId, name: user.name, displayName: user.displayName };
  }

  room(roomId, userId) {
    const room = this.#state.rooms[roomId];
    if (!room?.members[userId]) throw new Refusal(403, 'NOT_MEMBER', 'you are not a member of this room');
    return room;
  }

  info(room, userId) {
    const { roomId, kind, visibility, name, topic, createdAt } = room;
    const peerId = kind === 'DIRECT' ? Object.keys(room.members).find((id) => id !== userId) : undefined;
    return { roomId, kind, visibility, name, topic, createdAt, peerId, head: room.events.at(-1)?.seq ?? 0, memberCount: Object.keys(room.members).length, role: room.members[userId]?.role };
  }

  create({ kind, name, visibility, memberIds = [] }, userId) {
    if (kind === 'DIRECT') {
      const existing = Object.values(this.#state.rooms).find((room) => room.kind === 'DIRECT' && room.members[userId] && room.members[memberIds[0]]);
      if (existing) return { room: existing, created: false };
    }
    const room = { roomId: this.id('r'), kind, name, visibility: kind === 'GROUP' ? visibility ?? 'PRIVATE' : undefined, createdAt: now(), members: {}, events: [] };
    this.#state.rooms[room.roomId] = room;
    this.addMember(room, userId, userId, kind === 'DIRECT' ? 'MEMBER' : 'OWNER');
    for (const memberId of memberIds) this.addMember(room, memberId, userId, 'MEMBER');
    return { room, created: true };
  }

  addMember(room, userId, by, role) {
    room.members[userId] = { role, marks: { read: 0, delivered: 0 } };
    this.append(room, { type: 'MEMBER_JOINED', userId, senderId: by, role });
  }

  removeMember(room, userId, by) {
    const event = this.append(room, { type: 'MEMBER_LEFT', userId, senderId: by, role: room.members[userId].role });
    delete room.members[userId];
    this.save();
    return event;
  }

  append(room, fields, beforeSave = () => {}) {
    const prev = room.events.at(-1)?.seq ?? 0;
    const event = { roomId: room.roomId, seq: this.#state.next, prev, ts: now(), ...fields };
    this.#state.next += 1 + (this.#state.next % 3);
    room.events.push(event);
    beforeSave(event);
    this.save();
    this.deliver(Object.keys(room.members), event, room.roomId);
    this.#notify(room, event);
    return event;
  }

  /** Notifies members whose connections are not subscribed to the room. */
  #notify(room, event) {
    const { type, messageId, senderId, seq } = event;
    const messages = room.events.filter((each) => each.type === 'MESSAGE');
    const isLast = messages.at(-1)?.messageId === messageId;
    const notify = (userId, kind) => this.deliver([userId], { type: 'NOTIFICATION', kind, roomId: room.roomId, seq, messageId, senderId }, room.roomId, true);
    for (const userId of Object.keys(room.members)) {
      if (type === 'MESSAGE' && userId === senderId) notify(userId, 'READ');
      else if (type === 'MESSAGE' && event.mentions?.includes(userId)) notify(userId, 'MENTION');
      else if (type === 'MESSAGE') notify(userId, messages.some((each) => each.messageId === event.replyTo && each.senderId === userId) ? 'REPLY' : 'MESSAGE');
      else if ((type === 'MESSAGE_EDITED' || type === 'MESSAGE_DELETED') && isLast) notify(userId, type);
      else if (type === 'ROOM_CHANGED' || type === 'ROOM_DELETED') notify(userId, type);
    }
    if (type === 'MEMBER_JOINED') notify(event.userId, event.userId === senderId ? 'JOINED' : 'INVITATION');
    if (type === 'MEMBER_LEFT') notify(event.userId, event.userId === senderId ? 'LEFT' : 'REMOVAL');
  }

  /** SEND_MESSAGE, EDIT_MESSAGE, DELETE_MESSAGE and REACT, each at most once per clientMsgId. */
  submit(frame, userId) {
    const room = this.room(frame.roomId, userId);
    const key = `${userId} ${frame.roomId} ${frame.clientMsgId}`;
    const before = frame.clientMsgId === undefined ? undefined : this.#state.sent[key];
    if (before) return { ...before, duplicate: true };
    let ack;
    // The event and its clientMsgId are saved together: a kill between two writes would duplicate the event.
    this.#append(room, frame, userId, (event) => {
      ack = { type: 'ACK', roomId: room.roomId, messageId: event.messageId, clientMsgId: frame.clientMsgId, seq: event.seq, ts: event.ts, duplicate: false };
      if (frame.clientMsgId !== undefined) this.#state.sent[key] = ack;
    });
    return ack;
  }

  #append(room, frame, userId, beforeSave) {
    const { messageId, content, emoji, replyTo, mentions, clientMsgId } = frame;
    if (frame.type === 'SEND_MESSAGE') {
      if (!content) throw new Refusal(400, 'CONTENT_EMPTY', 'a message needs a text');
      const event = this.append(room, { type: 'MESSAGE', messageId: this.id('m'), senderId: userId, content, clientMsgId, replyTo, mentions }, beforeSave);
      room.members[userId].marks.read = event.seq;
      return event;
    }
    const target = this.current(room).find((message) => message.messageId === messageId && !message.deleted);
    if (!target) throw new Refusal(404, 'NOT_FOUND', 'the message is not in this room');
    if (frame.type === 'REACT') return this.append(room, { type: 'REACTION', messageId, senderId: userId, emoji, removed: frame.remove === true }, beforeSave);
    if (target.senderId !== userId && (frame.type === 'EDIT_MESSAGE' || room.members[userId].role === 'MEMBER')) throw new Refusal(403, 'FORBIDDEN', 'this is not your message');
    if (frame.type === 'EDIT_MESSAGE') return this.append(room, { type: 'MESSAGE_EDITED', messageId, senderId: userId, content }, beforeSave);
    return this.append(room, { type: 'MESSAGE_DELETED', messageId, senderId: userId }, beforeSave);
  }

  /** The messages of a room in their current state. */
  current(room) {
    const messages = new Map();
    for (const { prev, ...event } of room.events) {
      const target = messages.get(event.messageId);
      if (event.type === 'MESSAGE') messages.set(event.messageId, { ...event, userIdsByEmoji: {} });
      else if (event.type === 'MESSAGE_EDITED') Object.assign(target, { content: event.content, editedAt: event.ts });
      else if (event.type === 'MESSAGE_DELETED') Object.assign(target, { content: undefined, deleted: true, userIdsByEmoji: {} });
      else if (event.type === 'REACTION') {
        const userIds = (target.userIdsByEmoji[event.emoji] ?? []).filter((id) => id !== event.senderId);
        target.userIdsByEmoji[event.emoji] = event.removed ? userIds : [...userIds, event.senderId];
      }
    }
    return [...messages.values()].map(({ userIdsByEmoji, ...message }) => ({
      ...message,
      reactions: Object.entries(userIdsByEmoji).filter(([, ids]) => ids.length > 0).map(([emoji, userIds]) => ({ emoji, count: userIds.length, userIds })),
    }));
  }

  /** The events after a seq, or undefined when they exceed the replay limit. */
  replay(room, after) {
    const events = room.events.filter((event) => event.seq > after);
    return events.length > REPLAY_MAX ? undefined : this.#withoutDeleted(room, events);
  }

  history(room, { before, after, limit = '50' }) {
    const count = Number(limit);
    const head = room.events.at(-1)?.seq ?? 0;
    if (after !== undefined) {
      const events = room.events.filter((event) => event.seq > Number(after));
      return { events: this.#withoutDeleted(room, events.slice(0, count)), head, hasMoreBefore: Number(after) > 0, hasMoreAfter: events.length > count };
    }
    const messages = this.current(room).filter((message) => before === undefined || message.seq < Number(before));
    return { events: messages.slice(-count), head, hasMoreBefore: messages.length > count, hasMoreAfter: before !== undefined };
  }

  #withoutDeleted(room, events) {
    const deletedIds = new Set(room.events.filter((event) => event.type === 'MESSAGE_DELETED').map((event) => event.messageId));
    return events.map((event) => (event.type === 'MESSAGE' && deletedIds.has(event.messageId) ? { ...event, content: undefined, deleted: true } : event));
  }

  myRooms(userId) {
    const activityOf = ({ roomId, lastMessage }) => lastMessage?.seq ?? this.#state.rooms[roomId].events[0].seq;
    const rooms = Object.values(this.#state.rooms).filter((room) => room.members[userId]);
    return rooms
      .map((room) => {
        const messages = this.current(room);
        const { marks } = room.members[userId];
        return { ...this.info(room, userId), unread: messages.filter((message) => message.seq > marks.read).length, lastMessage: messages.at(-1), marks };
      })
      .sort((one, other) => activityOf(other) - activityOf(one));
  }
}

export const now = () => new Date().toISOString();
