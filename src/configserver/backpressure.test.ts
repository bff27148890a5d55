import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { TestAuthority } from '../identity/testing.ts';
import { encodeClientMessage } from '../wire/index.ts';
import { type Fixture, type FixtureOptions, OUTBOUND, aConfigServer } from './testing/fixture.ts';
import { connectProxy } from './testing/proxy.ts';
import { aResource } from './testing/source.ts';

/** A stream of bare HTTP/2 that has said hello, wants OUTBOUND, and reads nothing until somebody asks it to. */
function openWithoutReading(
  port: number,
  authority: TestAuthority,
): { session: ClientHttp2Session; stream: ClientHttp2Stream } {
  const session = connectHttp2(`https://127.0.0.1:${port}`, {
    ca: authority.root.certificatePem,
    servername: 'operator.default.weft.dev',
  });
  session.on('error', () => undefined);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/weft.config.v1.ConfigService/Stream',
    'content-type': 'application/grpc',
    authorization: 'Bearer web',
  });
  stream.on('error', () => undefined);
  const frame = (bytes: Uint8Array): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.byteLength, 1);
    return Buffer.concat([head, bytes]);
  };
  stream.write(frame(encodeClientMessage({ kind: 'hello', proxyVersion: 'slow', protocol: 1, held: [] })));
  stream.write(frame(encodeClientMessage({ kind: 'subscribe', names: [OUTBOUND] })));
  return { session, stream };
}

describe('clients that do not read', () => {
  let current: Fixture | undefined;
  const start = async (options: FixtureOptions = {}): Promise<Fixture> => (current = await aConfigServer(options));

  afterEach(() => current?.close());

  it('a reader that has stopped costs one window, skips versions, and gets the newest when it goes on', async () => {
    const { authority, source, metrics, port, held } = await start({ limits: { windowBytes: 16 * 1024 } });
    const filler = 'x'.repeat(8 * 1024);
    const { session, stream } = openWithoutReading(port, authority);
    await vi.waitFor(() => expect(held(OUTBOUND)?.sentVersion).not.toBe(''), { timeout: 5_000 });
    const rounds = 400;
    for (let round = 1; round <= rounds; round += 1) {
      source.resources.set(OUTBOUND, aResource(OUTBOUND, `${filler}${round}`));
      source.publish();
      await new Promise(setImmediate);
    }
    const sent = metrics.value('weft_config_pushes_total', { kind: 'outbound' });
    // 64 KiB of HTTP/2 window, what the sockets hold back, and our own window; not 400 messages of 8 KiB.
    expect(sent).toBeLessThan(100);
    const newest = source.resources.get(OUTBOUND)?.version ?? '';
    expect(held(OUTBOUND)?.sentVersion).not.toBe(newest);
    let read = '';
    stream.setEncoding('latin1');
    stream.on('data', (chunk: string) => (read = (read + chunk).slice(-20_000)));
    await vi.waitFor(() => expect(read).toContain(newest), { timeout: 5_000 });
    expect(metrics.value('weft_config_pushes_total', { kind: 'outbound' })).toBeLessThan(sent + 5);
    session.destroy();
  });

  it('a stopped reader that loses its stream is cut off after the grace', async () => {
    const { authority, metrics, port, source, server } = await start({
      limits: { windowBytes: 16 * 1024, endGraceMs: 100 },
    });
    source.resources.set(OUTBOUND, aResource(OUTBOUND, 'x'.repeat(4 * 1024 * 1024)));
    const { session } = openWithoutReading(port, authority);
    await vi.waitUntil(() => server.registry.proxies()[0]?.resources.some(({ name }) => name === OUTBOUND), {
      timeout: 5_000,
    });
    const closed = new Promise(resolve => session.once('close', resolve));
    source.pods.clear();
    source.publish();
    await closed;
    expect(metrics.value('weft_config_streams')).toBe(0);
  });

  it('a client whose network has gone silent is found out by pings', async () => {
    const { authority, metrics, port } = await start({ limits: { keepaliveMs: 50, keepaliveTimeoutMs: 100 } });
    const sockets: Socket[] = [];
    const relay = createServer(near => {
      const far = connect(port, '127.0.0.1');
      sockets.push(near, far);
      for (const socket of [near, far]) socket.on('error', () => undefined);
      near.pipe(far).pipe(near);
    });
    await new Promise<void>(resolve => relay.listen(0, '127.0.0.1', resolve));
    const web = connectProxy({ port: (relay.address() as AddressInfo).port, root: authority.root, token: 'web' });
    await web.message(1);
    // Pings are answered for as long as the network carries them.
    await new Promise(resolve => setTimeout(resolve, 400));
    expect(metrics.value('weft_config_streams')).toBe(1);
    for (const socket of sockets) socket.unpipe().pause();
    await vi.waitUntil(() => metrics.value('weft_config_streams') === 0, { timeout: 5_000 });
    for (const socket of sockets) socket.destroy();
    await new Promise(resolve => relay.close(resolve));
  });
});
