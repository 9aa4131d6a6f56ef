// Starts the browser and the server under test, and counts checks. No check is skipped: a missing
// dependency fails the run and is printed with the command that installs it.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const READY_TIMEOUT_MS = 20_000;
const CHROMIUM_FLAGS = ['--no-sandbox', '--headless', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
export const SCREENSHOTS = fileURLToPath(new URL('./screenshots', import.meta.url));

let passed = 0;
let failed = 0;

/** Runs one check and prints its outcome. */
export async function check(sentence, work) {
  const started = Date.now();
  try {
    await work();
    passed += 1;
    console.log(`ok      ${sentence} (${Date.now() - started} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${sentence} (${Date.now() - started} ms)\n        ${String(error.message ?? error).split('\n').slice(0, 12).join('\n        ')}`);
  }
}

/** Prints the totals and exits. */
export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

/** Prints a missing dependency and how to install it, and fails. */
function missing(what, command) {
  console.log(`FAILED  ${what} is missing. Get it with: ${command}`);
  failed += 1;
  finish();
}

export async function launchBrowser() {
  const chromium = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(chromium)) missing(`Chromium (${chromium})`, 'apt-get install chromium   (or name another one in CHROMIUM)');
  const playwright = await import('playwright-core').catch(() => missing('playwright-core', 'npm ci --prefix web'));
  return playwright.chromium.launch({ executablePath: chromium, args: CHROMIUM_FLAGS });
}

export function axeSource() {
  try {
    return readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  } catch {
    return missing('axe-core', 'npm ci --prefix web');
  }
}

/** The server under test; it restarts on the same port and data. */
export class Server {
  #binary = process.env.ROOMCAST_BIN ?? '';
  #data = mkdtempSync(join(tmpdir(), 'roomcast-e2e-'));
  #process;
  listen = '127.0.0.1:0';
  http = '';

  async start() {
    if (!existsSync(this.#binary)) missing(`the roomcast binary (ROOMCAST_BIN=${this.#binary || 'not set'})`, 'cargo build --release --bin roomcast && export ROOMCAST_BIN=$PWD/target/release/roomcast');
    const child = spawn(this.#binary, ['--listen', this.listen, '--admin', '127.0.0.1:0', '--data', this.#data], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    let log = '';
    child.stderr.on('data', (chunk) => { log = (log + chunk).slice(-4000); });
    const line = await new Promise((resolve, reject) => {
      let text = '';
      const timer = setTimeout(() => reject(new Error(`no ready line within ${READY_TIMEOUT_MS} ms\n${log}`)), READY_TIMEOUT_MS);
      child.stdout.on('data', (chunk) => {
        text += chunk;
        if (!text.includes('\n')) return;
        clearTimeout(timer);
        resolve(text.slice(0, text.indexOf('\n')));
      });
      child.on('exit', (code) => { clearTimeout(timer); reject(new Error(`the server exited with ${code}\n${log}`)); });
    });
    const ready = JSON.parse(line);
    if (ready.event !== 'ready') throw new Error(`not a ready line: ${line}`);
    this.http = ready.http;
    this.listen = new URL(ready.http).host;
  }

  /** Stops this process, and only this one. */
  async end(signal) {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async dispose() {
    await this.end('SIGKILL');
    rmSync(this.#data, { recursive: true, force: true });
  }
}

export function prepareScreenshots() {
  rmSync(SCREENSHOTS, { recursive: true, force: true });
  mkdirSync(SCREENSHOTS, { recursive: true });
}

/** Polls until the condition holds, or fails with its description. */
export async function eventually(what, holds, timeoutMs = 10_000) {
  const end = Date.now() + timeoutMs;
  let last;
  for (;;) {
    try {
      const found = await holds();
      if (found) return found;
      last = found;
    } catch (error) {
      last = error.message;
    }
    if (Date.now() > end) throw new Error(`timeout after ${timeoutMs} ms: ${what} (last: ${JSON.stringify(last)})`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
