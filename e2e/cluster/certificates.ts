import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const lifetimeMs = 365 * 24 * 3600 * 1000;
const backdateMs = 3600 * 1000;

cryptoProvider.set(webcrypto);

/** One certificate of the cluster: who it is for, and under which names it serves (none: a client's). */
export interface CertificateRequest {
  file: string;
  commonName: string;
  organization?: string;
  names?: readonly string[];
}

/**
 * Writes `ca.crt`, a `FILE.crt` and `FILE.key` for each request, and the service accounts' signing key `sa.key`/`sa.pub`
 * into `folder`. One authority signs everything: clients of the API server, its own names, the kubelet's.
 */
export async function writeCertificates(folder: string, requests: readonly CertificateRequest[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  const authorityKeys = await generateKeys();
  const authority = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=weft-local-cluster',
    ...validity(),
    signingAlgorithm: algorithm,
    keys: authorityKeys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature, true),
    ],
  });
  await writeFile(join(folder, 'ca.crt'), `${authority.toString('pem')}\n`);
  await writeKey(join(folder, 'ca.key'), authorityKeys.privateKey);
  const serviceAccountKeys = await generateKeys();
  await writeKey(join(folder, 'sa.key'), serviceAccountKeys.privateKey);
  const publicKey = await webcrypto.subtle.exportKey('spki', serviceAccountKeys.publicKey);
  await writeFile(join(folder, 'sa.pub'), `${PemConverter.encode(publicKey, 'PUBLIC KEY')}\n`);
  await Promise.all(requests.map(request => writeLeaf(folder, request, authority, authorityKeys.privateKey)));
}

async function writeLeaf(
  folder: string,
  request: CertificateRequest,
  authority: X509Certificate,
  authorityKey: webcrypto.CryptoKey,
): Promise<void> {
  const keys = await generateKeys();
  const names = request.names ?? [];
  const organization = request.organization === undefined ? '' : `O=${request.organization}, `;
  const certificate = await X509CertificateGenerator.create({
    subject: `${organization}CN=${request.commonName}`,
    issuer: authority.subject,
    ...validity(),
    signingAlgorithm: algorithm,
    signingKey: authorityKey,
    publicKey: keys.publicKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([
        ExtendedKeyUsage.clientAuth,
        ...(names.length > 0 ? [ExtendedKeyUsage.serverAuth] : []),
      ]),
      ...(names.length > 0 ? [alternativeNames(names)] : []),
    ],
  });
  await writeFile(join(folder, `${request.file}.crt`), `${certificate.toString('pem')}\n`);
  await writeKey(join(folder, `${request.file}.key`), keys.privateKey);
}

function alternativeNames(names: readonly string[]): SubjectAlternativeNameExtension {
  return new SubjectAlternativeNameExtension(names.map(value => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })));
}

function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - backdateMs), notAfter: new Date(now + lifetimeMs) };
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function writeKey(path: string, key: webcrypto.CryptoKey): Promise<void> {
  const bytes = await webcrypto.subtle.exportKey('pkcs8', key);
  await writeFile(path, `${PemConverter.encode(bytes, 'PRIVATE KEY')}\n`, { mode: 0o600 });
}
