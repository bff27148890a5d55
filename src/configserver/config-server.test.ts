import { X509Certificate } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { Client, credentials, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { CertifyRequestSchema, CertifyResponseSchema } from '../gen/weft/identity/v1/identity_pb.ts';
import { type Identity, createIdentity } from '../identity/index.ts';
import { type TestAuthority, aCsr, aMesh, anAuthority } from '../identity/testing.ts';
import { podKey } from '../kernel/index.ts';
import { silentLogger } from '../runtime/index.ts';
import { type RecordingMetrics, recordingMetrics } from '../runtime/recording.ts';
import { encodeClientMessage } from '../wire/index.ts';
import { IDENTITY_SERVICE } from './grpc-server.ts';
import { type ConfigServer, type ConfigServerLimits, createConfigServer } from './index.ts';
import {
  type TestProxyOptions,
  type TestSource,
  aResource,
  aSource,
  aWho,
  anAuthenticator,
  connectProxy,
} from './testing.ts';

const OUTBOUND = 'outbound/10.0.0.1:80';

describe('the config server', () => {
  let authority: TestAuthority;
  let otherAuthority: TestAuthority;
  let identity: Identity;
  let source: TestSource;
  let server: ConfigServer;
  let metrics: RecordingMetrics;
  let port: number;
  const stop = new AbortController();

  async function start(limits: Partial<ConfigServerLimits> = {}): Promise<void> {
    metrics = recordingMetrics();
    server = createConfigServer({
      source,
      authenticator: anAuthenticator,
      certify: identity.certify,
      certificates: identity.own,
      clock: { nowMs: () => Date.now() },
      log: silentLogger,
      metrics,
      limits: { podWaitMs: 300, ...limits },
    });
    port = await server.listen({ host: '127.0.0.1', port: 0 }, stop.signal);
  }

  beforeEach(async () => {
    const nowMs = Date.now();
    authority = await anAuthority({ nowMs });
    otherAuthority = await anAuthority({ nowMs, name: 'other' });
    source = aSource([aWho('web'), aWho('job'), aWho('stranger', 'other')]);
    source.resources.set(OUTBOUND, aResource(OUTBOUND, 'v1'));
    identity = createIdentity({
      clock: { nowMs: () => Date.now() },
      log: silentLogger,
      controlNamespace: 'weft-system',
      account: { namespace: 'weft-system', serviceAccount: 'weft-operator' },
    });
    identity.issuers.update([
      aMesh(authority.secret),
      aMesh(otherAuthority.secret, { mesh: 'other', trustDomain: 'other.local' }),
    ]);
    await vi.waitUntil(() => identity.own.meshes().length === 2, { timeout: 5_000 });
  });

  afterEach(async () => {
    await server.close(200);
    identity.close();
  });

  const proxy = (options: Partial<TestProxyOptions> = {}) =>
    connectProxy({ port, root: authority.root, token: 'web', ...options });
  const held = (name: string) => server.registry.proxies()[0]?.resources.find(resource => resource.name === name);

  it('serves a proxy through its whole life', async () => {
    await start();
    const web = proxy();
    expect([(await web.message(0)).name, (await web.message(1)).name]).toEqual(['workload', 'trust']);
    web.send({ kind: 'subscribe', names: [OUTBOUND] });
    expect(await web.message(2)).toMatchObject({
      kind: 'upsert',
      name: OUTBOUND,
      version: aResource(OUTBOUND, 'v1').version,
    });
    source.resources.set(OUTBOUND, aResource(OUTBOUND, 'v2'));
    source.publish();
    expect(await web.message(3)).toMatchObject({ version: aResource(OUTBOUND, 'v2').version });
    await vi.waitFor(() => expect(held(OUTBOUND)?.ackedVersion).toBe(aResource(OUTBOUND, 'v2').version));
    source.resources.delete(OUTBOUND);
    source.publish();
    expect(await web.message(4)).toMatchObject({ kind: 'remove', name: OUTBOUND });
    expect(server.registry.proxies()).toMatchObject([{ podUid: 'uid-web', proxyVersion: 'test' }]);
    web.close();
    await vi.waitFor(() => expect(metrics.value('weft_config_streams')).toBe(0));
  });

  it('a refusal by the proxy is seen, and its reason', async () => {
    await start();
    const web = proxy({ acknowledge: false });
    const { nonce } = await web.message(0);
    web.send({ kind: 'nack', nonce, resource: 'workload', reason: 'unknown protocol' });
    await vi.waitFor(() =>
      expect(held('workload')).toMatchObject({ ackedVersion: '', nackReason: 'unknown protocol' }),
    );
    web.close();
  });

  it('certifies the key of the proved pod', async () => {
    await start();
    const client = new Client(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(authority.root.certificatePem)), {
      'grpc.ssl_target_name_override': 'operator.default.weft.dev',
    });
    const { path, requestSerialize, responseDeserialize } = IDENTITY_SERVICE.certify;
    const certify = (serviceAccountToken: string, csr: Uint8Array) =>
      new Promise<{ code: status; answer?: Buffer | undefined }>(resolve => {
        const request = Buffer.from(
          toBinary(CertifyRequestSchema, create(CertifyRequestSchema, { csr, serviceAccountToken })),
        );
        client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) =>
          resolve({ code: error?.code ?? status.OK, answer }),
        );
      });
    const csr = await aCsr(['spiffe://cluster.local/ns/kube-system/sa/admin']);
    const good = await certify('web', csr.der);
    expect(good.code).toBe(status.OK);
    const response = fromBinary(CertifyResponseSchema, good.answer ?? new Uint8Array());
    const [leaf, issuer] = response.chain.map(der => new X509Certificate(der));
    expect(response.identity).toBe('spiffe://cluster.local/ns/demo/sa/web');
    expect(leaf?.subjectAltName).toMatch(/^URI:spiffe:\/\/cluster\.local\/ns\/demo\/sa\/web, DNS:/);
    expect(issuer !== undefined && leaf?.verify(issuer.publicKey)).toBe(true);
    expect(Number(response.notAfter) * 1_000).toBe(leaf?.validToDate.getTime());

    expect(await certify('bad', csr.der)).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(await certify('', csr.der)).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(await certify('nobody', csr.der)).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(await certify('stranger', csr.der)).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(await certify('web', new Uint8Array([1, 2]))).toMatchObject({ code: status.INVALID_ARGUMENT });
    identity.issuers.update([]);
    expect(await certify('web', csr.der)).toMatchObject({ code: status.UNAVAILABLE });
    client.close();
  });

  it('refuses whoever is not proved, and pods of another mesh', async () => {
    await start();
    expect(await proxy({ token: 'bad' }).ended).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(await proxy({ token: '' }).ended).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(await proxy({ token: 'nobody' }).ended).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(await proxy({ token: 'stranger' }).ended).toMatchObject({ code: status.PERMISSION_DENIED });
    const other = { token: 'stranger', serverName: 'operator.other.weft.dev', root: otherAuthority.root };
    expect(await proxy(other).message(0)).toMatchObject({ name: 'workload' });
    expect(metrics.value('weft_config_streams_refused_total', { reason: 'token' })).toBe(2);
  });

  it('has a certificate for the meshes that exist and for no other name', async () => {
    await start();
    const dial = (servername: string | undefined, root = authority.root): Promise<string> =>
      new Promise(resolve => {
        const socket = connectTls({
          host: '127.0.0.1',
          port,
          ca: root.certificatePem,
          ALPNProtocols: ['h2'],
          ...(servername === undefined ? {} : { servername }),
        });
        socket.once('secureConnect', () => {
          const names = socket.getPeerX509Certificate()?.subjectAltName ?? '';
          socket.destroy();
          resolve(names);
        });
        socket.once('error', () => resolve('refused'));
      });
    expect(await dial('operator.default.weft.dev')).toContain('DNS:operator.default.weft.dev');
    expect(await dial('operator.other.weft.dev', otherAuthority.root)).toContain('DNS:operator.other.weft.dev');
    expect(await dial('operator.other.weft.dev')).toBe('refused');
    expect(await dial('operator.third.weft.dev')).toBe('refused');
    expect(await dial('example.test')).toBe('refused');
    expect(await dial(undefined)).toBe('refused');
  });

  it('shows a renewed certificate to new connections while old streams live on', async () => {
    await start();
    const web = proxy();
    await web.message(1);
    const next = await anAuthority({ nowMs: Date.now(), name: 'next' });
    identity.issuers.update([aMesh(next.secret)]);
    await vi.waitFor(() => expect(identity.own.get('default')?.generation).toBe('next'));
    expect(await proxy({ token: 'job', root: next.root }).message(0)).toMatchObject({ name: 'workload' });
    source.resources.set('trust', aResource('trust', 't2'));
    source.publish();
    expect(await web.message(2)).toMatchObject({ name: 'trust' });
  });

  it('waits a little for a pod that the watch has not brought yet', async () => {
    await start({ podWaitMs: 5_000 });
    const late = proxy({ token: 'late' });
    await new Promise(setImmediate);
    source.pods.set(podKey('demo', 'late'), aWho('late'));
    const publisher = setInterval(() => source.publish(), 20);
    expect(await late.message(0)).toMatchObject({ name: 'workload' });
    clearInterval(publisher);
  });

  it('a reconnecting proxy gets differences only, and a revoked pod is cut off', async () => {
    await start();
    const versions = ['workload', 'trust', OUTBOUND].map(name => ({
      name,
      version: source.resources.get(name)?.version ?? '',
    }));
    source.resources.set('trust', aResource('trust', 't2'));
    const web = proxy({ held: versions });
    expect(await web.message(0)).toMatchObject({ name: 'trust', version: aResource('trust', 't2').version });
    source.pods.delete(podKey('demo', 'web'));
    source.publish();
    expect(await web.ended).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(web.received).toHaveLength(1);
  });

  it('ends streams that do not keep to the protocol', async () => {
    await start();
    expect(await proxy({ protocol: 9 }).ended).toMatchObject({ code: status.FAILED_PRECONDITION });
    const twice = proxy();
    twice.send({ kind: 'hello', proxyVersion: 'again', protocol: 1, held: [] });
    expect(await twice.ended).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('second hello'),
    });
  });

  it('serves no more streams than it may', async () => {
    await start({ maxStreams: 1 });
    const web = proxy();
    await web.message(0);
    expect(await proxy({ token: 'job' }).ended).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    web.close();
    // Neither the refused stream nor the one that has ended takes a place.
    const retry = async (): Promise<void> => {
      const job = proxy({ token: 'job' });
      const first = job.message(0).catch((reason: Error) => ({ name: reason.message }));
      expect(await Promise.race([first, job.ended])).toMatchObject({ name: 'workload' });
    };
    await vi.waitFor(retry, { timeout: 5_000 });
  });

  it('a reader that has stopped costs one window, skips versions, and gets the newest when it goes on', async () => {
    await start({ windowBytes: 16 * 1024 });
    const filler = 'x'.repeat(8 * 1024);
    const web = connectHttp2(`https://127.0.0.1:${port}`, {
      ca: authority.root.certificatePem,
      servername: 'operator.default.weft.dev',
    });
    const stream = web.request({
      ':method': 'POST',
      ':path': '/weft.config.v1.ConfigService/Stream',
      'content-type': 'application/grpc',
      authorization: 'Bearer web',
    });
    const frame = (bytes: Uint8Array): Buffer => {
      const head = Buffer.alloc(5);
      head.writeUInt32BE(bytes.byteLength, 1);
      return Buffer.concat([head, bytes]);
    };
    stream.write(frame(encodeClientMessage({ kind: 'hello', proxyVersion: 'slow', protocol: 1, held: [] })));
    stream.write(frame(encodeClientMessage({ kind: 'subscribe', names: [OUTBOUND] })));
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
    web.destroy();
  });

  it('tells its clients to go elsewhere when it closes, and leaves nothing open', async () => {
    await start();
    const [web, job] = [proxy(), proxy({ token: 'job' })];
    await Promise.all([web.message(1), job.message(1)]);
    const closed = server.close(5_000);
    expect(await web.ended).toMatchObject({ code: status.UNAVAILABLE });
    expect(await job.ended).toMatchObject({ code: status.UNAVAILABLE });
    await closed;
    await expect(
      new Promise((resolve, reject) => {
        connectTls({ host: '127.0.0.1', port }).once('error', reject).once('secureConnect', resolve);
      }),
    ).rejects.toThrow(/ECONNREFUSED/);
  });
});
