import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readCsr } from './csr.ts';
import { makeKeyPair } from './keys.ts';
import { aCsr } from './testing.ts';

describe('readCsr', () => {
  it('takes the public key of a well-formed request', async () => {
    const csr = await aCsr(['spiffe://cluster.local/ns/kube-system/sa/admin']);
    const key = await readCsr(csr.der);
    expect(key.ok).toBe(true);
    if (!key.ok) return;
    const exported = async (from: webcrypto.CryptoKey): Promise<string> =>
      Buffer.from(await webcrypto.subtle.exportKey('spki', from)).toString('hex');
    expect(await exported(key.value)).toBe(await exported(csr.keys.publicKey));
  });

  it('refuses a request that is signed with another key', async () => {
    const mixed = { publicKey: (await makeKeyPair()).publicKey, privateKey: (await makeKeyPair()).privateKey };
    const answer = await readCsr((await aCsr([], mixed)).der);
    expect(answer).toMatchObject({
      ok: false,
      error: { code: 'invalid-argument', message: /signature does not verify/ },
    });
  });

  it.each([
    {
      name: 'RSA',
      algorithm: {
        name: 'RSASSA-PKCS1-v1_5',
        hash: 'SHA-256',
        modulusLength: 2048,
        publicExponent: new Uint8Array([1, 0, 1]),
      },
    },
    { name: 'P-384', algorithm: { name: 'ECDSA', namedCurve: 'P-384' } },
  ])('refuses a $name key', async ({ algorithm }) => {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const answer = await readCsr((await aCsr([], keys)).der);
    expect(answer).toMatchObject({ ok: false, error: { code: 'invalid-argument', message: /must be ECDSA P-256/ } });
  });

  it('refuses what is no request, without throwing', async () => {
    const good = (await aCsr()).der;
    const certificateLike = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      format: 'der',
      type: 'spki',
    });
    const inputs = [
      new Uint8Array(),
      new Uint8Array(5_000),
      new TextEncoder().encode('hello'),
      certificateLike,
      good.slice(0, good.length - 3),
    ];
    for (const input of inputs)
      expect(await readCsr(input)).toMatchObject({ ok: false, error: { code: 'invalid-argument' } });
  });

  it('never takes another key from a request with one flipped bit', async () => {
    const csr = await aCsr();
    const want = Buffer.from(await webcrypto.subtle.exportKey('spki', csr.keys.publicKey));
    let refused = 0;
    for (let at = 0; at < csr.der.length; at += 1) {
      const bent = csr.der.slice();
      bent[at] = (bent[at] ?? 0) ^ 0x01;
      const answer = await readCsr(bent);
      const key = answer.ok ? Buffer.from(await webcrypto.subtle.exportKey('spki', answer.value)) : undefined;
      if (key === undefined) refused += 1;
      expect(key ?? want).toEqual(want);
    }
    // The encoding has a few bits that nothing depends on; a check that lets more through does not check.
    expect(refused).toBeGreaterThan(csr.der.length * 0.9);
  });
});
