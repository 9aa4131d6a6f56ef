// One user in one browser context: actions and expectations by the page's test ids.
import { join } from 'node:path';
import { eventually, SCREENSHOTS } from './harness.mjs';

const PASSWORD = 'correct horse battery';

export class User {
  /** Unexpected console errors and policy violations. */
  errors = [];
  #allowed = [];

  static async open(browser, base, name, displayName, options) {
    const user = new User();
    Object.assign(user, { name, displayName, context: await browser.newContext(options) });
    user.page = await user.context.newPage();
    user.page.setDefaultTimeout(10_000);
    await user.page.addInitScript(() => document.addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`)));
    user.page.on('console', (message) => { if (message.type() === 'error') user.#record(message.text()); });
    user.page.on('pageerror', (error) => user.#record(`uncaught: ${error.stack}`));
    await user.page.goto(base);
    return user;
  }

  #record(text) {
    if (!this.#allowed.some((pattern) => pattern.test(text))) this.errors.push(`${this.name}: ${text}`);
  }

  /** Allows matching console errors while `work` runs: browsers log every failed request. */
  async allowingErrors(pattern, work) {
    this.#allowed.push(pattern);
    try {
      return await work();
    } finally {
      await this.page.waitForTimeout(100);
      this.#allowed.splice(this.#allowed.indexOf(pattern), 1);
    }
  }

  id(testid) {
    return this.page.getByTestId(testid);
  }

  async signUp() {
    await this.id('auth-name').fill(this.name);
    await this.id('auth-display-name').fill(this.displayName);
    await this.id('auth-password').fill(PASSWORD);
    await this.id('auth-submit').click();
    await this.id('new-room').waitFor();
  }

  async signIn(password = PASSWORD) {
    await this.id('auth-name').fill(this.name);
    await this.id('auth-password').fill(password);
    await this.id('auth-submit').click();
  }

  async createRoom(name, visibility = 'private') {
    await this.id('new-room').click();
    await this.id('room-name-input').fill(name);
    await this.id(`visibility-${visibility}`).check();
    await this.id('room-create').click();
    await this.expectText('room-title', name);
    return this.id('chat').getAttribute('data-room-id');
  }

  async openRoom(roomId) {
    await this.page.locator(`[data-testid="room-item"][data-room-id="${roomId}"]`).click();
    await this.page.locator(`[data-testid="chat"][data-room-id="${roomId}"]`).waitFor();
    await this.id('loading').waitFor({ state: 'detached' }).catch(() => {});
  }

  roomItem(roomId) {
    return this.page.locator(`[data-testid="room-item"][data-room-id="${roomId}"]`);
  }

  /** The listed rooms, from the top. */
  roomIds() {
    return this.page.$$eval('[data-testid="room-item"]', (items) => items.map((item) => item.dataset.roomId));
  }

  async sendMessage(text) {
    await this.id('composer').fill(text);
    await this.id('composer').press('Enter');
  }

  /** The message with exactly this text. */
  message(text) {
    return this.id('message').filter({ has: this.page.locator('[data-testid="message-text"]', { hasText: new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`) }) });
  }

  async expectText(testid, text) {
    await eventually(`${this.name} sees "${text}" in ${testid}`, async () => (await this.id(testid).first().textContent())?.includes(text));
  }

  async expectMessage(text, timeoutMs) {
    await eventually(`${this.name} sees the message "${text}" once`, async () => (await this.message(text).count()) === 1, timeoutMs);
  }

  /** Clicks one button of a message's toolbar. */
  async clickAction(text, testid) {
    const message = this.message(text);
    await message.hover();
    await message.getByTestId(testid).click();
    return message;
  }

  /** Every rendered message, oldest first, with its seq. */
  shownMessages() {
    return this.page.$$eval('[data-testid="message"]', (messages) => messages.map((message) => ({
      text: message.querySelector('[data-testid="message-text"]').textContent, seq: Number(message.dataset.seq), messageId: message.dataset.messageId, state: message.dataset.state,
    })));
  }

  async token() {
    const session = await this.page.evaluate(() => localStorage.getItem('roomcast.session'));
    return JSON.parse(session).accessToken;
  }

  /** An HTTP call as this user. */
  async call(base, method, path, body) {
    const response = await fetch(base + path, { method, headers: { Authorization: `Bearer ${await this.token()}`, 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });
    if (response.status === 429) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * Number(response.headers.get('retry-after') ?? 1)));
      return this.call(base, method, path, body);
    }
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? undefined : response.json();
  }

  async screenshot(name) {
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }

  /** Serious and critical axe violations of the rendered page. */
  async accessibilityProblems(axe) {
    await this.page.evaluate(axe);
    return this.page.evaluate(async () => {
      const { violations } = await globalThis.axe.run();
      return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
    });
  }
}
