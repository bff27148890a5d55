// As much of HTTP/2 (RFC 9113) and of gRPC's framing as a client needs that only ever talks to one server: enough to hold thousands of streams in
// one process at a cost that does not hide the server's. Pure.

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
const WINDOW_UPDATE = 8;

export const END_STREAM = 1;
export const ACK = 1;
const END_HEADERS = 4;
const HEAD = 9;

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD + payload.byteLength);
  bytes.writeUIntBE(payload.byteLength, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, HEAD);
  return bytes;
}

/** What a client says first: no push, and windows that never have to be opened again. */
export function preface(): Buffer {
  const settings = Buffer.alloc(12);
  settings.writeUInt16BE(2, 0);
  settings.writeUInt16BE(4, 6);
  settings.writeUInt32BE(0x7fff_ffff, 8);
  const window = Buffer.alloc(4);
  window.writeUInt32BE(0x7fff_0000);
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(SETTINGS, 0, 0, settings),
    frame(WINDOW_UPDATE, 0, 0, window),
  ]);
}

/** The request that opens a gRPC call, every field as a literal of HPACK that enters no table. */
export function requestHeaders(stream: number, fields: readonly (readonly [string, string])[]): Buffer {
  const block = fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]);
  return frame(HEADERS, END_HEADERS, stream, Buffer.concat(block));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length: number[] = [];
  if (bytes.byteLength < 127) length.push(bytes.byteLength);
  else {
    length.push(127);
    let rest = bytes.byteLength - 127;
    for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** One message of a gRPC stream in one DATA frame. */
export function dataFrame(stream: number, message: Uint8Array, flags = 0): Buffer {
  const payload = Buffer.allocUnsafe(5 + message.byteLength);
  payload[0] = 0;
  payload.writeUInt32BE(message.byteLength, 1);
  payload.set(message, 5);
  return frame(DATA, flags, stream, payload);
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Cuts what arrives into frames; what is incomplete waits for the rest. */
export function createFrameReader(onFrame: (frame: Frame) => void): (chunk: Buffer) => void {
  const cut = createCutter(HEAD, bytes => bytes.readUIntBE(0, 3));
  return chunk =>
    cut(chunk, whole =>
      onFrame({
        type: whole[3] ?? 0,
        flags: whole[4] ?? 0,
        stream: whole.readUInt32BE(5) & 0x7fff_ffff,
        payload: whole.subarray(HEAD),
      }),
    );
}

/** Cuts the DATA of one stream into gRPC messages. */
export function createMessageReader(onMessage: (message: Buffer) => void): (data: Buffer) => void {
  const cut = createCutter(5, bytes => bytes.readUInt32BE(1));
  return data => cut(data, whole => onMessage(whole.subarray(5)));
}

function createCutter(
  head: number,
  lengthOf: (bytes: Buffer) => number,
): (chunk: Buffer, onWhole: (whole: Buffer) => void) => void {
  let rest: Buffer | undefined;
  return (chunk, onWhole) => {
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.byteLength - at >= head) {
      const end = at + head + lengthOf(bytes.subarray(at));
      if (end > bytes.byteLength) break;
      onWhole(bytes.subarray(at, end));
      at = end;
    }
    rest = at === bytes.byteLength ? undefined : bytes.subarray(at);
  };
}
