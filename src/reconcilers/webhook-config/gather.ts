// The Secret and the two configurations, read from the stores in one go.
import { objectKey } from '../../kernel/index.ts';
import { CERTIFICATES, type ResourceType, type Store } from '../../kube/index.ts';
import {
  MUTATING,
  VALIDATING,
  WEBHOOK_CERTIFICATE,
  type WebhookCertificateFacts,
  WEBHOOK_CONFIGURATION,
  WEBHOOK_SECRET,
  type WebhookConfigurationFacts,
  type WebhookSecretFacts,
} from './facts.ts';

export interface WebhookStores {
  readonly secrets: Store<WebhookSecretFacts>;
  readonly certificates: Store<WebhookCertificateFacts>;
  readonly mutating: Store<WebhookConfigurationFacts>;
  readonly validating: Store<WebhookConfigurationFacts>;
}

export interface WebhookState {
  readonly secret: WebhookSecretFacts | undefined;
  readonly certificate: WebhookCertificateFacts | undefined;
  /** Those that exist. */
  readonly configurations: readonly { readonly type: ResourceType; readonly facts: WebhookConfigurationFacts }[];
}

export function gather(stores: WebhookStores, namespace: string): WebhookState {
  const configuration = (type: ResourceType, store: Store<WebhookConfigurationFacts>) => {
    const facts = store.get(
      objectKey({ group: type.group, kind: type.kind, namespace: '', name: WEBHOOK_CONFIGURATION }),
    );
    return facts === undefined ? [] : [{ type, facts }];
  };
  return {
    secret: stores.secrets.get(objectKey({ group: '', kind: 'Secret', namespace, name: WEBHOOK_SECRET })),
    certificate: stores.certificates.get(
      objectKey({ group: CERTIFICATES.group, kind: 'Certificate', namespace, name: WEBHOOK_CERTIFICATE }),
    ),
    configurations: [...configuration(MUTATING, stores.mutating), ...configuration(VALIDATING, stores.validating)],
  };
}
