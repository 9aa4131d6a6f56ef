// Behaviour in unusual situations: oversized text, input methods, malformed addresses, reloads while
// offline, and other devices of the same user.
import assert from 'node:assert/strict';
import { check, eventually } from './harness.mjs';
import { User } from './user.mjs';

const REVERSED_NAME = '\u202Eeninap';

/** Oversized content, input methods and malformed addresses. */
export async function composing({ ana, bo, roomId, accessible }) {
  await check('composer_keeps_oversized_text_and_the_connection_stays_open', async () => {
    await ana.openRoom(roomId);
    await bo.openRoom(roomId);
    const pasted = `${'long words '.repeat(6_500)}end`;
    await ana.id('composer').fill(pasted);
    await ana.id('composer').press('Enter');
    await ana.expectText('composer-problem', 'too long');
    assert.equal(await ana.id('composer').inputValue(), pasted);
    assert.equal(await ana.id('send').isDisabled(), true);
    await ana.screenshot('too-long-light');
    await accessible(ana, 'a message that is too long');
    await ana.id('composer').fill('\u0001'.repeat(16_000));
    await ana.id('composer').press('Enter');
    await ana.expectText('composer-problem', 'too large');
    await ana.sendMessage('short again');
    await bo.expectMessage('short again');
    assert.equal(await ana.id('composer-problem').textContent(), '');
    assert.equal(await ana.id('connection-status').getAttribute('data-state'), 'online');
  });
  await check('form_rejects_an_oversized_room_name_and_keeps_it', async () => {
    await ana.id('new-room').click();
    await ana.id('room-name-input').fill('漢'.repeat(43));
    await ana.id('room-create').click();
    await ana.expectText('start-dialog', '129 bytes');
    assert.equal(await ana.id('room-name-input').inputValue(), '漢'.repeat(43));
    await ana.page.keyboard.press('Escape');
  });
  await check('enter_that_ends_a_composition_does_not_send', async () => {
    await ana.id('composer').fill('nihongo');
    await ana.id('composer').evaluate((input) => {
      input.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', keyCode: 229, bubbles: true, cancelable: true }));
      input.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', keyCode: 13, isComposing: true, bubbles: true, cancelable: true }));
    });
    assert.equal(await ana.id('composer').inputValue(), 'nihongo');
    await ana.id('composer').press('Enter');
    await bo.expectMessage('nihongo');
  });
  await check('malformed_address_shows_the_room_list', async () => {
    for (const hash of ['#/rooms/%', '#/rooms/%E0%A4%A', '#%', '#/rooms/no-such-room']) {
      await ana.page.evaluate((to) => { location.hash = to; }, hash);
      await ana.id('rooms').waitFor();
      await ana.page.reload();
      await ana.roomItem(roomId).waitFor();
    }
    await ana.openRoom(roomId);
    await ana.sendMessage('still here');
    await bo.expectMessage('still here');
  });
}

/** A name with direction controls. */
export async function directionControls({ ana, bo, server, browser, options }) {
  await check('name_with_direction_controls_does_not_reorder_the_preview', async () => {
    const cy = await User.open(browser, server.http, 'panine', REVERSED_NAME, options);
    await cy.signUp();
    const { userId } = await cy.call(server.http, 'GET', '/v1/me');
    const namesRoom = await ana.createRoom('Names');
    await ana.call(server.http, 'PUT', `/v1/rooms/${namesRoom}/members/${userId}`, {});
    await cy.roomItem(namesRoom).waitFor();
    await cy.openRoom(namesRoom);
    await cy.sendMessage('first words');
    await ana.expectMessage('first words');
    const preview = ana.roomItem(namesRoom).getByTestId('room-preview');
    await eventually('the preview shows it', async () => (await preview.textContent())?.includes('first words'));
    assert.doesNotMatch(await preview.textContent(), /\u202E/);
    const lefts = await preview.evaluate((element) => {
      const [who, colon, text] = element.childNodes;
      return [who, colon, text].map((node) => {
        const range = document.createRange();
        range.selectNodeContents(node);
        return range.getBoundingClientRect().left;
      });
    });
    assert.ok(lefts[0] < lefts[1] && lefts[1] < lefts[2], `unexpected order of name, colon and text: ${lefts}`);
    await cy.sendMessage('\u202Eturned \u2069text');
    await eventually('the content is unchanged', async () => (await ana.id('message-text').last().textContent()) === '\u202Eturned \u2069text');
    await ana.screenshot('direction-light');
    await cy.context.close();
    assert.deepEqual(cy.errors, []);
  });
}

/** Reloads and sign-out while the server is down. */
export async function reloads({ ana, bo, roomId, server, duringOutage, readHistory }) {
  let other;
  await bo.openRoom(roomId);
  await check('messages_written_offline_are_sent_once_after_a_reload', () => duringOutage(async () => {
    other = await ana.createRoom('Drafts');
    await ana.id('composer').fill('half a thought');
    await ana.openRoom(roomId);
    await server.end('SIGKILL');
    await eventually('the page shows reconnecting', async () => (await ana.id('connection-status').getAttribute('data-state')) === 'reconnecting');
    for (const text of ['kept 1', 'kept 2', 'kept 3']) await ana.sendMessage(text);
    await ana.id('composer').fill('kept draft');
    const ids = await ana.page.$$eval('[data-testid="message"][data-state="sending"]', (messages) => messages.map((message) => message.dataset.clientMsgId));
    assert.equal(ids.length, 3);
    await ana.screenshot('offline-writing-light');
    await ana.page.reload().catch(() => {});
    await server.start();
    // The browser may still be loading its error page.
    await eventually('the page opens', () => ana.page.reload());
    for (const text of ['kept 1', 'kept 2', 'kept 3']) {
      await bo.expectMessage(text, 30_000);
      await ana.expectMessage(text);
    }
    await eventually('no message is pending', async () => (await ana.id('pending').count()) === 0);
    const sent = (await readHistory(ana)).filter(({ content }) => /^kept \d$/.test(content ?? ''));
    assert.deepEqual(sent.map(({ content }) => content), ['kept 1', 'kept 2', 'kept 3'], 'in order, each once');
    assert.deepEqual(sent.map(({ clientMsgId }) => clientMsgId), ids, 'under their first ids');
  }));
  await check('drafts_survive_a_reload_and_are_deleted_when_sent', async () => {
    assert.equal(await ana.id('composer').inputValue(), 'kept draft');
    await ana.openRoom(other);
    assert.equal(await ana.id('composer').inputValue(), 'half a thought');
    await ana.id('composer').press('Enter');
    await ana.expectMessage('half a thought');
    await ana.page.reload();
    await ana.openRoom(other);
    await ana.expectMessage('half a thought');
    assert.equal(await ana.id('composer').inputValue(), '');
  });
  await check('two_tabs_send_the_frame_of_a_closed_tab_once', () => duringOutage(async () => {
    await ana.openRoom(roomId);
    const tabs = [await ana.context.newPage(), await ana.context.newPage()];
    await server.end('SIGKILL');
    await eventually('the page shows reconnecting', async () => (await ana.id('connection-status').getAttribute('data-state')) === 'reconnecting');
    await ana.sendMessage('left by a tab');
    await eventually('the frame is stored', async () => (await stored(ana.page)).length === 1);
    await ana.page.goto('about:blank');
    await server.start();
    await Promise.all(tabs.map((tab) => tab.goto(server.http)));
    await bo.expectMessage('left by a tab', 30_000);
    await ana.page.goto(`${server.http}/#/rooms/${encodeURIComponent(roomId)}`);
    await ana.expectMessage('left by a tab');
    assert.equal((await readHistory(ana)).filter(({ content }) => content === 'left by a tab').length, 1);
    await eventually('the outbox is empty', async () => (await stored(ana.page)).length === 0);
    for (const tab of tabs) await tab.close();
  }));
  await check('sign_out_confirms_unsent_messages_and_deletes_stored_data', () => duringOutage(async () => {
    await ana.openRoom(other);
    await ana.id('composer').fill('a draft to forget');
    await ana.openRoom(roomId);
    await server.end('SIGKILL');
    await eventually('the page shows reconnecting', async () => (await ana.id('connection-status').getAttribute('data-state')) === 'reconnecting');
    await ana.sendMessage('never sent');
    await eventually('the frame is stored', async () => (await stored(ana.page)).length === 2);
    await ana.id('sign-out').click();
    await ana.id('confirm').waitFor();
    await ana.screenshot('sign-out-unsent-light');
    await ana.id('confirm').click();
    await ana.id('auth-submit').waitFor();
    assert.deepEqual(await stored(ana.page), []);
    await server.start();
    await ana.page.goto(server.http);
    await ana.signIn();
    await ana.openRoom(other);
    assert.equal(await ana.id('composer').inputValue(), '');
    await ana.openRoom(roomId);
    assert.equal((await readHistory(ana)).filter(({ content }) => content === 'never sent').length, 0);
  }));
}

/** All unsent messages and drafts in IndexedDB. */
function stored(page) {
  return page.evaluate(() => new Promise((resolve, reject) => {
    const request = indexedDB.open('roomcast');
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const database = request.result;
      const transaction = database.transaction(['outbox', 'drafts']);
      const [unsent, drafts] = ['outbox', 'drafts'].map((table) => transaction.objectStore(table).getAll());
      transaction.oncomplete = () => {
        database.close();
        resolve([...unsent.result, ...drafts.result]);
      };
    };
  }));
}

/** Two devices of one user; neither has the changing room open. */
export async function devices({ ana, bo, server, browser, options }) {
  const phone = await User.open(browser, server.http, bo.name, bo.displayName, options);
  await phone.id('auth-toggle').click();
  await phone.signIn();
  await phone.id('new-room').waitFor();
  const [shared, lobby] = [await ana.createRoom('Shared'), await bo.createRoom('Lobby')];
  const me = await bo.call(server.http, 'GET', '/v1/me');
  const preview = (text) => eventually(`the preview shows "${text}"`, async () => (await phone.roomItem(shared).getByTestId('room-preview').textContent())?.includes(text));
  await check('room_created_or_joined_on_one_device_appears_on_the_other', async () => {
    await phone.roomItem(lobby).waitFor();
    await phone.openRoom(lobby);
    await ana.call(server.http, 'PUT', `/v1/rooms/${shared}/members/${me.userId}`, {});
    await phone.roomItem(shared).waitFor();
  });
  await check('message_read_on_one_device_is_read_on_the_other', async () => {
    await ana.openRoom(shared);
    await ana.sendMessage('read me once');
    await eventually('the badge is there', async () => (await phone.roomItem(shared).getByTestId('unread').count()) === 1);
    await bo.openRoom(shared);
    await bo.expectMessage('read me once');
    await eventually('the badge is gone', async () => (await phone.roomItem(shared).getByTestId('unread').count()) === 0);
  });
  await check('preview_follows_a_reply_an_edit_and_a_deletion', async () => {
    await bo.sendMessage('answered here');
    await preview('You: answered here');
    await bo.id('composer').press('ArrowUp');
    await bo.id('composer').fill('answered better');
    await bo.id('composer').press('Enter');
    await preview('answered better');
    await bo.clickAction('answered better', 'delete');
    await bo.id('confirm').click();
    await preview('message deleted');
    await phone.screenshot('device-preview-light');
  });
  await check('room_list_follows_a_rename_a_leave_and_a_deletion', async () => {
    await ana.call(server.http, 'PATCH', `/v1/rooms/${shared}`, { name: 'Renamed' });
    await eventually('the new name', async () => (await phone.roomItem(shared).textContent())?.includes('Renamed'));
    await bo.call(server.http, 'DELETE', `/v1/rooms/${shared}/members/${me.userId}`);
    await phone.roomItem(shared).waitFor({ state: 'detached' });
    await ana.call(server.http, 'PUT', `/v1/rooms/${shared}/members/${me.userId}`, {});
    await phone.roomItem(shared).waitFor();
    await ana.call(server.http, 'DELETE', `/v1/rooms/${shared}`);
    await phone.roomItem(shared).waitFor({ state: 'detached' });
    await ana.roomItem(shared).waitFor({ state: 'detached' });
  });
  assert.deepEqual(phone.errors, []);
  await phone.context.close();
}
