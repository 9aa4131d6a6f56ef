// A WebSocket whose other end is the test: it records what the client sent and sends what the test wants.

export class MockSocket {
  /** Every socket made since the last `reset`, oldest first. @type {MockSocket[]} */
  static made = [];
  static reset() {
    MockSocket.made = [];
  }
  static get last() {
    return MockSocket.made.at(-1);
  }

  readyState = 0;
  sent = [];
  closedWith = undefined;
  onmessage = null;
  onclose = null;

  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
    MockSocket.made.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.readyState = 3;
    this.closedWith = code;
  }

  /** The fleet sends a frame. */
  receive(frame) {
    this.readyState = 1;
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  welcome(more = {}) {
    this.receive({ type: 'WELCOME', userId: 'ana', heartbeatMs: 15000, serverTime: new Date().toISOString(), limits: { watchedUsersMax: 200 }, ...more });
  }

  /** The fleet, or the network, ends the connection. */
  closeByServer(code) {
    this.readyState = 3;
    this.onclose?.({ code });
  }

  sentOf(type) {
    return this.sent.filter((frame) => frame.type === type);
  }
}

/** Lets promises settle while timers stand still. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
