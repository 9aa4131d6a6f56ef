import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Api } from '../page/js/api.js';
import { uuidv7 } from '../page/js/ids.js';
import { SafeStore } from '../page/js/key-value-store.js';
import { Session } from '../page/js/session.js';

function storage(initial = {}) {
  const values = new Map(Object.entries(initial));
  return { getItem: (key) => values.get(key) ?? null, setItem: (key, value) => values.set(key, value), removeItem: (key) => values.delete(key) };
}

const reply = (status, body) => new Response(body === undefined ? null : JSON.stringify(body), { status });
const pair = (number, expiresIn = 900) => ({ accessToken: `access-${number}`, refreshToken: `refresh-${number}`, expiresIn });

/** A server with sessions: it records calls and rotates refresh tokens. */
function server({ expiresIn = 900, refuses = false } = {}) {
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

test('session_returns_a_valid_token_without_a_refresh', async () => {
  const { calls, fetch } = server();
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  assert.equal(await session.get(), 'access-1');
  assert.deepEqual(calls, ['POST /v1/sessions']);
});

test('concurrent_callers_share_one_refresh', async () => {
  const { calls, fetch } = server();
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  const tokens = await Promise.all([session.get('access-1'), session.get('access-1'), session.get('access-1')]);
  assert.deepEqual(tokens, ['access-2', 'access-2', 'access-2']);
  assert.equal(calls.filter((call) => call.endsWith('/refresh')).length, 1);
});

test('two_tabs_share_one_refresh', async () => {
  const { calls, fetch } = server();
  const shared = storage();
  let line = Promise.resolve();
  const exclusively = (work) => (line = line.then(work, work));
  const tabs = [new Session({ storage: shared, fetch, exclusively }), new Session({ storage: shared, fetch, exclusively })];
  await tabs[0].signIn({ name: 'ana', password: 'long enough' });
  const tokens = await Promise.all(tabs.map((tab) => tab.get('access-1')));
  assert.deepEqual(tokens, ['access-2', 'access-2']);
  assert.equal(calls.filter((call) => call.endsWith('/refresh')).length, 1);
});

test('session_refreshes_a_token_before_it_expires', async (t) => {
  const { fetch } = server({ expiresIn: 60 });
  t.mock.timers.enable({ apis: ['Date'] });
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  assert.equal(await session.get(), 'access-1');
  t.mock.timers.tick(50_000);
  assert.equal(await session.get(), 'access-2');
});

test('session_ends_when_the_refresh_is_rejected', async () => {
  const { fetch } = server({ refuses: true });
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  let ended = 0;
  session.on('ended', () => (ended += 1));
  await assert.rejects(session.get('access-1'), { code: 'UNAUTHORIZED' });
  assert.equal(ended, 1);
  assert.equal(session.signedIn, false);
});

test('session_survives_an_unreachable_server', async () => {
  const { fetch } = server();
  let down = false;
  const session = new Session({ storage: storage(), fetch: (...request) => (down ? Promise.reject(new TypeError('no network')) : fetch(...request)), exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  down = true;
  await assert.rejects(session.get('access-1'), { code: 'UNREACHABLE' });
  assert.equal(session.signedIn, true);
});

test('api_retries_once_with_a_new_token_after_401', async () => {
  const { calls, fetch } = server();
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await session.signIn({ name: 'ana', password: 'long enough' });
  await session.get('access-1');
  const stale = { get: (token) => (token === undefined ? Promise.resolve('access-1') : session.get(token)) };
  const me = await new Api(stale, fetch).me();
  assert.equal(me.userId, 'ana');
  assert.equal(calls.filter((call) => call === 'GET /v1/me').length, 2);
});

test('problem_document_becomes_an_error_with_code_and_detail', async () => {
  const fetch = async () => reply(409, { code: 'CONFLICT', title: 'Conflict', detail: 'the name is taken' });
  const session = new Session({ storage: storage(), fetch, exclusively: alone });
  await assert.rejects(session.signUp({ name: 'ana', password: 'long enough' }), { status: 409, code: 'CONFLICT', message: 'the name is taken' });
});

test('uuidv7_starts_with_the_time', () => {
  const id = uuidv7(0x0189_abcd_ef01, (bytes) => bytes.fill(0xff));
  assert.equal(id, '0189abcd-ef01-7fff-bfff-ffffffffffff');
});

test('session_is_kept_in_memory_when_storage_is_blocked', async () => {
  const refuse = () => { throw new DOMException('blocked', 'SecurityError'); };
  for (const open of [refuse, () => ({ getItem: refuse, setItem: refuse, removeItem: refuse })]) {
    const { fetch } = server();
    const session = new Session({ storage: new SafeStore(open), fetch, exclusively: alone });
    assert.equal(session.signedIn, false);
    await session.signIn({ name: 'ana', password: 'long enough' });
    assert.equal(await session.get(), 'access-1');
    session.end();
    assert.equal(session.signedIn, false);
  }
});

test('safe_store_returns_the_value_that_a_full_storage_rejected', () => {
  const full = storage({ a: 'old' });
  const store = new SafeStore(() => ({ ...full, setItem: () => { throw new DOMException('full', 'QuotaExceededError'); } }));
  assert.equal(store.getItem('a'), 'old');
  store.setItem('a', 'new');
  assert.equal(store.getItem('a'), 'new');
  store.removeItem('a');
  assert.equal(store.getItem('a'), null);
});
