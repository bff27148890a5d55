import { X509Certificate } from 'node:crypto';
import { connect as connectTls } from 'node:tls';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CertifyRequestSchema, CertifyResponseSchema } from '../gen/weft/identity/v1/identity_pb.ts';
import { aCsr, aMesh, anAuthority } from '../identity/testing.ts';
import { IDENTITY_SERVICE } from './grpc-server.ts';
import { type Fixture, type FixtureOptions, aConfigServer } from './testing/fixture.ts';
import { aResource } from './testing/source.ts';

describe('who is let in', () => {
  let current: Fixture | undefined;
  const start = async (options: FixtureOptions = {}): Promise<Fixture> => (current = await aConfigServer(options));

  afterEach(() => current?.close());

  it('certifies the key of the proved pod', async () => {
    const { authority, identity, port } = await start();
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
    const { otherAuthority, metrics, proxy } = await start();
    expect(await proxy({ token: 'bad' }).ended).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(await proxy({ token: '' }).ended).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(await proxy({ token: 'nobody' }).ended).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(await proxy({ token: 'stranger' }).ended).toMatchObject({ code: status.PERMISSION_DENIED });
    const other = { token: 'stranger', serverName: 'operator.other.weft.dev', root: otherAuthority.root };
    expect(await proxy(other).message(0)).toMatchObject({ name: 'workload' });
    expect(metrics.value('weft_config_streams_refused_total', { reason: 'token' })).toBe(2);
  });

  it('has a certificate for the meshes that exist and for no other name', async () => {
    const { authority, otherAuthority, port } = await start();
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
    const { identity, source, proxy } = await start();
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

  it('serves a proxy that is one revision of the protocol ahead, as after a roll-back of the operator', async () => {
    const { proxy } = await start();
    const ahead = proxy({ protocol: 2 });
    expect(await ahead.message(0)).toMatchObject({ kind: 'upsert' });
    ahead.close();
  });

  it('ends streams that do not keep to the protocol', async () => {
    const { proxy } = await start();
    expect(await proxy({ protocol: 0 }).ended).toMatchObject({ code: status.FAILED_PRECONDITION });
    expect(await proxy({ protocol: 9 }).ended).toMatchObject({ code: status.FAILED_PRECONDITION });
    const twice = proxy();
    twice.send({ kind: 'hello', proxyVersion: 'again', protocol: 1, held: [] });
    expect(await twice.ended).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('second hello'),
    });
  });

  it('serves no more streams than it may', async () => {
    const { proxy } = await start({ limits: { maxStreams: 1 } });
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
});
