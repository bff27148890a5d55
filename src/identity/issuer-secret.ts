// Judges the content of an issuer Secret: only what can really sign leaves that every proxy will believe becomes an issuer.
import { X509Certificate } from 'node:crypto';
import * as x509 from './x509-library.ts';
import { type Result, err, ok } from '../kernel/index.ts';
import { readSigningKey } from './keys.ts';
import { readCertificates } from './pem.ts';
import type { SigningCa } from './x509.ts';

/** The fields of a Secret of type kubernetes.io/tls as cert-manager fills them; values are PEM text. */
export interface IssuerSecret {
  /** Name of the (immutable) Secret; names the generation. */
  readonly name: string;
  /** tls.crt: the issuer's certificate first, then intermediates in any order. */
  readonly certificatePem: string;
  /** tls.key; never logged. */
  readonly privateKeyPem: string;
  /** ca.crt: trust anchors. May be empty when tls.crt ends in, or is, a self-signed root. */
  readonly caPem: string;
}

export interface JudgedIssuer {
  readonly ca: SigningCa;
  /** The issuer and the intermediates above it, without the root. Empty when the issuer is the root itself. */
  readonly chain: readonly X509Certificate[];
  readonly anchors: readonly X509Certificate[];
  readonly notBeforeMs: number;
  /** The earliest end in the chain, root included. */
  readonly notAfterMs: number;
}

/** The error is one sentence that says what is wrong and what to look at; it never quotes the key. */
export function judgeIssuer(secret: IssuerSecret, nowMs: number): Result<JudgedIssuer, string> {
  const certificates = readCertificates(secret.certificatePem);
  if (!certificates.ok) return err(`tls.crt: ${certificates.error}`);
  const [issuer, ...others] = certificates.value;
  if (issuer === undefined) return err('tls.crt holds no certificate');
  const roots = readCertificates(secret.caPem);
  if (!roots.ok) return err(`ca.crt: ${roots.error}`);
  const key = readSigningKey(secret.privateKeyPem);
  if (!key.ok) return err(`tls.key: ${key.error.message}`);
  if (!issuer.checkPrivateKey(key.value.object))
    return err('tls.key does not belong to the first certificate of tls.crt');

  const selfSigned = certificates.value.filter(isSelfSigned);
  const anchors = roots.value.length > 0 ? roots.value : selfSigned;
  const path = pathToAnchor(issuer, others, anchors);
  if (path === undefined)
    return err(
      'the certificate in tls.crt does not chain to a trust anchor in ca.crt; check that both come from one CA',
    );
  for (const [depth, certificate] of path.entries()) {
    const problem = authorityProblem(certificate, depth, nowMs);
    if (problem !== undefined) return err(`certificate "${title(certificate)}": ${problem}`);
  }
  return ok({
    ca: { certificate: new x509.X509Certificate(Uint8Array.from(issuer.raw)), signing: key.value },
    chain: path.filter(certificate => !anchors.some(anchor => anchor.raw.equals(certificate.raw))),
    anchors,
    notBeforeMs: Math.max(...path.map(certificate => certificate.validFromDate.getTime())),
    notAfterMs: Math.min(...path.map(certificate => certificate.validToDate.getTime())),
  });
}

/** From the issuer to an anchor, both included; undefined when no signature leads there. */
function pathToAnchor(
  issuer: X509Certificate,
  others: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
): readonly X509Certificate[] | undefined {
  const path = [issuer];
  const unused = new Set(others);
  for (let current = issuer; ; ) {
    const here = current;
    if (anchors.some(anchor => anchor.raw.equals(here.raw))) return path;
    const anchor = anchors.find(candidate => issued(candidate, here));
    if (anchor !== undefined) return [...path, anchor];
    const parent = [...unused].find(candidate => issued(candidate, here));
    if (parent === undefined) return undefined;
    unused.delete(parent);
    path.push(parent);
    current = parent;
  }
}

function issued(parent: X509Certificate, child: X509Certificate): boolean {
  return child.checkIssued(parent) && child.verify(parent.publicKey);
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return issued(certificate, certificate);
}

/** `depth`: how many authorities stand below this one on the path (RFC 5280 4.2.1.9). */
function authorityProblem(certificate: X509Certificate, depth: number, nowMs: number): string | undefined {
  if (!certificate.ca) return 'it is no certificate authority (CA:TRUE is missing); set isCA: true on the Certificate';
  const details = new x509.X509Certificate(Uint8Array.from(certificate.raw));
  const pathLength = details.getExtension(x509.BasicConstraintsExtension)?.pathLength;
  if (pathLength !== undefined && pathLength < depth)
    return `its path length ${pathLength} allows no ${depth} authorities below it`;
  const usages = details.getExtension(x509.KeyUsagesExtension)?.usages;
  if (usages !== undefined && (usages & x509.KeyUsageFlags.keyCertSign) === 0)
    return 'its key usage does not allow to sign certificates';
  if (nowMs < certificate.validFromDate.getTime())
    return `it is not valid before ${certificate.validFromDate.toISOString()}`;
  if (nowMs >= certificate.validToDate.getTime())
    return `it expired at ${certificate.validToDate.toISOString()}; renew it`;
  return undefined;
}

function title(certificate: X509Certificate): string {
  return certificate.subject?.replaceAll('\n', ', ') ?? certificate.serialNumber;
}
