// TLS of the applications' own passes untouched, whatever the port is declared to be: the two ends of it are the application and its client.
import { X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  address,
  freePort,
  makeAuthority,
  type Pair,
  type PairOptions,
  Protocol,
  startInbound,
  startPair,
} from './harness/index.ts';

interface Credentials {
  readonly cert: string;
  readonly key: string;
}

/** What one end knows of a session; both know the same secrets when nobody stands between them. */
interface End {
  readonly serverName: string | false;
  readonly protocol: string | false | null;
  /** Of the certificate that the other end has shown. */
  readonly peer: string | undefined;
  readonly secret: string;
}

const port = freePort();
let ca: string;
let serverOwn: Credentials;
let clientOwn: Credentials;
/** Signed by nobody whom the application trusts. */
let strangerOwn: Credentials;
let server: Server;
let seen: End[] = [];

function end(socket: TLSSocket, serverName: string | false): End {
  const secret = socket.exportKeyingMaterial(32, 'EXPORTER-weft-test', Buffer.alloc(0)).toString('hex');
  const peer = socket.getPeerX509Certificate()?.fingerprint256;
  return { serverName, protocol: socket.alpnProtocol, peer, secret };
}

beforeAll(async () => {
  const [own, foreign] = [await makeAuthority(), await makeAuthority()];
  ca = own.anchorPem;
  const credentials = async (authority: typeof own, half: 'client' | 'server'): Promise<Credentials> => {
    const { chainPem, keyPem } = await authority.leaf(half);
    return { cert: chainPem, key: keyPem };
  };
  serverOwn = await credentials(own, 'server');
  clientOwn = await credentials(own, 'client');
  strangerOwn = await credentials(foreign, 'client');
  const options = { ...serverOwn, ca, requestCert: true, rejectUnauthorized: true };
  server = createServer({ ...options, ALPNProtocols: ['h2', 'http/1.1', 'amqp'] }, socket => {
    // Node leaves servername at false where there is none.
    seen.push(end(socket, (socket as TLSSocket & { servername: string | false }).servername));
    socket.on('error', () => undefined);
    // What reads like a request is answered with the request itself, as it came.
    socket.on('data', (chunk: Buffer) => {
      if (!chunk.toString().startsWith('GET ')) socket.write(chunk);
      else socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${chunk.length}\r\n\r\n${chunk.toString()}`);
    });
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>(resolve => server.listen(port, address, resolve));
});

afterAll(async () => {
  await new Promise(resolve => server.close(resolve));
});

type Place = Pick<Pair, 'host' | 'port'>;

/** Says "hello" in a session of these properties and hears it back. */
async function hello(place: Place, own: Credentials | undefined, ALPNProtocols: string[]): Promise<End> {
  const options = { host: place.host, port: place.port, servername: 'server.demo', ca, ...own };
  const socket = connect(ALPNProtocols.length === 0 ? options : { ...options, ALPNProtocols });
  try {
    return await new Promise((resolve, reject) => {
      socket.once('secureConnect', () => socket.write('hello'));
      socket.once('data', (chunk: Buffer) => {
        if (chunk.toString() === 'hello') resolve(end(socket, socket.authorized && 'server.demo'));
        else reject(new Error(`heard ${chunk.toString()}`));
      });
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed')));
    });
  } finally {
    socket.removeAllListeners('close').destroy();
  }
}

async function get(place: Place): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { host: place.host, port: place.port, servername: 'server.demo', ca, ...clientOwn, agent: false };
  request({ ...options, headers: { 'weft-client-id': 'mine' } }, response => {
    let body = '';
    response.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    response.on('end', () => resolve(body));
  })
    .on('error', reject)
    .end();
  return await promise;
}

/** By an alert of the other end, or by its closing. */
const refused = /alert|closed|ECONNRESET|disconnected/;

const fingerprint = ({ cert }: Credentials): string => new X509Certificate(cert).fingerprint256;

const starts: readonly [string, (options: PairOptions) => Promise<Pair>][] = [
  ['through a pair', startPair],
  ['from outside the mesh', startInbound],
];
const declared: readonly [string, Protocol][] = [
  ['nothing', Protocol.DETECT],
  ['TLS', Protocol.TLS],
  ['opaque', Protocol.OPAQUE],
];

describe.each(starts)('%s', (_, start) => {
  describe.each(declared)('on a port that is declared to be %s', (_, protocol) => {
    test('client and server end the same session, with its names, protocols and certificates', async () => {
      const pair = await start({ port, protocol });
      try {
        for (const [offered, agreed] of [
          [['h2', 'http/1.1'], 'h2'],
          [['amqp'], 'amqp'],
          [[], false],
        ] as const) {
          seen = [];
          const mine = await hello(pair, clientOwn, [...offered]);
          const common = { serverName: 'server.demo', protocol: agreed, secret: mine.secret };
          expect(mine).toEqual({ ...common, peer: fingerprint(serverOwn) });
          expect(seen).toEqual([{ ...common, peer: fingerprint(clientOwn) }]);
        }
      } finally {
        await pair.stop();
      }
    });

    test('HTTP inside is neither seen nor changed', async () => {
      const pair = await start({ port, protocol });
      try {
        const arrived = await get(pair);
        expect(arrived).toMatch(/^GET \/ HTTP\/1\.1\r\nweft-client-id: mine\r\n/);
        expect(arrived).toBe(
          await get({ host: address, port }).then(direct => direct.replace(`:${port}`, `:${pair.port}`)),
        );
        expect(await pair.metrics()).not.toMatch(/^request_total\{/m);
      } finally {
        await pair.stop();
      }
    });

    test('the application refuses whom it does not trust, and the client an application that it does not', async () => {
      const pair = await start({ port, protocol });
      try {
        await expect(hello(pair, strangerOwn, ['h2'])).rejects.toThrow(refused);
        await expect(hello(pair, undefined, ['h2'])).rejects.toThrow(refused);
        const options = { host: pair.host, port: pair.port, ...clientOwn, ca };
        await expect(
          new Promise((resolve, reject) => {
            const socket = connect({ ...options, servername: 'other.demo' }, () => resolve(socket.destroy()));
            socket.once('error', reject);
          }),
        ).rejects.toThrow(/other\.demo/);
        expect((await hello(pair, clientOwn, ['h2'])).protocol).toBe('h2');
      } finally {
        await pair.stop();
      }
    });
  });
});

test('a port that is declared to be HTTP takes no TLS', async () => {
  const pair = await startPair({ port, protocol: Protocol.HTTP1 });
  try {
    await expect(hello(pair, clientOwn, ['h2'])).rejects.toThrow(refused);
  } finally {
    await pair.stop();
  }
});
