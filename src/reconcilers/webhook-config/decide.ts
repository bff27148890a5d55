// What is to be renewed, and which webhook configurations must learn of it. Pure: reading certificates has no effect.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readCertificates } from '../../identity/index.ts';
import type { WebhookConfigurationFacts, WebhookTls } from './facts.ts';

/** The one in force and those before it that are still to be trusted. */
const MAX_AUTHORITIES = 3;

export interface WebhookInput {
  readonly tls: WebhookTls | undefined;
  readonly dnsNames: readonly string[];
  readonly nowMs: number;
}

/** `ca`: a new CA and a leaf from it. `leaf`: a new leaf from the CA that is there. */
export type Renewal = 'none' | 'leaf' | 'ca';

export interface RenewalDecision {
  readonly renewal: Renewal;
  /** Why, for the log. */
  readonly reason: string;
  /** When the next renewal is due; 0 when one is due now. */
  readonly afterMs: number;
  /** End of the leaf; 0 when there is none. */
  readonly notAfterMs: number;
}

const due = (renewal: Renewal, reason: string): RenewalDecision => ({ renewal, reason, afterMs: 0, notAfterMs: 0 });

/** A certificate is renewed after two thirds of its life. */
function dueMs(certificate: X509Certificate): number {
  const fromMs = certificate.validFromDate.getTime();
  return fromMs + ((certificate.validToDate.getTime() - fromMs) * 2) / 3;
}

function belongs(certificate: X509Certificate, keyPem: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}

/** An ordered list of checks; the first that fails decides. */
export function decideRenewal({ tls, dnsNames, nowMs }: WebhookInput): RenewalDecision {
  if (tls === undefined) return due('ca', 'there is none');
  const bundle = readCertificates(tls.caBundlePem);
  const ca = bundle.ok ? bundle.value[0] : undefined;
  if (ca === undefined) return due('ca', 'ca.crt cannot be read');
  if (!belongs(ca, tls.caKeyPem)) return due('ca', 'ca.key does not belong to ca.crt');
  if (nowMs >= dueMs(ca)) return due('ca', 'the CA comes to its end');
  const leaves = readCertificates(tls.certificatePem);
  const leaf = leaves.ok ? leaves.value[0] : undefined;
  if (leaf === undefined) return due('leaf', 'tls.crt cannot be read');
  if (!belongs(leaf, tls.privateKeyPem)) return due('leaf', 'tls.key does not belong to tls.crt');
  if (!leaf.verify(ca.publicKey)) return due('leaf', 'tls.crt is not from ca.crt');
  const missing = dnsNames.find(name => leaf.checkHost(name) === undefined);
  if (missing !== undefined) return due('leaf', `the name ${missing} is missing`);
  if (nowMs >= dueMs(leaf)) return due('leaf', 'the certificate comes to its end');
  return {
    renewal: 'none',
    reason: '',
    afterMs: Math.min(dueMs(ca), dueMs(leaf)) - nowMs,
    notAfterMs: leaf.validToDate.getTime(),
  };
}

/** The certificate is cert-manager's: nothing is made here, what is there is looked at. */
export function foreignCertificate(
  tls: WebhookTls | undefined,
): { readonly trouble: string } | { readonly notAfterMs: number } {
  const [leaf] = certificatesOf(tls?.certificatePem ?? '');
  if (tls === undefined || leaf === undefined) return { trouble: 'cert-manager has not issued it yet' };
  const authorities = certificatesOf(tls.caBundlePem);
  if (authorities.length === 0)
    return { trouble: 'ca.crt is empty, so the API server could not trust it: use an issuer that fills ca.crt' };
  if (!belongs(leaf, tls.privateKeyPem)) return { trouble: 'tls.key does not belong to tls.crt' };
  return { notAfterMs: leaf.validToDate.getTime() };
}

/** What the API server is to trust: what is served now, and what was until it is replaced everywhere. Bounded to a few. */
export function widenedBundle(caPem: string, configurations: readonly WebhookConfigurationFacts[]): string {
  const wanted = certificatesOf(caPem);
  const held = configurations.flatMap(({ hooks }) =>
    hooks.flatMap(({ caBundle }) => certificatesOf(Buffer.from(caBundle, 'base64').toString('utf8'))),
  );
  const unique = new Map([...wanted, ...held].map(certificate => [certificate.fingerprint256, certificate]));
  return [...unique.values()]
    .slice(0, MAX_AUTHORITIES)
    .map(certificate => `${certificate.toString().trimEnd()}\n`)
    .join('');
}

/** Whether every hook of a configuration trusts each of these authorities. */
export function bundleCovers({ hooks }: WebhookConfigurationFacts, caPem: string): boolean {
  const wanted = certificatesOf(caPem).map(({ fingerprint256 }) => fingerprint256);
  return hooks.every(({ caBundle }) => {
    const held = new Set(
      certificatesOf(Buffer.from(caBundle, 'base64').toString('utf8')).map(({ fingerprint256 }) => fingerprint256),
    );
    return wanted.every(fingerprint => held.has(fingerprint));
  });
}

function certificatesOf(pem: string): readonly X509Certificate[] {
  const read = readCertificates(pem);
  return read.ok ? read.value : [];
}

/** Names of all hooks of a configuration when one of them does not carry the bundle; undefined when there is nothing to write. */
export function hooksToPatch(
  configuration: WebhookConfigurationFacts,
  caBundlePem: string,
): readonly string[] | undefined {
  const wanted = Buffer.from(caBundlePem).toString('base64');
  if (configuration.hooks.every(({ caBundle }) => caBundle === wanted)) return undefined;
  return configuration.hooks.map(({ name }) => name);
}
