// Builders for tests: authorities, Secrets and requests with sane defaults.
import * as x509 from './x509-library.ts';
import type { IssuerSecret } from './issuer-secret.ts';
import type { MeshIdentity } from './issuer-store.ts';
import { type CryptoKeyPair, LEAF_ALGORITHM, makeKeyPair } from './keys.ts';
import { type KeyedCertificate, issueIntermediate, makeCa } from './x509.ts';

export const HOUR_MS = 3_600_000;
export const NOW_MS = Date.UTC(2027, 0, 15, 12);

export interface TestAuthority {
  readonly root: KeyedCertificate;
  readonly issuer: KeyedCertificate;
  readonly secret: IssuerSecret;
}

export interface TestAuthorityOptions {
  readonly name?: string;
  readonly nowMs?: number;
  readonly issuerValidForMs?: number;
  readonly rootValidForMs?: number;
  readonly rootPathLength?: number;
}

export async function anAuthority(options: TestAuthorityOptions = {}): Promise<TestAuthority> {
  const { name = 'weft-issuer-default-1', nowMs = NOW_MS } = options;
  const root = await makeCa({
    commonName: `root of ${name}`,
    nowMs,
    validForMs: options.rootValidForMs ?? 1_000 * HOUR_MS,
    ...(options.rootPathLength === undefined ? {} : { pathLength: options.rootPathLength }),
  });
  const issuer = await issueIntermediate(root, {
    commonName: name,
    nowMs,
    validForMs: options.issuerValidForMs ?? 100 * HOUR_MS,
    pathLength: 0,
  });
  return { root, issuer, secret: aSecret(root, issuer, name) };
}

export function aSecret(
  root: KeyedCertificate,
  issuer: KeyedCertificate,
  name = 'weft-issuer-default-1',
): IssuerSecret {
  return {
    name,
    certificatePem: issuer.certificatePem,
    privateKeyPem: issuer.privateKeyPem,
    caPem: root.certificatePem,
  };
}

export function aMesh(secret: IssuerSecret | undefined, overrides: Partial<MeshIdentity> = {}): MeshIdentity {
  return {
    mesh: 'default',
    trustDomain: 'cluster.local',
    leafDurationMs: 24 * HOUR_MS,
    issuer: secret,
    extraAnchorsPem: [],
    ...overrides,
  };
}

export interface TestCsr {
  readonly keys: CryptoKeyPair;
  readonly der: Uint8Array;
}

/** A request; `names` go into a SAN extension and the subject, as a caller that lies would write them. */
export async function aCsr(names: readonly string[] = [], keys?: CryptoKeyPair): Promise<TestCsr> {
  const pair = keys ?? (await makeKeyPair());
  const algorithm = { ...LEAF_ALGORITHM, ...pair.privateKey.algorithm, hash: 'SHA-256' };
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: pair,
    name: names.length === 0 ? '' : `CN=${names[0] ?? ''}`,
    signingAlgorithm: algorithm,
    extensions:
      names.length === 0
        ? []
        : [
            new x509.SubjectAlternativeNameExtension(
              names.map(value => ({ type: value.includes('://') ? 'url' : 'dns', value })),
            ),
          ],
  });
  return { keys: pair, der: new Uint8Array(csr.rawData) };
}
