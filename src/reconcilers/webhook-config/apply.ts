// Makes what was decided and writes it: first the configurations learn of a new CA, then the servers get certificates from it.
import { issueServerCertificate, makeCa } from '../../identity/index.ts';
import { apiVersionOf, type RawObject, SECRETS, type Writer } from '../../kube/index.ts';
import { hooksToPatch, type Renewal } from './decide.ts';
import { WEBHOOK_CONFIGURATION, WEBHOOK_SECRET, type WebhookTls } from './facts.ts';
import type { WebhookState } from './gather.ts';

const DAY_MS = 86_400_000;
const CA_LIFE_MS = 3_650 * DAY_MS;
const LEAF_LIFE_MS = 90 * DAY_MS;

export interface ApplyOptions {
  readonly state: WebhookState;
  readonly renewal: Renewal;
  readonly namespace: string;
  readonly dnsNames: readonly string[];
  readonly nowMs: number;
  readonly writer: Writer;
  readonly signal: AbortSignal;
}

/** Has the configurations trust `caBundlePem`. */
export async function patchConfigurations(
  state: WebhookState,
  caBundlePem: string,
  { writer, signal }: { readonly writer: Writer; readonly signal: AbortSignal },
): Promise<void> {
  for (const { type, facts } of state.configurations) {
    const names = hooksToPatch(facts, caBundlePem);
    if (names === undefined) continue;
    const caBundle = Buffer.from(caBundlePem).toString('base64');
    const desired = {
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      metadata: { name: WEBHOOK_CONFIGURATION },
      webhooks: names.map(name => ({ name, clientConfig: { caBundle } })),
    };
    // The configuration is the chart's; only these fields are ours.
    await writer.apply(type, desired, { current: undefined, signal, annotate: false });
  }
}

/** Returns the certificate that is in force now; undefined while there is none. */
export async function apply(options: ApplyOptions): Promise<WebhookTls | undefined> {
  const { state, renewal, writer, signal } = options;
  const tls = renewal === 'none' ? state.secret?.tls : await renew(options);
  if (tls === undefined) return undefined;
  await patchConfigurations(state, tls.caBundlePem, { writer, signal });
  if (renewal !== 'none') {
    await writer.apply(SECRETS, secretOf(options.namespace, tls), { current: state.secret?.raw, signal });
  }
  return tls;
}

async function renew({ state, renewal, dnsNames, nowMs }: ApplyOptions): Promise<WebhookTls> {
  const held = state.secret?.tls;
  const fresh = renewal === 'ca' || held === undefined;
  const ca = fresh
    ? await makeCa({ commonName: 'weft webhooks', pathLength: 0, nowMs, validForMs: CA_LIFE_MS })
    : { certificatePem: firstOf(held.caBundlePem), privateKeyPem: held.caKeyPem };
  const leaf = await issueServerCertificate(ca, { dnsNames, nowMs, validForMs: LEAF_LIFE_MS });
  // One former CA stays trusted: replicas that have not seen the new Secret yet still serve a leaf of it.
  const former = fresh ? firstOf(held?.caBundlePem ?? '') : held.caBundlePem.slice(ca.certificatePem.length);
  return { caBundlePem: ca.certificatePem + former, caKeyPem: ca.privateKeyPem, ...leaf };
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n?/;

function firstOf(bundlePem: string): string {
  return CERTIFICATE.exec(bundlePem)?.[0] ?? '';
}

function secretOf(namespace: string, tls: WebhookTls): RawObject {
  const base64 = (value: string): string => Buffer.from(value).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: WEBHOOK_SECRET, namespace, labels: { 'app.kubernetes.io/managed-by': 'weft-operator' } },
    type: 'kubernetes.io/tls',
    data: {
      'ca.crt': base64(tls.caBundlePem),
      'ca.key': base64(tls.caKeyPem),
      'tls.crt': base64(tls.certificatePem),
      'tls.key': base64(tls.privateKeyPem),
    },
  };
}
