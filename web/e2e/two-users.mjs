#!/usr/bin/env node
// Two users in two browsers: every feature of the page, and a server that is killed while they write.
//
//   ROOMCAST_BIN=target/release/roomcast node web/e2e/two-users.mjs
import assert from 'node:assert/strict';
import { axeSource, check, eventually, finish, launchBrowser, prepareScreenshots, Server } from './harness.mjs';
import { composing, devices, directionControls, reloads } from './resilience.mjs';
import { User } from './user.mjs';

const OUTAGE = /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_SOCKET_NOT_CONNECTED|Error during WebSocket handshake|status of 503|WebSocket connection to/;
const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

const server = new Server();
const axe = axeSource();
const browser = await launchBrowser();
let ana, bo, roomId;

async function accessible(user, view) {
  assert.deepEqual(await user.accessibilityProblems(axe), [], `axe on ${view}`);
}

async function accounts() {
  await check('page_opens_in_light_and_dark_theme', async () => {
    ana = await User.open(browser, server.http, 'ana', 'Ana Lindqvist', { ...DESKTOP, colorScheme: 'light' });
    bo = await User.open(browser, server.http, 'bo.k', 'Bo Kimura', { ...DESKTOP, colorScheme: 'dark' });
    await ana.id('auth-submit').waitFor();
    await ana.screenshot('auth-light');
    await bo.screenshot('auth-dark');
  });
  await check('sign_up_form_is_accessible_in_both_themes', async () => {
    await accessible(ana, 'sign up, light');
    await accessible(bo, 'sign up, dark');
  });
  await check('two_users_sign_up_and_see_the_empty_state', async () => {
    await ana.signUp();
    await bo.signUp();
    await ana.expectText('empty-state', 'Create your first room');
    await ana.screenshot('empty-light');
    await bo.screenshot('empty-dark');
    await accessible(ana, 'empty state, light');
    await accessible(bo, 'empty state, dark');
  });
  await check('sign_up_shows_a_taken_name_and_sign_in_a_wrong_password', () => bo.allowingErrors(/status of 4(01|09)/, async () => {
    await bo.id('sign-out').click();
    await bo.id('auth-toggle').click();
    await bo.id('auth-name').fill('ana');
    await bo.id('auth-password').fill('some other password');
    await bo.id('auth-submit').click();
    await eventually('an error is shown', async () => (await bo.id('auth-error').textContent()) !== '');
    await bo.id('auth-toggle').click();
    await bo.signIn('not the password');
    await eventually('an error is shown', async () => (await bo.id('auth-error').textContent()) !== '');
    await bo.signIn();
    await bo.id('new-room').waitFor();
  }));
  await check('session_survives_a_reload', async () => {
    await bo.page.reload();
    await bo.expectText('me-handle', '@bo.k');
  });
}

async function messaging() {
  await check('owner_creates_a_room_and_invites_by_user_name', async () => {
    await ana.id('first-room').click();
    await accessible(ana, 'the start dialog');
    await ana.page.keyboard.press('Escape');
    roomId = await ana.createRoom('Weekend plans');
    await ana.id('invite').click();
    await ana.id('invite-name').fill('bo.k');
    await ana.id('invite-submit').click();
    await eventually('two members are listed', async () => (await ana.id('member').count()) === 2);
  });
  await check('invited_user_sees_the_room_without_a_reload', async () => {
    await bo.roomItem(roomId).waitFor();
    await bo.openRoom(roomId);
    await bo.expectText('room-title', 'Weekend plans');
  });
  await check('both_users_see_each_message_once_in_the_same_order', async () => {
    await ana.sendMessage('Who is up for the lake?');
    await bo.expectMessage('Who is up for the lake?');
    await bo.sendMessage('Count me in');
    await ana.expectMessage('Count me in');
    await ana.sendMessage('Splendid');
    await bo.expectMessage('Splendid');
    assert.deepEqual((await ana.shownMessages()).map(({ seq }) => seq), (await bo.shownMessages()).map(({ seq }) => seq));
  });
  await check('typing_is_shown_until_the_message_arrives', async () => {
    await bo.id('composer').pressSequentially('I will bring');
    await ana.expectText('typing', 'Bo Kimura');
    await ana.expectText('typing', 'is typing');
    await ana.screenshot('chat-light');
    await bo.sendMessage('I will bring the boat');
    await ana.expectMessage('I will bring the boat');
    await eventually('the typing line is empty', async () => (await ana.id('typing').textContent()) === '');
  });
  await check('typing_expires_after_six_seconds', async () => {
    await bo.id('composer').fill('hm');
    await ana.expectText('typing', 'typing');
    await bo.id('composer').fill('');
    await eventually('the typing line is empty', async () => (await ana.id('typing').textContent()) === '', 9_000);
  });
  await check('sender_sees_the_read_receipt', () => bo.sendMessage('Read this').then(() => bo.expectText('read-by', 'Ana Lindqvist')));
  await check('presence_is_shown', () => eventually('a green dot for Bo', async () => (await ana.page.locator('[data-testid="member"][data-status="ONLINE"]').count()) === 2));
  await check('shift_enter_adds_a_line_and_enter_sends', async () => {
    await ana.id('composer').pressSequentially('one');
    await ana.id('composer').press('Shift+Enter');
    await ana.id('composer').pressSequentially('two');
    await ana.id('composer').press('Enter');
    await bo.expectMessage('one\ntwo');
  });
  await check('markup_in_a_message_stays_text', async () => {
    const text = '<img src=x onerror=alert(1)><b>bold</b>';
    await ana.sendMessage(text);
    await bo.expectMessage(text);
    assert.equal(await bo.page.locator('.message-text b, .message-text img').count(), 0);
  });
}

async function editing() {
  await check('edit_by_keyboard_reaches_the_other_user', async () => {
    await bo.id('composer').press('ArrowUp');
    await bo.expectText('composer-mode', 'Editing your message');
    await bo.id('composer').press('Escape');
    assert.equal(await bo.id('composer').inputValue(), '');
    await bo.id('composer').press('ArrowUp');
    await bo.id('composer').fill('Read that');
    await bo.id('composer').press('Enter');
    await ana.expectMessage('Read that');
    await ana.message('Read that').getByTestId('edited').waitFor();
    assert.equal(await ana.message('Read this').count(), 0);
  });
  await check('reaction_is_added_and_removed', async () => {
    const message = await ana.clickAction('Count me in', 'react');
    await message.getByTestId('react-emoji').first().click();
    const onBos = bo.message('Count me in').getByTestId('reaction');
    await onBos.waitFor();
    await onBos.click();
    await eventually('both users reacted', async () => (await ana.message('Count me in').getByTestId('reaction').textContent())?.includes('2'));
    await bo.message('Count me in').getByTestId('reaction').click();
    await eventually('one reaction is left', async () => (await ana.message('Count me in').getByTestId('reaction').textContent())?.includes('1'));
  });
  await check('reply_shows_its_quote_and_a_mention_is_marked', async () => {
    await bo.clickAction('Who is up for the lake?', 'reply');
    await bo.sendMessage('Me, @ana.');
    const reply = ana.message('Me, @ana.');
    await reply.waitFor();
    await eventually('the quote is shown', async () => (await reply.getByTestId('quote').textContent())?.includes('Who is up for the lake?'));
    await eventually('the mention is marked', async () => (await reply.getByTestId('mention').textContent()) === '@ana');
  });
  await check('deleted_message_is_hidden_for_both_and_keeps_its_seq', async () => {
    const seq = await ana.message('Splendid').getAttribute('data-seq');
    await ana.clickAction('Splendid', 'delete');
    await ana.id('confirm').click();
    for (const user of [ana, bo]) {
      await eventually('the message is gone', async () => (await user.page.locator(`[data-seq="${seq}"]`).getAttribute('data-state')) === 'deleted');
      assert.equal(await user.message('Splendid').count(), 0);
    }
  });
  await check('open_room_is_accessible_in_both_themes', async () => {
    await ana.message('Count me in').hover();
    await accessible(ana, 'room with people, light');
    await accessible(bo, 'room, dark');
    await ana.screenshot('room-light');
    await bo.screenshot('room-dark');
  });
  await check('theme_can_be_switched', async () => {
    const paper = () => ana.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const before = await paper();
    await ana.id('theme-toggle').click();
    assert.notEqual(await paper(), before);
    await ana.id('theme-toggle').click();
    assert.equal(await paper(), before);
  });
}

async function otherRooms() {
  let other;
  await check('unread_messages_are_counted_until_they_are_read', async () => {
    other = await bo.createRoom('Harbour club', 'public');
    assert.deepEqual(await bo.roomIds(), [other, roomId], 'a new room is on top');
    await ana.sendMessage('Unread one');
    await ana.sendMessage('Unread two');
    await eventually('the badge shows 2', async () => (await bo.roomItem(roomId).getByTestId('unread').textContent())?.startsWith('2'));
    await eventually('the preview follows', async () => (await bo.roomItem(roomId).getByTestId('room-preview').textContent())?.includes('Unread two'));
    assert.deepEqual(await bo.roomIds(), [roomId, other], 'a new message moves its room to the top');
    await bo.openRoom(roomId);
    await bo.id('new-divider').waitFor();
    await eventually('the badge is gone', async () => (await bo.roomItem(roomId).getByTestId('unread').count()) === 0);
    await ana.expectText('read-by', 'Bo Kimura');
  });
  await check('public_room_is_found_joined_and_left', async () => {
    await ana.id('new-room').click();
    await ana.id('tab-find').click();
    await ana.id('find-input').fill('Harbour');
    await ana.id('join-room').click();
    await ana.expectText('room-title', 'Harbour club');
    if (!(await ana.id('details').isVisible())) await ana.id('invite').click();
    await ana.id('leave').click();
    await ana.id('confirm').click();
    await ana.roomItem(other).waitFor({ state: 'detached' });
  });
  await check('direct_chat_is_one_room_for_both_users', async () => {
    await bo.id('new-room').click();
    await bo.id('tab-direct').click();
    await bo.id('direct-name').fill('ana');
    await bo.id('direct-start').click();
    await bo.expectText('room-title', 'Ana Lindqvist');
    await bo.sendMessage('Just us');
    await ana.id('new-room').click();
    await ana.id('tab-direct').click();
    await ana.id('direct-name').fill('bo.k');
    await ana.id('direct-start').click();
    await ana.expectText('room-title', 'Bo Kimura');
    await ana.expectMessage('Just us');
  });
  await check('rename_reaches_the_other_user', async () => {
    await ana.openRoom(roomId);
    if (!(await ana.id('details').isVisible())) await ana.id('invite').click();
    await ana.id('rename').click();
    await ana.id('rename-input').fill('Lake plans');
    await ana.id('rename-save').click();
    await bo.openRoom(roomId);
    await bo.expectText('room-title', 'Lake plans');
  });
}

async function history() {
  await check('scrolling_up_loads_older_messages_and_keeps_the_scroll_position', async () => {
    for (let number = 1; number <= 130; number += 1) await ana.call(server.http, 'POST', `/v1/rooms/${roomId}/messages`, { content: `line ${number}`, clientMsgId: `seed-${number}` });
    await bo.expectMessage('line 130');
    await bo.page.reload();
    await bo.expectMessage('line 130');
    const before = (await bo.shownMessages()).length;
    const scroller = bo.id('messages');
    const moved = await scroller.evaluate(async (element) => {
      element.scrollTop = 500;
      await new Promise((resolve) => setTimeout(resolve, 30));
      const anchor = [...element.querySelectorAll('[data-testid="message"]')].find((message) => message.getBoundingClientRect().top > element.getBoundingClientRect().top);
      const top = anchor.getBoundingClientRect().top;
      element.scrollTop = 380;
      const wanted = top + 120;
      const count = element.querySelectorAll('[data-testid="message"]').length;
      while (element.querySelectorAll('[data-testid="message"]').length === count) await new Promise((resolve) => setTimeout(resolve, 10));
      return Math.abs(anchor.getBoundingClientRect().top - wanted);
    });
    assert.ok(moved <= 4, `the visible message moved by ${moved} px`);
    assert.ok((await bo.shownMessages()).length > before);
  });
  await check('new_message_keeps_the_scroll_position_and_shows_the_jump_button', async () => {
    const scroller = bo.id('messages');
    await scroller.evaluate((element) => { element.scrollTop = element.scrollHeight; });
    await bo.id('jump-latest').waitFor({ state: 'hidden' });
    const top = await scroller.evaluate((element) => { element.scrollTop = 900; return element.scrollTop; });
    await ana.sendMessage('news below');
    await bo.expectText('jump-latest', '1 new message');
    assert.ok(Math.abs((await scroller.evaluate((element) => element.scrollTop)) - top) <= 2);
    await bo.screenshot('scrolled-up');
    await bo.id('jump-latest').click();
    await bo.message('news below').waitFor();
    await bo.id('jump-latest').waitFor({ state: 'hidden' });
  });
  await check('scrolling_to_the_oldest_message_shows_each_message_once', async () => {
    await eventually('the beginning is shown', async () => {
      await bo.id('messages').evaluate((element) => { element.scrollTop = 0; });
      return (await bo.id('messages').textContent())?.includes('Welcome to Lake plans');
    });
    const lines = (await bo.shownMessages()).map(({ text }) => text).filter((text) => /^line \d+$/.test(text));
    assert.deepEqual(lines, Array.from({ length: 130 }, (_, index) => `line ${index + 1}`));
    await bo.id('jump-latest').click();
  });
}

/** All messages of a room, from the history endpoint. */
async function readHistory(user) {
  const events = [];
  for (let before; ;) {
    const page = await user.call(server.http, 'GET', `/v1/rooms/${roomId}/messages?limit=200${before ? `&before=${before}` : ''}`);
    events.unshift(...page.events);
    if (!page.hasMoreBefore) return events;
    before = page.events[0].seq;
  }
}

/** Allows connection errors while `work` runs. */
const duringOutage = (work) => ana.allowingErrors(OUTAGE, () => bo.allowingErrors(OUTAGE, work));

async function outage() {
  const sentTexts = [];
  const sendMany = async (user, count, pauseMs) => {
    for (let number = 1; number <= count; number += 1) {
      const text = `${user.name} in the storm ${number}`;
      sentTexts.push(text);
      await user.sendMessage(text);
      await user.page.waitForTimeout(pauseMs);
    }
  };
  await check('server_kill_shows_reconnecting_and_users_can_keep_writing', () => duringOutage(async () => {
    const sending = Promise.all([sendMany(ana, 30, 60), sendMany(bo, 30, 70)]);
    await ana.page.waitForTimeout(900);
    await server.end('SIGKILL');
    await sending;
    for (const user of [ana, bo]) await eventually('the page shows reconnecting', async () => (await user.id('connection-status').getAttribute('data-state')) === 'reconnecting' && (await user.id('connection-status').isVisible()));
    assert.ok((await ana.id('pending').count()) > 0, 'unsent messages are shown as pending');
    await ana.screenshot('reconnecting-light');
    await bo.screenshot('reconnecting-dark');
    await accessible(ana, 'reconnecting, light');
    await accessible(bo, 'reconnecting, dark');
  }));
  await check('both_pages_catch_up_after_the_restart', () => duringOutage(async () => {
    await ana.page.waitForTimeout(1500);
    await server.start();
    for (const user of [ana, bo]) {
      await eventually('online again', async () => (await user.id('connection-status').getAttribute('data-state')) === 'online', 30_000);
      await eventually('no message is pending', async () => (await user.id('pending').count()) === 0, 30_000);
    }
    await ana.screenshot('caught-up-light');
  }));
  await check('no_message_is_lost_or_duplicated_and_both_pages_match_history', async () => {
    const expected = new Set(sentTexts);
    await eventually('both show everything', async () => {
      const counts = await Promise.all([ana, bo].map(async (user) => (await user.shownMessages()).filter(({ text }) => expected.has(text)).length));
      return counts.every((count) => count >= expected.size);
    });
    const sent = (await readHistory(ana)).filter(({ content }) => expected.has(content));
    assert.equal(new Set(sent.map(({ content }) => content)).size, expected.size, 'history has everything');
    assert.equal(sent.length, expected.size, 'history has nothing twice');
    for (const user of [ana, bo]) {
      const shown = (await user.shownMessages()).filter(({ text }) => expected.has(text));
      assert.deepEqual(shown.map(({ seq, messageId, text }) => ({ seq, messageId, text })), sent.map(({ seq, messageId, content }) => ({ seq, messageId, text: content })), `${user.name}'s page is history`);
      const own = shown.map(({ text }) => text).filter((text) => text.startsWith(user.name));
      assert.deepEqual(own, sentTexts.filter((text) => text.startsWith(user.name)), `${user.name}'s messages are in the order they were written`);
    }
  });
  await check('page_reconnects_after_a_graceful_restart', () => duringOutage(async () => {
    await server.end('SIGTERM');
    await server.start();
    await ana.sendMessage('after the handover');
    await bo.expectMessage('after the handover', 40_000);
    await ana.expectMessage('after the handover');
  }));
}

async function leaving() {
  await check('phone_layout_is_usable_and_accessible', async () => {
    const cy = await User.open(browser, server.http, 'cyrus', 'Cyrus Obi', { ...PHONE, colorScheme: 'light' });
    await cy.signUp();
    await cy.screenshot('phone-empty');
    await accessible(cy, 'phone, empty');
    if (!(await ana.id('details').isVisible())) await ana.id('invite').click();
    await ana.id('invite-name').fill('cyrus');
    await ana.id('invite-submit').click();
    await cy.roomItem(roomId).waitFor();
    await cy.screenshot('phone-list');
    await accessible(cy, 'phone, list');
    await cy.openRoom(roomId);
    await cy.sendMessage('Hello from the pocket');
    await ana.expectMessage('Hello from the pocket');
    await cy.screenshot('phone-chat');
    await accessible(cy, 'phone, room');
    const overflow = await cy.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `the page is ${overflow} px wider than the phone`);
    await cy.id('back').click();
    await cy.id('rooms').waitFor();
    assert.deepEqual(cy.errors, []);
    await cy.context.close();
  });
  await check('removed_member_loses_the_room', async () => {
    const item = ana.page.locator('[data-testid="member"]', { hasText: 'Bo Kimura' });
    await item.getByTestId('remove-member').click();
    await ana.id('confirm').click();
    await bo.roomItem(roomId).waitFor({ state: 'detached' });
  });
  await check('closed_page_is_shown_as_offline', async () => {
    await bo.context.close();
    await ana.id('rooms').getByText('Bo Kimura', { exact: true }).click();
    await eventually('Bo is offline', async () => (await ana.id('room-subtitle').textContent()) === 'Offline', 20_000);
  });
  await check('sign_out_survives_a_reload', async () => {
    await ana.id('sign-out').click();
    await ana.id('auth-submit').waitFor();
    await ana.page.reload();
    await ana.id('auth-submit').waitFor();
  });
  await check('browsers_logged_no_error_or_policy_violation', () => assert.deepEqual([...ana.errors, ...bo.errors], []));
}

/** The state shared with the parts in other files. */
const context = () => ({ ana, bo, roomId, server, browser, accessible, duringOutage, readHistory, options: { ...DESKTOP, colorScheme: 'light' } });
const resilience = [composing, directionControls, devices, reloads].map((part) => () => part(context()));

prepareScreenshots();
try {
  await server.start();
  for (const part of [accounts, messaging, editing, otherRooms, history, outage, ...resilience, leaving]) await part();
} catch (error) {
  await check('test_ran_to_its_end', () => { throw error; });
} finally {
  await browser.close();
  await server.dispose();
}
finish();
