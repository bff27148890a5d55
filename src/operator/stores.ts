// Everything that the operator watches, as informers with their stores.
import type { ObjectKey } from '../kernel/index.ts';
import { type Informer, type OperatorBaseOptions, OperatorBase, type Store } from '../kube/index.ts';
import { DECODERS, type Snapshot, type SnapshotField, type SnapshotObject, WATCHED_KINDS } from '../model/index.ts';
import * as meshConfig from '../reconcilers/mesh-config/index.ts';
import * as trustBundle from '../reconcilers/trust-bundle/index.ts';
import * as webhookConfig from '../reconcilers/webhook-config/index.ts';

/** Its presence means that `linkerd.io/inject` is not ours to read. */
const LINKERD_INJECTOR = 'linkerd-proxy-injector-webhook-config';

export interface Stores {
  readonly snapshot: { readonly [F in SnapshotField]: Store<SnapshotObject<F>> };
  readonly meshConfigs: Store<meshConfig.MeshConfigFacts>;
  readonly issuerSecrets: Store<meshConfig.IssuerSecretFacts>;
  readonly certificates: Informer<meshConfig.CertificateFacts>;
  readonly bundles: Store<trustBundle.BundleFacts>;
  readonly webhooks: webhookConfig.WebhookStores;
  readonly linkerdInjector: Store<webhookConfig.WebhookConfigurationFacts>;
}

export interface WatchingOperatorOptions extends OperatorBaseOptions {
  readonly namespace: string;
}

export class WatchingOperator extends OperatorBase {
  readonly #namespace: string;
  #stores: Stores | undefined;

  constructor(options: WatchingOperatorOptions) {
    super(options);
    this.#namespace = options.namespace;
  }

  /** After start(). */
  get stores(): Stores {
    if (this.#stores === undefined) throw new Error('the operator has not been started');
    return this.#stores;
  }

  protected override init(): Promise<void> {
    const namespace = this.#namespace;
    // The base class announces nothing that could fail: informers retry on their own.
    const meshConfigs = this.watch({ type: meshConfig.MESH_CONFIGS, decode: meshConfig.decodeMeshConfig });
    const snapshot = Object.fromEntries(
      WATCHED_KINDS.map(kind => [
        kind.field,
        kind.field === 'meshConfigs'
          ? meshConfigs.store
          : this.watch<SnapshotObject<SnapshotField>>({ type: kind, decode: DECODERS[kind.field] }).store,
      ]),
    );
    this.#stores = {
      // Every field has the store of its own decoder.
      snapshot: snapshot as unknown as Stores['snapshot'],
      meshConfigs: meshConfigs.store,
      issuerSecrets: this.watch({
        name: 'IssuerSecret',
        type: meshConfig.SECRETS,
        decode: meshConfig.decodeIssuerSecret,
        namespace,
        labelSelector: meshConfig.ISSUER_LABEL,
      }).store,
      certificates: this.watch({
        type: meshConfig.CERTIFICATES,
        decode: meshConfig.decodeCertificate,
        namespace,
        labelSelector: meshConfig.ISSUER_LABEL,
      }),
      bundles: this.watch({
        name: 'TrustBundle',
        type: trustBundle.CONFIG_MAPS,
        decode: trustBundle.decodeBundle,
        ...only(trustBundle.BUNDLE_NAME),
      }).store,
      webhooks: {
        secrets: this.watch({
          name: 'WebhookSecret',
          type: meshConfig.SECRETS,
          decode: webhookConfig.decodeWebhookSecret,
          namespace,
          ...only(webhookConfig.WEBHOOK_SECRET),
        }).store,
        mutating: this.#configuration(webhookConfig.MUTATING, webhookConfig.WEBHOOK_CONFIGURATION),
        validating: this.#configuration(webhookConfig.VALIDATING, webhookConfig.WEBHOOK_CONFIGURATION),
      },
      linkerdInjector: this.#configuration(webhookConfig.MUTATING, LINKERD_INJECTOR, 'LinkerdInjector'),
    };
    return Promise.resolve();
  }

  #configuration(
    type: typeof webhookConfig.MUTATING,
    object: string,
    name: string = type.kind,
  ): Store<webhookConfig.WebhookConfigurationFacts> {
    return this.watch({ type, name, decode: webhookConfig.decodeWebhookConfiguration(type), ...only(object) }).store;
  }
}

const only = (name: string): { readonly fieldSelector: string } => ({ fieldSelector: `metadata.name=${name}` });

/** All stores in one tick; a kind that did not change is the same Map as before. */
export function takeSnapshot(stores: Stores['snapshot']): Snapshot {
  return {
    meshConfigs: stores.meshConfigs.snapshot(),
    namespaces: stores.namespaces.snapshot(),
    services: stores.services.snapshot(),
    endpointSlices: stores.endpointSlices.snapshot(),
    pods: stores.pods.snapshot(),
    networkPolicies: stores.networkPolicies.snapshot(),
    nodes: stores.nodes.snapshot(),
    trafficSplits: stores.trafficSplits.snapshot(),
    httpRouteGroups: stores.httpRouteGroups.snapshot(),
    servers: stores.servers.snapshot(),
    serverAuthorizations: stores.serverAuthorizations.snapshot(),
  };
}

/**
 * Whether compile could come to another result. Status writes (ours among them), heartbeats and counters change an object's resource version and
 * nothing that compile reads; they must not cost a publication.
 */
export function concernsCompile(before: object | undefined, after: object | undefined): boolean {
  if (before === undefined || after === undefined) return true;
  return readByCompile(before) !== readByCompile(after);
}

interface Facts {
  readonly meta?: object;
  readonly conditions?: unknown;
  readonly identity?: unknown;
}

function readByCompile(facts: Facts): string {
  return JSON.stringify({
    ...facts,
    meta: { ...facts.meta, resourceVersion: '' },
    conditions: undefined,
    identity: undefined,
  });
}

/** Calls back on every change that compile could see. */
export function onCompileInput(stores: Stores['snapshot'], listener: () => void): void {
  for (const store of Object.values(stores) as readonly Store<{ readonly key: ObjectKey }>[]) {
    store.onChange(({ before, after }) => {
      if (concernsCompile(before, after)) listener();
    });
  }
}
