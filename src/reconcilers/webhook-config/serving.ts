// The certificate that the HTTPS listeners (webhooks, operator API) show, on every replica: what the Secret holds, as soon as the API server trusts it.
// cert-manager overwrites its Secret in place, and a certificate of a CA that no configuration names yet would fail every call.
import { objectKey } from '../../kernel/index.ts';
import type { Unsubscribe } from '../../runtime/index.ts';
import { MUTATING, VALIDATING, WEBHOOK_CONFIGURATION, WEBHOOK_SECRET, type WebhookTls } from './facts.ts';
import { bundleCovers } from './decide.ts';
import type { WebhookStores } from './gather.ts';

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

export function createServingSource(
  stores: {
    readonly [K in 'secrets' | 'mutating' | 'validating']: Pick<WebhookStores[K], 'get' | 'onChange'>;
  },
  namespace: string,
): ServingSource {
  const key = objectKey({ group: '', kind: 'Secret', namespace, name: WEBHOOK_SECRET });
  let served: ServingCertificate | undefined;

  /** Whether everybody who calls would believe it; a configuration that is not there calls nobody. */
  function trusted(tls: WebhookTls): boolean {
    const configurations = [
      stores.mutating.get(configurationKey(MUTATING)),
      stores.validating.get(configurationKey(VALIDATING)),
    ];
    return configurations.every(facts => facts === undefined || bundleCovers(facts, tls.caBundlePem));
  }

  return {
    current: () => {
      const tls = stores.secrets.get(key)?.tls;
      const usable = tls !== undefined && tls.certificatePem !== '' && tls.privateKeyPem !== '';
      if (!usable || (served !== undefined && !trusted(tls))) return served;
      served = { certificatePem: tls.certificatePem, privateKeyPem: tls.privateKeyPem };
      return served;
    },
    onChange: listener => {
      const subscriptions = [stores.secrets, stores.mutating, stores.validating].map(store =>
        store.onChange(() => listener()),
      );
      return () => {
        for (const unsubscribe of subscriptions) unsubscribe();
      };
    },
  };
}

function configurationKey({ group, kind }: typeof MUTATING): ReturnType<typeof objectKey> {
  return objectKey({ group, kind, namespace: '', name: WEBHOOK_CONFIGURATION });
}
