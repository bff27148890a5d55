// Webhook configuration: the serving certificate (Secret `weft-webhook-tls`: CA and leaf, made and renewed by us, or by cert-manager through the
// Certificate `weft-webhook`) and its CA in the caBundle of the
// Mutating- and ValidatingWebhookConfiguration `weft-webhooks`. One key, `webhooks`. Sets no condition. The configurations themselves belong to the
// chart. RBAC: rbac.ts. Imports L0 to L3.
import { CERTIFICATES, type WriteGate, type Writer } from '../../kube/index.ts';
import {
  type Clock,
  type Controller,
  createController,
  done,
  type Logger,
  type Metrics,
  requeueAfter,
} from '../../runtime/index.ts';
import { apply, patchConfigurations } from './apply.ts';
import { desiredCertificate, type WebhookIssuer } from './certificate.ts';
import { decideRenewal, foreignCertificate, widenedBundle } from './decide.ts';
import { gather, type WebhookStores } from './gather.ts';

export {
  decodeWebhookCertificate,
  decodeWebhookConfiguration,
  decodeWebhookSecret,
  MUTATING,
  VALIDATING,
  WEBHOOK_CERTIFICATE,
  WEBHOOK_CONFIGURATION,
  WEBHOOK_SECRET,
  type WebhookCertificateFacts,
  type WebhookConfigurationFacts,
  type WebhookSecretFacts,
} from './facts.ts';
export type { WebhookStores } from './gather.ts';
export { rbac } from './rbac.ts';
export { createServingSource, type ServingCertificate, type ServingSource } from './serving.ts';

const KEY = 'webhooks';
/** How long the store is given to show the Secret that was just written. */
const LAG_MS = 5_000;
const LONGEST_WAIT_MS = 6 * 3_600_000;

export interface WebhookConfigReconcilerOptions {
  readonly stores: WebhookStores;
  readonly namespace: string;
  /** Of the Service, in all forms that callers use. */
  readonly dnsNames: readonly string[];
  /** Whose certificate is used; undefined: one of our own. */
  readonly issuer: WebhookIssuer | undefined;
  readonly gate: WriteGate;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
}

export interface WebhookConfigReconciler {
  readonly controller: Controller;
  resync(): void;
}

export function createWebhookConfigReconciler(options: WebhookConfigReconcilerOptions): WebhookConfigReconciler {
  const { stores, namespace, dnsNames, issuer, gate, writer, clock, log, metrics, random } = options;
  const expiry = metrics.gauge({
    name: 'weft_certificate_expiry_timestamp_seconds',
    help: 'Unix time at which a certificate ends.',
    labelNames: ['certificate'],
    zero: [{ certificate: 'webhook' }],
  });
  let written = { certificatePem: '', untilMs: 0 };
  const controller = createController({
    name: 'webhook-config',
    clock,
    log,
    metrics,
    random,
    reconcile: async (_key, { signal, log: runLog }) => {
      if (!gate.mayWrite()) return done;
      const state = gather(stores, namespace);
      if (issuer !== undefined) {
        const desired = desiredCertificate({ namespace, issuer, dnsNames });
        await writer.apply(CERTIFICATES, desired, { current: state.certificate?.raw, signal });
        const found = foreignCertificate(state.secret?.tls);
        if ('trouble' in found) runLog.warn('webhook certificate is not usable', { reason: found.trouble });
        else {
          expiry.set(found.notAfterMs / 1000, { certificate: 'webhook' });
          const bundle = widenedBundle(
            state.secret?.tls.caBundlePem ?? '',
            state.configurations.map(({ facts }) => facts),
          );
          await patchConfigurations(state, bundle, { writer, signal });
        }
        return requeueAfter(LONGEST_WAIT_MS);
      }
      const nowMs = clock.nowMs();
      // Deciding on a store that lags behind would make a second certificate.
      const lags = state.secret?.tls.certificatePem !== written.certificatePem;
      if (lags && nowMs < written.untilMs) return requeueAfter(200);
      const { renewal, reason, afterMs, notAfterMs } = decideRenewal({ tls: state.secret?.tls, dnsNames, nowMs });
      if (renewal !== 'none') runLog.info('webhook certificate is made', { renewal, reason });
      expiry.set(notAfterMs / 1000, { certificate: 'webhook' });
      const tls = await apply({ state, renewal, namespace, dnsNames, nowMs, writer, signal });
      if (renewal !== 'none') written = { certificatePem: tls?.certificatePem ?? '', untilMs: nowMs + LAG_MS };
      return requeueAfter(Math.max(1_000, Math.min(afterMs, LONGEST_WAIT_MS)));
    },
  });
  const resync = (): void => controller.enqueue(KEY);
  for (const store of [stores.secrets, stores.certificates, stores.mutating, stores.validating]) store.onChange(resync);
  return { controller, resync };
}
