// What is to be renewed, and which webhook configurations must learn of it. Pure: reading certificates has no effect.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readCertificates } from '../../identity/index.ts';
import type { WebhookConfigurationFacts, WebhookTls } from './facts.ts';

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

/** Names of all hooks of a configuration when one of them does not carry the bundle; undefined when there is nothing to write. */
export function hooksToPatch(
  configuration: WebhookConfigurationFacts,
  caBundlePem: string,
): readonly string[] | undefined {
  const wanted = Buffer.from(caBundlePem).toString('base64');
  if (configuration.hooks.every(({ caBundle }) => caBundle === wanted)) return undefined;
  return configuration.hooks.map(({ name }) => name);
}
