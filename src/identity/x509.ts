// Makes certificates: roots, intermediates, server certificates and workload leaves. Pure but for randomness; times are arguments.
// RFC 5280; X.509-SVID for what a workload leaf must look like.
import { randomBytes } from 'node:crypto';
import * as x509 from './x509-library.ts';
import { type CryptoKey, type SigningKey, makeKeyPair, privateKeyPem, readSigningKey } from './keys.ts';

/** Certificates are valid from a little before they are made, for clocks that run behind. */
export const BACKDATE_MS = 5 * 60_000;

/** A certificate with the key it speaks for; both PEM. The key is secret: never logged, never in a message. */
export interface KeyedCertificate {
  readonly certificatePem: string;
  /** PKCS#8. */
  readonly privateKeyPem: string;
}

/** A certificate authority as the functions below sign with it. */
export interface SigningCa {
  readonly certificate: x509.X509Certificate;
  readonly signing: SigningKey;
}

interface Times {
  readonly nowMs: number;
  /** Counted from `nowMs`. */
  readonly validForMs: number;
}

export interface CaOptions extends Times {
  readonly commonName: string;
  /** How many further authorities may stand below this one; undefined: no limit. */
  readonly pathLength?: number;
}

/** A self-signed root. */
export async function makeCa(options: CaOptions): Promise<KeyedCertificate> {
  const keys = await makeKeyPair();
  const subject = [{ CN: [options.commonName] }];
  const certificate = await x509.X509CertificateGenerator.create({
    ...common(options),
    subject,
    issuer: subject,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    extensions: await caExtensions(keys.publicKey, options.pathLength),
  });
  return { certificatePem: pem(certificate), privateKeyPem: await privateKeyPem(keys.privateKey) };
}

/** An authority below `ca`; it does not outlive it. */
export async function issueIntermediate(ca: KeyedCertificate, options: CaOptions): Promise<KeyedCertificate> {
  const parent = signingCa(ca);
  const keys = await makeKeyPair();
  const certificate = await sign(parent, options, keys.publicKey, {
    subject: [{ CN: [options.commonName] }],
    extensions: [...(await caExtensions(keys.publicKey, options.pathLength)), await authorityKeyId(parent)],
  });
  return { certificatePem: pem(certificate), privateKeyPem: await privateKeyPem(keys.privateKey) };
}

export interface ServerCertificateOptions extends Times {
  readonly dnsNames: readonly string[];
}

/** An HTTPS server certificate with its own new key, e.g. for webhooks; it does not outlive `ca`. */
export async function issueServerCertificate(
  ca: KeyedCertificate,
  options: ServerCertificateOptions,
): Promise<KeyedCertificate> {
  const parent = signingCa(ca);
  const keys = await makeKeyPair();
  const names = options.dnsNames.map(value => ({ type: 'dns' as const, value }));
  const certificate = await sign(parent, options, keys.publicKey, {
    subject: [],
    extensions: [...endEntityExtensions([x509.ExtendedKeyUsage.serverAuth], names), await authorityKeyId(parent)],
  });
  return { certificatePem: pem(certificate), privateKeyPem: await privateKeyPem(keys.privateKey) };
}

export interface LeafOptions extends Times {
  /** The key that the certificate speaks for. */
  readonly publicKey: CryptoKey;
  /** The only URI name (X.509-SVID allows one). */
  readonly spiffeId: string;
  readonly dnsNames: readonly string[];
  /** Unix milliseconds that the leaf must not outlive beside the issuer's own end, e.g. that of an intermediate above it. */
  readonly notAfterMs: number;
}

/** A workload certificate: no subject, critical names, client and server. */
export async function issueLeaf(issuer: SigningCa, options: LeafOptions): Promise<x509.X509Certificate> {
  const names = [
    { type: 'url' as const, value: options.spiffeId },
    ...options.dnsNames.map(value => ({ type: 'dns' as const, value })),
  ];
  const usages = [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth];
  const validForMs = Math.min(options.validForMs, options.notAfterMs - options.nowMs);
  return sign(issuer, { nowMs: options.nowMs, validForMs }, options.publicKey, {
    subject: [],
    extensions: [...endEntityExtensions(usages, names), await authorityKeyId(issuer)],
  });
}

/** Throws when the pair was not made by this module or checked before. */
export function signingCa(ca: KeyedCertificate): SigningCa {
  const key = readSigningKey(ca.privateKeyPem);
  if (!key.ok) throw key.error;
  return { certificate: new x509.X509Certificate(ca.certificatePem), signing: key.value };
}

interface Content {
  readonly subject: x509.JsonName;
  readonly extensions: readonly x509.Extension[];
}

async function sign(
  ca: SigningCa,
  times: Times,
  publicKey: CryptoKey,
  content: Content,
): Promise<x509.X509Certificate> {
  const validForMs = Math.min(times.validForMs, ca.certificate.notAfter.getTime() - times.nowMs);
  return x509.X509CertificateGenerator.create({
    ...common({ ...times, validForMs }),
    subject: content.subject,
    issuer: ca.certificate.subjectName,
    publicKey,
    signingKey: ca.signing.key,
    signingAlgorithm: { name: ca.signing.key.algorithm.name, hash: ca.signing.hash },
    extensions: [...content.extensions],
  });
}

function common(times: Times): { serialNumber: string; notBefore: Date; notAfter: Date } {
  return {
    // 128 random bits; nobody can guess one, and no two replicas need to agree on a counter.
    serialNumber: randomBytes(16).toString('hex'),
    notBefore: wholeSecond(times.nowMs - BACKDATE_MS),
    notAfter: wholeSecond(times.nowMs + times.validForMs),
  };
}

/** X.509 times have no fractions; rounding down keeps an end from passing its issuer's. */
function wholeSecond(ms: number): Date {
  return new Date(Math.floor(ms / 1_000) * 1_000);
}

async function caExtensions(publicKey: CryptoKey, pathLength: number | undefined): Promise<x509.Extension[]> {
  return [
    new x509.BasicConstraintsExtension(true, pathLength, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
  ];
}

function endEntityExtensions(usages: x509.ExtendedKeyUsage[], names: x509.JsonGeneralNames): x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension(usages),
    // Critical, because the subject is empty (RFC 5280 4.2.1.6).
    new x509.SubjectAlternativeNameExtension(names, true),
  ];
}

async function authorityKeyId(ca: SigningCa): Promise<x509.Extension> {
  const subjectKeyId = ca.certificate.getExtension(x509.SubjectKeyIdentifierExtension);
  if (subjectKeyId !== null) return new x509.AuthorityKeyIdentifierExtension(subjectKeyId.keyId);
  return x509.AuthorityKeyIdentifierExtension.create(ca.certificate.publicKey);
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`;
}
