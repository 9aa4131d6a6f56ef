// A minimal server side of RFC 6455: text frames up to 64 KiB, ping, close. A larger frame closes with 1009.
import { createHash } from 'node:crypto';

const FRAME_BYTES_MAX = 65_536;
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Completes the upgrade and returns `{ send, close, onText, onClose }`. */
export function accept(request, socket) {
  const key = createHash('sha1').update(request.headers['sec-websocket-key'] + GUID).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\nSec-WebSocket-Protocol: roomcast.v1\r\n\r\n`);
  let unread = Buffer.alloc(0);
  let open = true;
  const connection = {
    onText: () => {},
    onClose: () => {},
    send(frame) {
      if (open) socket.write(encode(0x1, Buffer.from(JSON.stringify(frame))));
    },
    close(code) {
      if (!open) return;
      open = false;
      const body = Buffer.alloc(2);
      body.writeUInt16BE(code);
      socket.end(encode(0x8, body));
      connection.onClose();
    },
  };
  socket.on('data', (chunk) => {
    unread = Buffer.concat([unread, chunk]);
    if (announcedLength(unread) > FRAME_BYTES_MAX) return connection.close(1009);
    for (let frame = decode(unread); frame; frame = decode(unread)) {
      unread = unread.subarray(frame.size);
      if (frame.opcode === 0x1) connection.onText(frame.body.toString());
      else if (frame.opcode === 0x9) socket.write(encode(0xa, frame.body));
      else if (frame.opcode === 0x8) connection.close(1000);
    }
  });
  for (const end of ['close', 'error']) {
    socket.on(end, () => {
      if (!open) return;
      open = false;
      connection.onClose();
    });
  }
  return connection;
}

function encode(opcode, body) {
  const head = body.length < 126 ? Buffer.from([0x80 | opcode, body.length]) : Buffer.from([0x80 | opcode, 126, body.length >> 8, body.length & 255]);
  return Buffer.concat([head, body]);
}

/** The announced payload length of the first frame in `bytes`. */
function announcedLength(bytes) {
  const short = bytes.length < 2 ? 0 : bytes[1] & 0x7f;
  if (short === 127) return bytes.length < 10 ? 0 : Number(bytes.readBigUInt64BE(2));
  return short;
}

function decode(bytes) {
  if (bytes.length < 6) return undefined;
  let length = bytes[1] & 0x7f;
  let offset = 2;
  if (length === 126) {
    length = bytes.readUInt16BE(2);
    offset = 4;
  } else if (length === 127) {
    length = Number(bytes.readBigUInt64BE(2));
    offset = 10;
  }
  if (bytes.length < offset + 4 + length) return undefined;
  const mask = bytes.subarray(offset, offset + 4);
  const body = Buffer.from(bytes.subarray(offset + 4, offset + 4 + length));
  for (let at = 0; at < body.length; at += 1) body[at] ^= mask[at % 4];
  return { opcode: bytes[0] & 0x0f, body, size: offset + 4 + length };
}
