// A gigabyte each way at the same time, over HTTP/1.1, HTTP/2 and bare TCP: every byte arrives, and the proxies hold no more than their buffers.
import { createHash, type Hash } from 'node:crypto';
import { createServer as createHttpServer, type IncomingMessage, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/poll.ts';
import {
  address,
  freePort,
  growth,
  listening,
  Noise,
  Program,
  startPair,
  startTestapp,
  type Testapp,
} from './harness/index.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** What one proxy may grow by while a stream passes. Its buffers for one are far below a megabyte; the allocator rounds up. */
const FLAT = 8 * MIB;

let application: Testapp;

beforeAll(async () => {
  application = await startTestapp();
});

afterAll(async () => {
  await application.stop();
});

/** What came back: its length and hash, and the hash that the application made of what it got. */
interface Mirrored {
  readonly length: number;
  readonly sha256: string;
  readonly applicationSha256: string | undefined;
}

type Mirror = (host: string, port: number, noise: Noise) => Promise<Mirrored>;

async function received(stream: Readable): Promise<{ length: number; hash: Hash }> {
  const hash = createHash('sha256');
  let length = 0;
  stream.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    length += chunk.length;
  });
  await finished(stream, { writable: false });
  return { length, hash };
}

/** By chunks both ways, or both by their length. */
const http1 =
  (framing: 'chunked' | 'length'): Mirror =>
  async (host, port, noise) => {
    const path = framing === 'length' ? '/mirror?length' : '/mirror';
    const headers = framing === 'length' ? { 'content-length': noise.length } : {};
    const outgoing = request({ host, port, path, headers, method: 'POST', agent: false });
    const sent = pipeline(noise.stream(), outgoing);
    const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
    });
    expect(incoming.headers['content-length']).toBe(framing === 'length' ? String(noise.length) : undefined);
    const [{ length, hash }] = await Promise.all([received(incoming), sent]);
    return { length, sha256: hash.digest('hex'), applicationSha256: incoming.trailers['x-sha256'] };
  };

const http2 =
  (contentType: string): Mirror =>
  async (host, port, noise) => {
    const session = connectHttp2(`http://${host}:${port}`);
    try {
      const stream = session.request({ ':method': 'POST', ':path': '/mirror', 'content-type': contentType });
      let trailer: string | undefined;
      stream.once('trailers', trailers => {
        trailer = String(trailers['x-sha256']);
      });
      const [{ length, hash }] = await Promise.all([received(stream), pipeline(noise.stream(), stream, { end: true })]);
      return { length, sha256: hash.digest('hex'), applicationSha256: trailer };
    } finally {
      session.close();
    }
  };

/** The client shuts its sending side; what is under way still comes, and then the other side's end. */
const tcp: Mirror = async (host, port, noise) => {
  const socket = connect({ host, port, allowHalfOpen: true });
  const [{ length, hash }] = await Promise.all([received(socket), pipeline(noise.stream(), socket)]);
  socket.destroy();
  return { length, sha256: hash.digest('hex'), applicationSha256: undefined };
};

const protocols: readonly [string, Mirror, keyof Omit<Testapp, 'stop'>][] = [
  ['HTTP/1.1 with chunks', http1('chunked'), 'http'],
  ['HTTP/1.1 with a length', http1('length'), 'http'],
  ['HTTP/2', http2('application/octet-stream'), 'http'],
  // To the proxy, that is what makes a stream gRPC's.
  ["HTTP/2 with gRPC's content type", http2('application/grpc'), 'http'],
  ['TCP', tcp, 'mirror'],
];

/** A stream that somebody has stopped reading. */
interface Paused {
  /** Reads on to the end; resolves with what came and what was sent. */
  finish(): Promise<readonly [came: string, sent: string]>;
  stop(): Promise<void>;
}

const paused = new Map<string, Paused>();
/** Longer than the time that a proxy gives a server to take in a request. */
const pauseMs = 35_000;
let pausedAt: number;

/** Waits until a writer has come to rest, and sees that it did so soon. */
async function rest(accepted: () => number): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (let before = -1; before !== accepted() || before === 0; ) {
    expect(performance.now()).toBeLessThan(deadline);
    before = accepted();
    await new Promise(resolve => setTimeout(resolve, 500));
  }
  // Three connections with the kernel's buffers at both ends of each, and the proxies' own, which are nothing beside them.
  expect(accepted()).toBeLessThan(64 * MIB);
}

const description = ({ length, hash }: { length: number; hash: Hash }): string => `${length} ${hash.digest('hex')}`;

/** The server reads nothing of a connection of bytes. */
async function pausedTcp(): Promise<Paused> {
  const { promise: accepted, resolve } = Promise.withResolvers<Socket>();
  const port = freePort();
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, resolve).listen(port, address);
  const pair = await startPair({ port });
  const noise = new Noise(GIB / 4);
  const client = connect({ host: pair.host, port: pair.port });
  const sent = pipeline(noise.stream(), client);
  await rest(() => client.bytesWritten - client.writableLength);
  // What the gauge of the other tests tells when something is held: a buffer for each direction at the most.
  const held = Number(/^proxy_buffer_bytes (\d+)$/m.exec(await pair.metrics())?.[1]);
  expect(held).toBeGreaterThan(0);
  expect(held).toBeLessThanOrEqual(2 * 16 * 1024);
  return {
    finish: async () => {
      const socket = await accepted;
      const came = received(socket);
      socket.resume();
      await sent;
      const whole = description(await came);
      socket.end();
      return [whole, `${noise.length} ${noise.sha256()}`];
    },
    stop: async () => {
      client.destroy();
      await pair.stop();
      server.close();
    },
  };
}

/** The server reads nothing of a request's body. */
async function pausedRequest(): Promise<Paused> {
  const { promise: go, resolve } = Promise.withResolvers<undefined>();
  const port = freePort();
  const server = createHttpServer((incoming, response) => {
    go.then(async () => response.end(description(await received(incoming)))).catch(() => response.destroy());
  }).listen(port, address);
  // A server of its own patience would hide the proxy's.
  server.requestTimeout = 0;
  const pair = await startPair({ port });
  const noise = new Noise(GIB / 4);
  const outgoing = request({ host: pair.host, port: pair.port, method: 'POST', agent: false });
  const answer = new Promise<IncomingMessage>((done, reject) => outgoing.once('response', done).once('error', reject));
  answer.catch(() => undefined);
  const sent = pipeline(noise.stream(), outgoing);
  sent.catch(() => undefined);
  await rest(() => (outgoing.socket?.bytesWritten ?? 0) - (outgoing.socket?.writableLength ?? 0));
  return {
    finish: async () => {
      resolve(undefined);
      await sent;
      const came: Buffer[] = await (await answer).toArray();
      return [Buffer.concat(came).toString(), `${noise.length} ${noise.sha256()}`];
    },
    stop: async () => {
      outgoing.destroy();
      await pair.stop();
      server.close();
    },
  };
}

/** The client reads nothing of a response's body. */
async function pausedResponse(): Promise<Paused> {
  const port = freePort();
  const noise = new Noise(GIB / 4);
  let written = (): number => 0;
  const server = createHttpServer((incoming, response) => {
    written = () => (incoming.socket.bytesWritten ?? 0) - incoming.socket.writableLength;
    pipeline(noise.stream(), response).catch(() => undefined);
  }).listen(port, address);
  const pair = await startPair({ port });
  const outgoing = request({ host: pair.host, port: pair.port, agent: false }).end();
  const incoming = await new Promise<IncomingMessage>((done, reject) =>
    outgoing.once('response', done).once('error', reject),
  );
  incoming.pause().on('error', () => undefined);
  await rest(() => written());
  return {
    finish: async () => {
      const came = received(incoming);
      incoming.resume();
      return [description(await came), `${noise.length} ${noise.sha256()}`];
    },
    stop: async () => {
      outgoing.destroy();
      await pair.stop();
      server.close();
    },
  };
}

const pauses: readonly [string, () => Promise<Paused>][] = [
  ['bytes', pausedTcp],
  ['a request', pausedRequest],
  ['a response', pausedResponse],
];

// The pauses pass while the other tests run.
beforeAll(async () => {
  for (const [name, begin] of pauses) paused.set(name, await begin());
  pausedAt = performance.now();
});

afterAll(async () => {
  for (const stream of paused.values()) await stream.stop();
});

describe.each(protocols)('a gigabyte each way over %s', (_, mirror, listener) => {
  test('arrives unchanged through buffers that stay flat and are empty in the end', async () => {
    const pair = await startPair({ port: application[listener] });
    const carry = async (noise: Noise): Promise<readonly number[]> =>
      await growth(pair.pids, async () => {
        const { length, sha256, applicationSha256 } = await mirror(pair.host, pair.port, noise);
        expect(length).toBe(noise.length);
        expect(sha256).toBe(noise.sha256());
        expect(applicationSha256 ?? sha256).toBe(sha256);
      });
    try {
      // The first brings what stays: connections, series, the allocator's first pages.
      await carry(new Noise(100 * MIB));
      for (const bytes of await carry(new Noise(GIB))) expect(bytes).toBeLessThan(FLAT);
      await eventually("no buffer of the client's half holds a byte", async () =>
        /^proxy_buffer_bytes 0$/m.test(await pair.metrics()),
      );
    } finally {
      await pair.stop();
    }
  });
});

test('a relay that holds what it carries does not look flat: the measurement notices', async () => {
  const port = freePort();
  const script = `
    import { connect, createServer } from 'node:net';
    createServer({ allowHalfOpen: true }, client => {
      const held = [];
      client.on('data', chunk => held.push(Buffer.from(chunk)));
      client.on('end', () => {
        const upstream = connect({ host: '${address}', port: ${application.mirror}, allowHalfOpen: true });
        upstream.pipe(client);
        for (const chunk of held) upstream.write(chunk);
        upstream.end();
      });
    }).listen(${port}, '${address}');`;
  const relay = new Program('relay', [process.execPath, '--input-type=module', '--eval', script]);
  try {
    await listening(address, port, relay);
    const noise = new Noise(64 * MIB);
    const grown = await growth([relay.pid], async () => {
      expect((await tcp(address, port, noise)).sha256).toBe(noise.sha256());
    });
    expect(grown[0]).toBeGreaterThan(2 * FLAT);
  } finally {
    await relay.stop();
  }
});

test.each(pauses)('%s that nobody reads for 35 s stops its writer, and nothing of it is lost', async name => {
  await new Promise(resolve => setTimeout(resolve, Math.max(0, pausedAt + pauseMs - performance.now())));
  const [came, sent] = (await paused.get(name)?.finish()) ?? ['', 'a stream'];
  expect(came).toBe(sent);
});
