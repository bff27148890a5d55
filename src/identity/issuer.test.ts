import { describe, expect, it } from 'vitest';
import { recordingLogger } from '../runtime/recording.ts';
import { type IssuerSecret, judgeIssuer } from './issuer-secret.ts';
import { createIssuerStore } from './issuer-store.ts';
import { HOUR_MS, NOW_MS, aMesh, aSecret, anAuthority } from './testing.ts';
import { issueIntermediate, issueServerCertificate, makeCa } from './x509.ts';

describe('judgeIssuer', () => {
  it('accepts an issuer with intermediates in any order and leaves the root out of the chain', async () => {
    const root = await makeCa({ commonName: 'root', nowMs: NOW_MS, validForMs: 100 * HOUR_MS });
    const upper = await issueIntermediate(root, { commonName: 'upper', nowMs: NOW_MS, validForMs: 30 * HOUR_MS });
    const middle = await issueIntermediate(upper, { commonName: 'middle', nowMs: NOW_MS, validForMs: 60 * HOUR_MS });
    const issuer = await issueIntermediate(middle, {
      commonName: 'issuer',
      nowMs: NOW_MS,
      validForMs: 90 * HOUR_MS,
      pathLength: 0,
    });
    const bundle = issuer.certificatePem + root.certificatePem + upper.certificatePem + middle.certificatePem;
    const judged = judgeIssuer({ ...aSecret(root, issuer), certificatePem: bundle }, NOW_MS);
    expect(judged.ok).toBe(true);
    if (!judged.ok) return;
    expect(judged.value.chain.map(certificate => certificate.subject)).toEqual(['CN=issuer', 'CN=middle', 'CN=upper']);
    expect(judged.value.notAfterMs).toBe(NOW_MS + 30 * HOUR_MS);
  });

  it('accepts a self-signed root as issuer, with an empty chain', async () => {
    const root = await makeCa({ commonName: 'root', nowMs: NOW_MS, validForMs: HOUR_MS });
    const judged = judgeIssuer({ ...aSecret(root, root), caPem: '' }, NOW_MS);
    expect(judged).toMatchObject({ ok: true, value: { chain: [] } });
  });

  it('refuses whatever cannot sign leaves that proxies believe', async () => {
    const good = await anAuthority();
    const other = await anAuthority({ name: 'other' });
    const tight = await anAuthority({ rootPathLength: 0 });
    const expired = await anAuthority({ nowMs: NOW_MS - 200 * HOUR_MS });
    const early = await anAuthority({ nowMs: NOW_MS + HOUR_MS });
    const server = await issueServerCertificate(good.issuer, { nowMs: NOW_MS, validForMs: HOUR_MS, dnsNames: ['a'] });
    const cases: readonly { readonly why: RegExp; readonly secret: IssuerSecret }[] = [
      { why: /tls.crt holds no certificate/, secret: { ...good.secret, certificatePem: '' } },
      { why: /tls.crt: it holds text but no PEM/, secret: { ...good.secret, certificatePem: 'x' } },
      {
        why: /ca.crt: certificate 1 cannot be read/,
        secret: { ...good.secret, caPem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' },
      },
      { why: /tls.key: the private key is no readable/, secret: { ...good.secret, privateKeyPem: 'x' } },
      { why: /tls.key does not belong/, secret: { ...good.secret, privateKeyPem: other.issuer.privateKeyPem } },
      { why: /does not chain/, secret: { ...good.secret, caPem: other.root.certificatePem } },
      { why: /does not chain/, secret: { ...good.secret, caPem: '' } },
      { why: /no certificate authority/, secret: aSecret(good.issuer, server) },
      // One authority below the issuer's own, where the issuer allows none.
      { why: /path length 0 allows no 1/, secret: aSecret(tight.root, tight.issuer) },
      { why: /expired at/, secret: expired.secret },
      { why: /not valid before/, secret: early.secret },
    ];
    for (const { why, secret } of cases) {
      const judged = judgeIssuer(secret, NOW_MS);
      expect(judged).toEqual({ ok: false, error: expect.stringMatching(why) });
    }
    expect(judgeIssuer(good.secret, NOW_MS).ok).toBe(true);
  });
});

describe('issuer store', () => {
  const create = () => {
    const clock = { nowMs: () => NOW_MS };
    const log = recordingLogger();
    return { store: createIssuerStore({ clock, log }), log };
  };

  it('keeps the last good issuer, its trust domain and its roots when a Secret is refused, and says so', async () => {
    const { store, log } = create();
    const good = await anAuthority();
    const broken = {
      ...(await anAuthority({ name: 'weft-issuer-default-2' })).secret,
      privateKeyPem: good.issuer.privateKeyPem,
      name: 'second',
    };
    expect(store.update([aMesh(good.secret)])).toEqual([]);
    const active = store.active('default');
    const trust = store.trust().get('default');

    const problems = store.update([aMesh(broken, { trustDomain: 'elsewhere' })]);
    expect(problems).toEqual([
      {
        object: 'weft.dev/MeshConfig//default',
        path: 'spec.identity',
        reason: 'InvalidIssuer',
        message: expect.stringMatching(/^Secret second cannot be used: tls.key does not belong/),
        severity: 'error',
      },
    ]);
    expect(store.active('default')).toBe(active);
    expect(store.trust().get('default')).toEqual(trust);
    expect(JSON.stringify(log.lines)).not.toContain('PRIVATE KEY');
  });

  it('tells listeners only of changes, and an unchanged issuer stays the same object', async () => {
    const { store } = create();
    const first = await anAuthority();
    const second = await anAuthority({ name: 'second' });
    let changes = 0;
    store.onChange(() => (changes += 1));
    store.update([aMesh(first.secret)]);
    const active = store.active('default');
    store.update([aMesh(first.secret)]);
    expect([changes, store.active('default') === active]).toEqual([1, true]);
    store.update([aMesh(second.secret, { extraAnchorsPem: [first.root.certificatePem] })]);
    expect([changes, store.active('default')?.generation]).toEqual([2, 'second']);
    expect(store.trust().get('default')?.anchorsDer).toHaveLength(2);
    store.update([aMesh(second.secret)]);
    expect(store.trust().get('default')?.anchorsDer).toHaveLength(1);
    store.update([]);
    expect([changes, store.active('default'), store.trust().size]).toEqual([4, undefined, 0]);
  });

  it('two meshes have nothing in common', async () => {
    const { store } = create();
    const [blue, green] = [await anAuthority({ name: 'blue' }), await anAuthority({ name: 'green' })];
    store.update([
      aMesh(blue.secret, { mesh: 'blue', trustDomain: 'blue.local' }),
      aMesh(green.secret, { mesh: 'green', trustDomain: 'green.local' }),
    ]);
    expect(store.active('blue')?.trustDomain).toBe('blue.local');
    expect(store.trust().get('blue')?.anchorsDer).not.toEqual(store.trust().get('green')?.anchorsDer);
    expect(store.active('default')).toBeUndefined();
  });
});
