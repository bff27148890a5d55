// The serving certificate and the webhook configurations, as this reconciler keeps them.
import { err, type ObjectKey, objectKey, ok, type Problem, type Result } from '../../kernel/index.ts';
import {
  CERTIFICATES,
  identityOf,
  isRecord,
  type RawObject,
  type ResourceType,
  wholeObject,
  SECRETS,
} from '../../kube/index.ts';

export const WEBHOOK_SECRET = 'weft-webhook-tls';
export const WEBHOOK_CERTIFICATE = 'weft-webhook';
export const WEBHOOK_CONFIGURATION = 'weft-webhooks';

const admission = (kind: string, plural: string): ResourceType => ({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural,
  kind,
  namespaced: false,
});
export const MUTATING = admission('MutatingWebhookConfiguration', 'mutatingwebhookconfigurations');
export const VALIDATING = admission('ValidatingWebhookConfiguration', 'validatingwebhookconfigurations');

/** CA and leaf with their keys, PEM. The keys are in memory only; never logged. */
export interface WebhookTls {
  /** The CA that signs, first; then former ones that are still to be trusted. */
  readonly caBundlePem: string;
  readonly caKeyPem: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface WebhookSecretFacts {
  readonly key: ObjectKey;
  readonly raw: RawObject;
  readonly tls: WebhookTls;
}

export interface WebhookCertificateFacts {
  readonly key: ObjectKey;
  readonly raw: RawObject;
}

export interface WebhookConfigurationFacts {
  readonly key: ObjectKey;
  readonly hooks: readonly { readonly name: string; readonly caBundle: string }[];
}

const record = (value: unknown): Readonly<Record<string, unknown>> => (isRecord(value) ? value : {});
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function unnamed(type: ResourceType): Result<never, Problem> {
  const object = objectKey({ group: type.group, kind: type.kind, namespace: '', name: '' });
  return err({
    object,
    path: 'metadata.name',
    reason: 'Invalid',
    message: `A ${type.kind} has no name.`,
    severity: 'error',
  });
}

export function decodeWebhookSecret(raw: unknown): Result<WebhookSecretFacts, Problem> {
  const identity = identityOf(SECRETS, raw);
  const object = wholeObject(SECRETS, raw);
  if (identity === undefined || object === undefined) return unnamed(SECRETS);
  const decoded = (field: string): string =>
    Buffer.from(text(record(object['data'])[field]), 'base64').toString('utf8');
  const tls = {
    caBundlePem: decoded('ca.crt'),
    caKeyPem: decoded('ca.key'),
    certificatePem: decoded('tls.crt'),
    privateKeyPem: decoded('tls.key'),
  };
  return ok({ key: identity.key, raw: object, tls });
}

export function decodeWebhookCertificate(raw: unknown): Result<WebhookCertificateFacts, Problem> {
  const identity = identityOf(CERTIFICATES, raw);
  const object = wholeObject(CERTIFICATES, raw);
  return identity === undefined || object === undefined
    ? unnamed(CERTIFICATES)
    : ok({ key: identity.key, raw: object });
}

export function decodeWebhookConfiguration(
  type: ResourceType,
): (raw: unknown) => Result<WebhookConfigurationFacts, Problem> {
  return raw => {
    const identity = identityOf(type, raw);
    if (identity === undefined) return unnamed(type);
    const { webhooks } = record(raw);
    const hooks = (Array.isArray(webhooks) ? webhooks : []).map(record).map(hook => ({
      name: text(hook['name']),
      caBundle: text(record(hook['clientConfig'])['caBundle']),
    }));
    return ok({ key: identity.key, hooks });
  };
}
