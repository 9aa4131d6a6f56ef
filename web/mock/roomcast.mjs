#!/usr/bin/env node
// A mock of the `roomcast` binary, to develop the page without building the server. It takes the same
// options, prints the same ready line and stores what it acknowledges, without further guarantees.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Chat, Refusal, now } from './chat.mjs';
import { accept } from './websocket.mjs';

const { values: options } = parseArgs({ options: { listen: { type: 'string', default: '127.0.0.1:8080' }, admin: { type: 'string', default: '127.0.0.1:0' }, data: { type: 'string', default: './roomcast-data' } } });
const PAGE = fileURLToPath(new URL('../page', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml' };
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEARTBEAT_MS = 15_000;

/** @type {Set<{ userId: string, rooms: Set<string>, watched: string[], send: Function, close: Function }>} */
const connections = new Set();
const chat = new Chat(options.data, (userIds, frame, roomId, onlyUnsubscribed = false) => {
  for (const connection of connections) {
    if (userIds.includes(connection.userId) && connection.rooms.has(roomId) !== onlyUnsubscribed) connection.send(frame);
  }
});

const tokenFor = (userId) => `mock.${Buffer.from(userId).toString('base64url')}.${randomUUID().slice(0, 8)}`;
function authenticate(token) {
  const userId = Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString();
  if (!chat.state.users[userId]) throw new Refusal(401, 'UNAUTHORIZED', 'sign in first');
  return userId;
}
function session(userId) {
  const refreshToken = randomUUID();
  chat.state.sessions[refreshToken] = userId;
  chat.save();
  return { accessToken: tokenFor(userId), expiresIn: 900, refreshToken };
}
const statusOf = (userId) => ([...connections].some((each) => each.userId === userId) ? 'ONLINE' : 'OFFLINE');
function presenceChanged(userId) {
  for (const each of connections) if (each.watched.includes(userId)) each.send({ type: 'PRESENCE', userId, status: statusOf(userId), lastSeen: now() });
}

/** Routes: method and path pattern, and a handler that returns `[status, body]`. */
const routes = [
  ['POST /v1/accounts', ({ body }) => [201, chat.signUp(body)]],
  ['POST /v1/sessions', ({ body }) => {
    const user = chat.findByName(body.name);
    if (!user || user.password !== body.password) throw new Refusal(401, 'UNAUTHORIZED', 'unknown name or wrong password');
    return [201, session(user.userId)];
  }],
  ['POST /v1/sessions/refresh', ({ body }) => {
    const userId = chat.state.sessions[body.refreshToken];
    if (!userId) throw new Refusal(401, 'UNAUTHORIZED', 'the session is over');
    return [200, session(userId)];
  }],
  ['DELETE /v1/sessions/current', () => [204]],
  ['GET /v1/me', ({ me }) => [200, chat.user(me)]],
  ['GET /v1/users', ({ query }) => [200, { users: Object.values(chat.state.users).filter((user) => user.name.toLowerCase().startsWith((query.name ?? '').toLowerCase())).map((user) => chat.user(user.userId)) }]],
  ['GET /v1/users/:one', ({ one }) => [200, chat.user(one)]],
  ['GET /v1/rooms', ({ me, query, roomIds }) => [200, { rooms: roomIds.length > 0
    ? chat.myRooms(me).filter((room) => roomIds.includes(room.roomId))
    : query.visibility === 'PUBLIC'
    ? Object.values(chat.state.rooms).filter((room) => room.visibility === 'PUBLIC' && room.name.toLowerCase().startsWith((query.name ?? '').toLowerCase())).map((room) => chat.info(room, me))
    : chat.myRooms(me) }]],
  ['POST /v1/rooms', ({ me, body }) => {
    const { room, created } = chat.create(body, me);
    return [created ? 201 : 200, chat.info(room, me)];
  }],
  ['GET /v1/rooms/:one', ({ me, one }) => [200, chat.info(chat.room(one, me), me)]],
  ['PATCH /v1/rooms/:one', ({ me, one, body }) => {
    const room = chat.room(one, me);
    if (room.members[me].role === 'MEMBER') throw new Refusal(403, 'FORBIDDEN', 'only owners and admins may do this');
    Object.assign(room, body);
    chat.append(room, { type: 'ROOM_CHANGED', senderId: me, ...body });
    return [200, chat.info(room, me)];
  }],
  ['DELETE /v1/rooms/:one', ({ me, one }) => {
    const room = chat.room(one, me);
    chat.append(room, { type: 'ROOM_DELETED', senderId: me });
    delete chat.state.rooms[one];
    chat.save();
    for (const each of connections) if (each.rooms.delete(one)) each.send({ type: 'UNSUBSCRIBED', roomId: one });
    return [204];
  }],
  ['GET /v1/rooms/:one/messages', ({ me, one, query }) => [200, chat.history(chat.room(one, me), query)]],
  ['POST /v1/rooms/:one/messages', ({ me, one, body }) => [201, chat.submit({ ...body, type: 'SEND_MESSAGE', roomId: one }, me)]],
  ['GET /v1/rooms/:one/messages/:two', ({ me, one, two }) => [200, chat.current(chat.room(one, me)).find((message) => message.messageId === two)]],
  ['GET /v1/rooms/:one/members', ({ me, one }) => [200, { members: Object.entries(chat.room(one, me).members).map(([userId, member]) => ({ userId, ...member })) }]],
  ['PUT /v1/rooms/:one/members/:two', ({ me, one, two }) => {
    const room = chat.state.rooms[one];
    if (!room || (room.visibility !== 'PUBLIC' && !room.members[me])) throw new Refusal(403, 'NOT_MEMBER', 'you are not a member of this room');
    chat.user(two);
    if (room.members[two]) return [200, { userId: two, ...room.members[two] }];
    chat.addMember(room, two, me, 'MEMBER');
    return [201, { userId: two, ...room.members[two] }];
  }],
  ['PATCH /v1/rooms/:one/members/:two', ({ me, one, two, body }) => {
    const room = chat.room(one, me);
    room.members[two].role = body.role;
    chat.append(room, { type: 'MEMBER_CHANGED', userId: two, senderId: me, role: body.role });
    return [200, { userId: two, ...room.members[two] }];
  }],
  ['DELETE /v1/rooms/:one/members/:two', ({ me, one, two }) => {
    const room = chat.room(one, me);
    if (me === two && room.members[me].role === 'OWNER' && Object.keys(room.members).length > 1) throw new Refusal(403, 'FORBIDDEN', 'the last owner cannot leave before making another');
    chat.removeMember(room, two, me);
    for (const each of connections) {
      if (each.userId !== two) continue;
      if (each.rooms.delete(one)) each.send({ type: 'UNSUBSCRIBED', roomId: one });
    }
    return [204];
  }],
];

function route(method, url, headers, body) {
  const path = url.pathname.split('/');
  for (const [pattern, handle] of routes) {
    const [verb, shape] = pattern.split(' ');
    const parts = shape.split('/');
    if (verb !== method || parts.length !== path.length) continue;
    const found = {};
    if (!parts.every((part, index) => (part.startsWith(':') ? (found[part.slice(1)] = decodeURIComponent(path[index])) : part === path[index]))) continue;
    const open = pattern.startsWith('POST /v1/accounts') || pattern.startsWith('POST /v1/sessions');
    const me = open ? undefined : authenticate(headers.authorization?.slice('Bearer '.length));
    return handle({ ...found, me, body, query: Object.fromEntries(url.searchParams), roomIds: url.searchParams.getAll('roomId') });
  }
  throw new Refusal(404, 'NOT_FOUND', 'no such call');
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://mock');
  response.setHeader('Content-Security-Policy', CSP);
  try {
    if (!url.pathname.startsWith('/v1/')) {
      const name = url.pathname === '/' ? '/index.html' : url.pathname;
      const file = await readFile(PAGE + name).catch(() => { throw new Refusal(404, 'NOT_FOUND', 'no such page'); });
      response.writeHead(200, { 'Content-Type': TYPES[extname(name)] }).end(file);
      return;
    }
    let text = '';
    for await (const chunk of request) text += chunk;
    const [status, body] = route(request.method, url, request.headers, text === '' ? {} : JSON.parse(text));
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(body === undefined ? undefined : JSON.stringify(body));
  } catch (error) {
    const { status = 500, code = 'INTERNAL', message } = error;
    response.writeHead(status, { 'Content-Type': 'application/problem+json' }).end(JSON.stringify({ title: code, code, status, detail: message }));
  }
});

server.on('upgrade', (request, socket) => {
  let userId;
  try {
    userId = authenticate(request.headers['sec-websocket-protocol']?.split(/, ?/).find((each) => each.startsWith('bearer.'))?.slice('bearer.'.length));
  } catch {
    socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  const connection = Object.assign(accept(request, socket), { userId, rooms: new Set(), watched: [] });
  connections.add(connection);
  const heartbeat = setInterval(() => connection.send({ type: 'HEARTBEAT' }), HEARTBEAT_MS);
  connection.onClose = () => {
    clearInterval(heartbeat);
    connections.delete(connection);
    presenceChanged(userId);
  };
  connection.onText = (text) => {
    const frame = JSON.parse(text);
    try {
      handle(connection, frame);
    } catch (error) {
      connection.send({ type: 'ERROR', ref: frame.ref, code: error.code ?? 'INTERNAL', message: error.message, retryable: false, roomId: frame.roomId, clientMsgId: frame.clientMsgId });
    }
  };
  connection.send({ type: 'WELCOME', connectionId: randomUUID(), userId, protocol: 1, serverTime: now(), heartbeatMs: HEARTBEAT_MS, limits: { watchedUsersMax: 200 } });
  presenceChanged(userId);
});

function handle(connection, frame) {
  const { userId } = connection;
  const toOthers = (event) => {
    for (const each of connections) if (each.rooms.has(frame.roomId) && (event.type === 'RECEIPT' || each.userId !== userId)) each.send(event);
  };
  switch (frame.type) {
    case 'SUBSCRIBE': {
      const room = chat.room(frame.roomId, userId);
      const head = room.events.at(-1)?.seq ?? 0;
      const missed = frame.after === undefined ? [] : chat.replay(room, frame.after);
      connection.rooms.add(frame.roomId);
      connection.send({ type: 'SUBSCRIBED', ref: frame.ref, roomId: frame.roomId, head, recovered: missed !== undefined, after: frame.after ?? head });
      for (const event of missed ?? []) connection.send(event);
      return;
    }
    case 'UNSUBSCRIBE':
      connection.rooms.delete(frame.roomId);
      return connection.send({ type: 'UNSUBSCRIBED', ref: frame.ref, roomId: frame.roomId });
    case 'SEND_MESSAGE': case 'EDIT_MESSAGE': case 'DELETE_MESSAGE': case 'REACT':
      return connection.send({ ...chat.submit(frame, userId), ref: frame.ref });
    case 'TYPING':
      chat.room(frame.roomId, userId);
      return toOthers({ type: 'TYPING', roomId: frame.roomId, userId });
    case 'MARK': {
      const { marks } = chat.room(frame.roomId, userId).members[userId];
      if (!(frame.read > marks.read)) return;
      marks.read = marks.delivered = frame.read;
      chat.save();
      for (const each of connections) {
        if (each !== connection && each.userId === userId && !each.rooms.has(frame.roomId)) each.send({ type: 'NOTIFICATION', kind: 'READ', roomId: frame.roomId, seq: frame.read, senderId: userId });
      }
      return toOthers({ type: 'RECEIPT', roomId: frame.roomId, userId, read: marks.read, delivered: marks.read });
    }
    case 'WATCH_PRESENCE':
      connection.watched = frame.userIds;
      for (const each of frame.userIds) connection.send({ type: 'PRESENCE', userId: each, status: statusOf(each), lastSeen: now() });
      return;
    case 'AUTH': return connection.send({ type: 'AUTHENTICATED', ref: frame.ref, expiresAt: now() });
    case 'PING': return connection.send({ type: 'PONG', serverTime: now() });
  }
}

const [host, port] = options.listen.split(':');
server.listen(Number(port), host, () => {
  process.stdout.write(`${JSON.stringify({ event: 'ready', http: `http://${host}:${server.address().port}`, roles: ['mock'] })}\n`);
});
process.on('SIGTERM', () => {
  for (const connection of connections) {
    connection.send({ type: 'RECONNECT', afterMs: 500, reason: 'draining' });
    connection.close(1001);
  }
  process.exit(0);
});
