import { X509Certificate, webcrypto } from 'node:crypto';
import { type TLSSocket, connect, createServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../runtime/index.ts';
import { createCertify } from './certify.ts';
import { createIssuerStore } from './issuer-store.ts';
import { privateKeyPem } from './keys.ts';
import { certificatePem } from './pem.ts';
import { HOUR_MS, NOW_MS, type TestAuthorityOptions, aCsr, aMesh, anAuthority } from './testing.ts';

const account = { namespace: 'demo', serviceAccount: 'web' };

async function aCertifier(options: TestAuthorityOptions & { leafDurationMs?: number } = {}) {
  let nowMs = options.nowMs ?? NOW_MS;
  const clock = { nowMs: () => nowMs };
  const authority = await anAuthority(options);
  const issuers = createIssuerStore({ clock, log: silentLogger });
  issuers.update([
    aMesh(authority.secret, options.leafDurationMs === undefined ? {} : { leafDurationMs: options.leafDurationMs }),
  ]);
  return {
    authority,
    issuers,
    certify: createCertify({ issuers, clock, controlNamespace: 'weft-system' }),
    setNow: (ms: number) => (nowMs = ms),
  };
}

async function leafOf(answer: Awaited<ReturnType<ReturnType<typeof createCertify>>>) {
  if (!answer.ok) throw answer.error;
  const [leaf, ...rest] = answer.value.chainDer.map(der => new X509Certificate(der));
  if (leaf === undefined) throw new Error('empty chain');
  return { leaf, rest, issued: answer.value };
}

describe('certify', () => {
  it('issues the identity of the proved caller, whatever the request claims', async () => {
    const { authority, certify } = await aCertifier();
    const csr = await aCsr([
      'spiffe://cluster.local/ns/kube-system/sa/admin',
      'admin.kube-system.svc',
      'operator.default.weft.dev',
    ]);
    const { leaf, rest, issued } = await leafOf(await certify({ mesh: 'default', account, csr: csr.der }));

    expect(leaf.subjectAltName).toBe(
      'URI:spiffe://cluster.local/ns/demo/sa/web, DNS:web.demo.serviceaccount.identity.weft-system.cluster.local',
    );
    expect(leaf.toString() + leaf.raw.toString('latin1')).not.toMatch(/kube-system|admin|operator\.default/);
    expect(leaf.subject ?? '').toBe('');
    expect(issued.identity).toBe('spiffe://cluster.local/ns/demo/sa/web');
    const root = new X509Certificate(authority.root.certificatePem);
    expect(rest).toHaveLength(1);
    expect([
      rest[0]?.verify(root.publicKey),
      leaf.checkIssued(rest[0] ?? leaf),
      leaf.verify(rest[0]?.publicKey ?? leaf.publicKey),
    ]).toEqual([true, true, true]);
    expect(
      leaf.publicKey
        .export({ format: 'der', type: 'spki' })
        .equals(Buffer.from(await webcrypto.subtle.exportKey('spki', csr.keys.publicKey))),
    ).toBe(true);
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  });

  it('marks the names as critical', async () => {
    const { certify } = await aCertifier();
    const { leaf } = await leafOf(await certify({ mesh: 'default', account, csr: (await aCsr()).der }));
    // OID 2.5.29.17 followed by BOOLEAN TRUE (RFC 5280: critical).
    expect(leaf.raw.includes(Buffer.from('0603551d110101ff', 'hex'))).toBe(true);
  });

  it.each([
    {
      name: 'lives as long as the mesh says',
      leafDurationMs: 6 * HOUR_MS,
      issuerValidForMs: 100 * HOUR_MS,
      want: 6 * HOUR_MS,
    },
    {
      name: 'never outlives its issuer',
      leafDurationMs: 24 * HOUR_MS,
      issuerValidForMs: 3 * HOUR_MS,
      want: 3 * HOUR_MS,
    },
  ])('a leaf $name', async ({ leafDurationMs, issuerValidForMs, want }) => {
    const { certify } = await aCertifier({ leafDurationMs, issuerValidForMs });
    const { leaf, issued } = await leafOf(await certify({ mesh: 'default', account, csr: (await aCsr()).der }));
    expect(leaf.validToDate.getTime()).toBe(NOW_MS + want);
    expect(issued).toMatchObject({ notAfterMs: NOW_MS + want, notBeforeMs: NOW_MS - 300_000 });
  });

  it('has no answer without an issuer, nor with one that has expired', async () => {
    const { certify, setNow } = await aCertifier({ issuerValidForMs: HOUR_MS });
    const csr = (await aCsr()).der;
    expect(await certify({ mesh: 'other', account, csr })).toMatchObject({ ok: false, error: { code: 'unavailable' } });
    expect(await certify({ mesh: 'default', account, csr })).toMatchObject({ ok: true });
    setNow(NOW_MS + HOUR_MS);
    expect(await certify({ mesh: 'default', account, csr })).toMatchObject({
      ok: false,
      error: { code: 'unavailable', message: /expired/ },
    });
  });

  it('leaves a DNS form out that is longer than a DNS name may be', async () => {
    const { certify } = await aCertifier();
    const long = { namespace: 'demo', serviceAccount: Array.from({ length: 4 }, () => 'a'.repeat(60)).join('.') };
    const { leaf } = await leafOf(await certify({ mesh: 'default', account: long, csr: (await aCsr()).der }));
    expect(leaf.subjectAltName).toBe(`URI:spiffe://cluster.local/ns/demo/sa/${long.serviceAccount}`);
  });

  it('leaves pass mutual TLS 1.3 with the root, and fail it with another root', async () => {
    const nowMs = Date.now();
    const { authority, certify } = await aCertifier({ nowMs });
    const stranger = await anAuthority({ name: 'stranger', nowMs });
    const csr = await aCsr();
    const { issued } = await leafOf(await certify({ mesh: 'default', account, csr: csr.der }));
    const credentials = {
      cert: issued.chainDer.map(certificatePem).join(''),
      key: await privateKeyPem(csr.keys.privateKey),
    };
    const seen: (string | undefined)[] = [];
    const server = createServer(
      {
        ...credentials,
        ca: authority.root.certificatePem,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.3',
      },
      socket => {
        seen.push(socket.getPeerX509Certificate()?.subjectAltName);
        socket.end();
      },
    );
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const dial = (ca: string): Promise<string> =>
      new Promise(resolve => {
        const socket: TLSSocket = connect(
          { ...credentials, ca, port, host: '127.0.0.1', checkServerIdentity: () => undefined },
          () => socket.resume(),
        );
        socket.once('error', (reason: Error & { code?: string }) => resolve(reason.code ?? reason.message));
        socket.once('close', () => resolve('ok'));
      });
    expect(await dial(authority.root.certificatePem)).toBe('ok');
    expect(seen).toEqual([expect.stringContaining('spiffe://cluster.local/ns/demo/sa/web')]);
    expect(await dial(stranger.root.certificatePem)).not.toBe('ok');
    await new Promise(resolve => server.close(resolve));
  });
});
