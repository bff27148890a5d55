// A proxy as the operator sees it: TLS 1.3 with the operator's name and root checked, one bidirectional stream with the pod's token, every message
// acknowledged. It comes back after every loss, as the real one does, with what it holds.
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import { encodeClientMessage } from '../../src/wire/index.ts';
import { nowMs } from './clock.ts';
import {
  ACK,
  createFrameReader,
  createMessageReader,
  DATA,
  dataFrame,
  END_STREAM,
  type Frame,
  frame,
  GOAWAY,
  HEADERS,
  PING,
  preface,
  requestHeaders,
  RST_STREAM,
  SETTINGS,
} from './http2-frames.ts';
import { type Glance, glance } from './server-message.ts';

const AUTHORITY = 'operator.default.weft.dev';
const RETRY_MS = 100;
const RETRY_MAX_MS = 5_000;
const STREAM = 1;

export interface Origin {
  readonly port: number;
  readonly context: SecureContext;
}

export interface ProxyOptions {
  readonly origin: Origin;
  readonly token: string;
  /** Beside `workload` and `trust`. */
  readonly names: readonly string[];
  readonly onMessage: (proxy: SimulatedProxy, message: Glance, bytes: Buffer) => void;
}

function openSocket({ port, context }: Origin): TLSSocket {
  return connect({
    host: '127.0.0.1',
    port,
    servername: AUTHORITY,
    secureContext: context,
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.3',
  });
}

const callHeaders = (path: string, token: string): Buffer =>
  requestHeaders(STREAM, [
    [':method', 'POST'],
    [':scheme', 'https'],
    [':path', path],
    [':authority', AUTHORITY],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...(token === '' ? [] : [['authorization', `Bearer ${token}`] as const]),
  ]);

/** Answers what HTTP/2 itself wants answered; true when the frame was of that kind. */
function answered(socket: TLSSocket, { type, flags, payload }: Frame): boolean {
  if (type === SETTINGS && (flags & ACK) === 0) socket.write(frame(SETTINGS, ACK, 0));
  if (type === PING && (flags & ACK) === 0) socket.write(frame(PING, ACK, 0, payload));
  return type === SETTINGS || type === PING;
}

export class SimulatedProxy {
  readonly names: ReadonlySet<string>;
  /** Versions by name. */
  readonly held = new Map<string, string>();
  /** When the operator accepted the stream that is open now; undefined: there is none. */
  acceptedMs: number | undefined;
  /** Streams that were refused or lost since the start. */
  losses = 0;
  readonly #options: ProxyOptions;
  #socket: TLSSocket | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #closed = false;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.names = new Set(['workload', 'trust', ...options.names]);
  }

  connect(): void {
    const { origin, token, names } = this.#options;
    const socket = openSocket(origin);
    this.#socket = socket;
    socket.setNoDelay(true);
    const hello = encodeClientMessage({
      kind: 'hello',
      proxyVersion: 'simulated',
      protocol: 1,
      held: [...this.held].map(([name, version]) => ({ name, version })),
    });
    const wanted = names.filter(name => !this.held.has(name));
    socket.once('secureConnect', () => {
      const subscribe = encodeClientMessage({ kind: 'subscribe', names: wanted });
      const opening = [preface(), callHeaders('/weft.config.v1.ConfigService/Stream', token), dataFrame(STREAM, hello)];
      socket.write(Buffer.concat(wanted.length === 0 ? opening : [...opening, dataFrame(STREAM, subscribe)]));
    });
    let acks: Buffer[] = [];
    const readMessages = createMessageReader(bytes => {
      const message = glance(bytes);
      this.#options.onMessage(this, message, bytes);
      if (message.version === '') this.held.delete(message.name);
      else this.held.set(message.name, message.version);
      acks.push(dataFrame(STREAM, encodeAck(message.nonce)));
    });
    const readFrames = createFrameReader(each => {
      if (answered(socket, each)) return;
      if (each.type === DATA) readMessages(each.payload);
      else if (each.type === HEADERS && (each.flags & END_STREAM) === 0) {
        this.acceptedMs ??= nowMs();
        this.#failures = 0;
      } else if (each.type === HEADERS || each.type === RST_STREAM || each.type === GOAWAY) socket.destroy();
    });
    socket.on('data', (chunk: Buffer) => {
      readFrames(chunk);
      if (acks.length > 0) socket.write(acks.length === 1 && acks[0] !== undefined ? acks[0] : Buffer.concat(acks));
      acks = [];
    });
    socket.on('error', () => undefined);
    socket.once('close', () => this.#lost());
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket?.destroy();
  }

  #lost(): void {
    this.acceptedMs = undefined;
    if (this.#closed) return;
    this.losses += 1;
    // Full jitter, as the real proxy.
    const most = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.connect(), Math.random() * most);
  }
}

/** ClientMessage { ack = 4 { nonce = 1 } } */
function encodeAck(nonce: bigint): Uint8Array {
  const varint: number[] = [];
  let rest = nonce;
  for (; rest >= 128n; rest >>= 7n) varint.push(Number(rest & 127n) | 128);
  varint.push(Number(rest));
  return Uint8Array.from([0x22, varint.length + 1, 0x08, ...varint]);
}

export interface UnaryCall {
  readonly origin: Origin;
  readonly path: string;
  readonly message: Uint8Array;
}

/** One call on a connection of its own. Resolves with the answer, undefined when the call was refused. */
export function callOnce({ origin, path, message }: UnaryCall): Promise<Buffer | undefined> {
  const socket = openSocket(origin);
  return new Promise((resolve, reject) => {
    let answer: Buffer | undefined;
    const readMessages = createMessageReader(bytes => {
      answer = bytes;
    });
    const readFrames = createFrameReader(each => {
      if (answered(socket, each)) return;
      if (each.type === DATA) readMessages(each.payload);
      if ((each.flags & END_STREAM) === 0 || (each.type !== HEADERS && each.type !== DATA)) return;
      resolve(answer);
      socket.destroy();
    });
    socket.once('secureConnect', () =>
      socket.write(Buffer.concat([preface(), callHeaders(path, ''), dataFrame(STREAM, message, END_STREAM)])),
    );
    socket.on('data', readFrames);
    socket.once('error', reject);
    socket.once('close', () => resolve(answer));
  });
}
