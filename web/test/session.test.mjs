import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Api } from '../page/js/api.js';
import { uuidv7 } from '../page/js/ids.js';
import { SafeStore } from '../page/js/key-value-store.js';
import { Session } from '../page/js/session.js';

function storage(initial = {}) {
  const kept = new Map(Object.entries(initial));
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
}

const reply = (status, body) => new Response(body === undefined ? null : JSON.stringify(body), { status });
const pair = (number, expiresIn = 900) => ({ accessToken: `access-${number}`, refreshToken: `refresh-${number}`, expiresIn });

/** A server with sessions: it records calls and rotates refresh tokens. */
function fleet({ expiresIn = 900, refuses = false } = {}) {
  const calls = [];
  let turn = 1;
  const fetch = async (path, { method, headers, body }) => {
    calls.push(`${method} ${path}`);
    if (path === '/v1/sessions') return reply(200, pair(1, expiresIn));
    if (path === '/v1/sessions/refresh') {
      if (refuses || JSON.parse(body).refreshToken !== `refresh-${turn}`) return reply(401, { code: 'UNAUTHORIZED' });
      turn += 1;
      return reply(200, pair(turn, 900));
    }
    if (headers.Authorization !== `Bearer access-${turn}`) return reply(401, { code: 'UNAUTHORIZED' });
    return reply(200, { userId: 'ana', name: 'ana' });
  };
  return { calls, fetch };
}

const alone = (work) => work();

test('a good token is used as it is', async () => {
  const { calls, fetch } = fleet();
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  assert.equal(await session.get(), 'access-1');
  assert.deepEqual(calls, ['POST /v1/sessions']);
});

test('everyone who asks during a refresh gets its outcome, and the refresh token is used once', async () => {
  const { calls, fetch } = fleet();
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  const tokens = await Promise.all([session.get('access-1'), session.get('access-1'), session.get('access-1')]);
  assert.deepEqual(tokens, ['access-2', 'access-2', 'access-2']);
  assert.equal(calls.filter((call) => call.endsWith('/refresh')).length, 1);
});

test('two tabs refresh one after the other and share the outcome', async () => {
  const { calls, fetch } = fleet();
  const shared = storage();
  let line = Promise.resolve();
  const exclusively = (work) => (line = line.then(work, work));
  const tabs = [new Session({ storage: shared, fetch, exclusively }), new Session({ storage: shared, fetch, exclusively })];
  await tabs[0].signIn({ name: 'ana', password: 'long enough' });
  const tokens = await Promise.all(tabs.map((tab) => tab.get('access-1')));
  assert.deepEqual(tokens, ['access-2', 'access-2']);
  assert.equal(calls.filter((call) => call.endsWith('/refresh')).length, 1);
});

test('a token near its end is renewed before it is used', async (t) => {
  const { fetch } = fleet({ expiresIn: 60 });
  t.mock.timers.enable({ apis: ['Date'] });
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  assert.equal(await session.get(), 'access-1');
  t.mock.timers.tick(50_000);
  assert.equal(await session.get(), 'access-2');
});

test('a refused refresh ends the session', async () => {
  const { fetch } = fleet({ refuses: true });
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  let ended = 0;
  session.on('ended', () => (ended += 1));
  await assert.rejects(session.get('access-1'), { code: 'UNAUTHORIZED' });
  assert.equal(ended, 1);
  assert.equal(session.signedIn, false);
});

test('a fleet out of reach does not end the session', async () => {
  const { fetch } = fleet();
  let down = false;
  const session = new Session({ storage: storage(), fetch: (...request) => (down ? Promise.reject(new TypeError('no network')) : fetch(...request)), exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  down = true;
  await assert.rejects(session.get('access-1'), { code: 'UNREACHABLE' });
  assert.equal(session.signedIn, true);
});

test('a call refused with 401 is tried once more with a fresh token', async () => {
  const { calls, fetch } = fleet();
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  await session.get('access-1');
  const stale = { get: (token) => (token === undefined ? Promise.resolve('access-1') : session.get(token)) };
  const me = await new Api(stale, fetch).me();
  assert.equal(me.userId, 'ana');
  assert.equal(calls.filter((call) => call === 'GET /v1/me').length, 2);
});

test('a problem document becomes an error with its code and words', async () => {
  const fetch = async () => reply(409, { code: 'CONFLICT', title: 'Conflict', detail: 'the name is taken' });
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await assert.rejects(session.signUp({ name: 'ana', password: 'long enough' }), { status: 409, code: 'CONFLICT', message: 'the name is taken' });
});

test('ids made here carry the time in front and are version 7', () => {
  const id = uuidv7(0x0189_abcd_ef01, (bytes) => bytes.fill(0xff));
  assert.equal(id, '0189abcd-ef01-7fff-bfff-ffffffffffff');
});

test('session_lives_in_memory_when_the_browser_refuses_storage', async () => {
  const refuse = () => { throw new DOMException('blocked', 'SecurityError'); };
  for (const open of [refuse, () => ({ getItem: refuse, setItem: refuse, removeItem: refuse })]) {
    const { fetch } = fleet();
    const session = new Session({ storage: new SafeStore(open), fetch, exclusively: alone });
    assert.equal(session.signedIn, false);
    await session.signIn({ name: 'ana', password: 'long enough' });
    assert.equal(await session.get(), 'access-1');
    session.end();
    assert.equal(session.signedIn, false);
  }
});

test('safe_store_prefers_the_value_that_a_full_browser_did_not_take', () => {
  const kept = storage({ a: 'old' });
  const store = new SafeStore(() => ({ ...kept, setItem: () => { throw new DOMException('full', 'QuotaExceededError'); } }));
  assert.equal(store.getItem('a'), 'old');
  store.setItem('a', 'new');
  assert.equal(store.getItem('a'), 'new');
  store.removeItem('a');
  assert.equal(store.getItem('a'), null);
});
