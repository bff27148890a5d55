import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeKeyPair } from './keys.ts';
import { HOUR_MS, NOW_MS } from './testing.ts';
import { BACKDATE_MS, issueIntermediate, issueLeaf, issueServerCertificate, makeCa, signingCa } from './x509.ts';

const read = (pair: { certificatePem: string }): X509Certificate => new X509Certificate(pair.certificatePem);

describe('certificates', () => {
  it('root, intermediate and server certificate chain by signature and by name', async () => {
    const root = await makeCa({ commonName: 'root', nowMs: NOW_MS, validForMs: 10 * HOUR_MS });
    const issuer = await issueIntermediate(root, {
      commonName: 'issuer',
      nowMs: NOW_MS,
      validForMs: 5 * HOUR_MS,
      pathLength: 0,
    });
    const server = await issueServerCertificate(issuer, {
      nowMs: NOW_MS,
      validForMs: HOUR_MS,
      dnsNames: ['a.svc', 'a.svc.cluster.local'],
    });

    expect(read(root).checkIssued(read(root))).toBe(true);
    expect(read(issuer).checkIssued(read(root))).toBe(true);
    expect(read(issuer).verify(read(root).publicKey)).toBe(true);
    expect(read(server).checkIssued(read(issuer))).toBe(true);
    expect(read(server).verify(read(issuer).publicKey)).toBe(true);
    expect(read(server).verify(read(root).publicKey)).toBe(false);
    expect([read(root).ca, read(issuer).ca, read(server).ca]).toEqual([true, true, false]);
    expect(read(server).subjectAltName).toBe('DNS:a.svc, DNS:a.svc.cluster.local');
    expect(read(server).keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  it('nothing outlives what signed it, and everything begins five minutes early', async () => {
    const root = await makeCa({ commonName: 'root', nowMs: NOW_MS, validForMs: 2 * HOUR_MS });
    const issuer = await issueIntermediate(root, { commonName: 'issuer', nowMs: NOW_MS, validForMs: 50 * HOUR_MS });
    const server = await issueServerCertificate(issuer, { nowMs: NOW_MS, validForMs: 50 * HOUR_MS, dnsNames: ['a'] });
    for (const certificate of [root, issuer, server].map(read)) {
      expect(certificate.validFromDate.getTime()).toBe(NOW_MS - BACKDATE_MS);
      expect(certificate.validToDate.getTime()).toBe(NOW_MS + 2 * HOUR_MS);
    }
  });

  it('serial numbers are 128 random bits', async () => {
    const root = await makeCa({ commonName: 'root', nowMs: NOW_MS, validForMs: HOUR_MS });
    const ca = signingCa(root);
    const { publicKey } = await makeKeyPair();
    const serials = new Set<string>();
    for (let count = 0; count < 20; count += 1) {
      const leaf = await issueLeaf(ca, {
        publicKey,
        spiffeId: 'spiffe://td/ns/a/sa/b',
        dnsNames: [],
        nowMs: NOW_MS,
        validForMs: HOUR_MS,
        notAfterMs: NOW_MS + HOUR_MS,
      });
      serials.add(leaf.serialNumber);
      expect(BigInt(`0x${leaf.serialNumber}`)).toBeLessThan(2n ** 128n);
    }
    expect(serials.size).toBe(20);
    // Twenty times 24 leading zero bits in a row would be a generator that is not random.
    expect(Math.max(...[...serials].map(serial => serial.length))).toBeGreaterThan(26);
  });
});
