import { X509Certificate } from 'node:crypto';
import { makeKeyPair, privateKeyPem } from '../../../src/identity/keys.ts';
import { issueLeaf, makeCa, signingCa } from '../../../src/identity/x509.ts';

export type Half = 'client' | 'server';

export const identities: Readonly<Record<Half, string>> = {
  client: 'spiffe://cluster.local/ns/demo/sa/client',
  server: 'spiffe://cluster.local/ns/demo/sa/server',
};

export interface Authority {
  readonly anchorPem: string;
  readonly anchorDer: Uint8Array;
  leaf(half: Half): Promise<{ readonly chainPem: string; readonly keyPem: string }>;
}

const validForMs = 24 * 3_600_000;

/** A mesh's root, made for one pair. */
export async function makeAuthority(): Promise<Authority> {
  const nowMs = Date.now();
  const ca = await makeCa({ commonName: 'protocols', nowMs, validForMs });
  return {
    anchorPem: ca.certificatePem,
    anchorDer: new X509Certificate(ca.certificatePem).raw,
    leaf: async half => {
      const keys = await makeKeyPair();
      const certificate = await issueLeaf(signingCa(ca), {
        publicKey: keys.publicKey,
        spiffeId: identities[half],
        dnsNames: [`${half}.demo`],
        nowMs,
        validForMs,
        notAfterMs: nowMs + validForMs,
      });
      return { chainPem: `${certificate.toString('pem')}\n`, keyPem: await privateKeyPem(keys.privateKey) };
    },
  };
}
