// The certificate that the HTTPS listeners (webhooks, operator API) show: whatever the Secret holds, on every replica.
import { objectKey } from '../../kernel/index.ts';
import type { Store } from '../../kube/index.ts';
import type { Unsubscribe } from '../../runtime/index.ts';
import { WEBHOOK_SECRET, type WebhookSecretFacts } from './facts.ts';

export interface ServingCertificate {
  /** Leaf first. */
  readonly certificatePem: string;
  /** PKCS#8; never logged. */
  readonly privateKeyPem: string;
}

export interface ServingSource {
  /** Undefined until the leader has made one. */
  current(): ServingCertificate | undefined;
  onChange(listener: () => void): Unsubscribe;
}

export function createServingSource(secrets: Store<WebhookSecretFacts>, namespace: string): ServingSource {
  const key = objectKey({ group: '', kind: 'Secret', namespace, name: WEBHOOK_SECRET });
  return {
    current: () => {
      const tls = secrets.get(key)?.tls;
      const usable = tls !== undefined && tls.certificatePem !== '' && tls.privateKeyPem !== '';
      return usable ? { certificatePem: tls.certificatePem, privateKeyPem: tls.privateKeyPem } : undefined;
    },
    onChange: listener => secrets.onChange(() => listener()),
  };
}
