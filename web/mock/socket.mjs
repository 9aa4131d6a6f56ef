// A WebSocket controlled by the test: it records sent frames and delivers received ones.

export class MockSocket {
  /** Every socket created since the last `reset`, oldest first. @type {MockSocket[]} */
  static instances = [];
  static reset() {
    MockSocket.instances = [];
  }
  static get last() {
    return MockSocket.instances.at(-1);
  }

  readyState = 0;
  sent = [];
  closedWith = undefined;
  onmessage = null;
  onclose = null;

  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
    MockSocket.instances.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.readyState = 3;
    this.closedWith = code;
  }

  /** Delivers a frame from the server. */
  receive(frame) {
    this.readyState = 1;
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  welcome(more = {}) {
    this.receive({ type: 'WELCOME', userId: 'ana', heartbeatMs: 15000, serverTime: new Date().toISOString(), limits: { watchedUsersMax: 200 }, ...more });
  }

  /** Closes the connection from the server's side, or by a network failure. */
  closeByServer(code) {
    this.readyState = 3;
    this.onclose?.({ code });
  }

  sentOf(type) {
    return this.sent.filter((frame) => frame.type === type);
  }
}

/** Runs pending promise callbacks while timers are paused. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
