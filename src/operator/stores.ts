// Everything that the operator watches, as informers with their stores.
import type { ObjectKey } from '../kernel/index.ts';
import {
  CERTIFICATES,
  type Informer,
  mergedStore,
  type OperatorBaseOptions,
  OperatorBase,
  SECRETS,
  type Store,
  type WatchOptions,
} from '../kube/index.ts';
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
  readonly certManagerIssuers: Store<meshConfig.IssuerFacts>;
  readonly bundles: Store<trustBundle.BundleFacts>;
  readonly webhooks: webhookConfig.WebhookStores;
  readonly linkerdInjector: Store<webhookConfig.WebhookConfigurationFacts>;
}

export interface WatchingOperatorOptions extends OperatorBaseOptions {
  readonly namespace: string;
  /** Empty: all. */
  readonly watchNamespaces: readonly string[];
}

export class WatchingOperator extends OperatorBase {
  readonly #namespace: string;
  readonly #watched: readonly string[];
  #stores: Stores | undefined;

  constructor(options: WatchingOperatorOptions) {
    super(options);
    this.#namespace = options.namespace;
    this.#watched = options.watchNamespaces;
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
          : this.#watchedStore<SnapshotObject<SnapshotField>>({ type: kind, decode: DECODERS[kind.field] }),
      ]),
    );
    this.#stores = {
      // Every field has the store of its own decoder.
      snapshot: snapshot as unknown as Stores['snapshot'],
      meshConfigs: meshConfigs.store,
      issuerSecrets: this.watch({
        name: 'IssuerSecret',
        type: SECRETS,
        decode: meshConfig.decodeIssuerSecret,
        namespace,
        labelSelector: meshConfig.ISSUER_LABEL,
      }).store,
      certificates: this.watch({
        type: CERTIFICATES,
        decode: meshConfig.decodeCertificate,
        namespace,
        labelSelector: meshConfig.ISSUER_LABEL,
      }),
      certManagerIssuers: this.watch({
        type: meshConfig.ISSUERS,
        decode: meshConfig.decodeIssuer,
        namespace,
        labelSelector: meshConfig.ISSUER_LABEL,
      }).store,
      bundles: this.#watchedStore({
        name: 'TrustBundle',
        type: trustBundle.CONFIG_MAPS,
        decode: trustBundle.decodeBundle,
        ...only(trustBundle.BUNDLE_NAME),
      }),
      webhooks: {
        secrets: this.watch({
          name: 'WebhookSecret',
          type: SECRETS,
          decode: webhookConfig.decodeWebhookSecret,
          namespace,
          ...only(webhookConfig.WEBHOOK_SECRET),
        }).store,
        certificates: this.watch({
          name: 'WebhookCertificate',
          type: CERTIFICATES,
          decode: webhookConfig.decodeWebhookCertificate,
          namespace,
          ...only(webhookConfig.WEBHOOK_CERTIFICATE),
        }).store,
        mutating: this.#configuration(webhookConfig.MUTATING, webhookConfig.WEBHOOK_CONFIGURATION),
        validating: this.#configuration(webhookConfig.VALIDATING, webhookConfig.WEBHOOK_CONFIGURATION),
      },
      linkerdInjector: this.#configuration(webhookConfig.MUTATING, LINKERD_INJECTOR, 'LinkerdInjector'),
    };
    return Promise.resolve();
  }

  /** One watch for the whole cluster, or one in each namespace that is watched: rights may end there. */
  #watchedStore<T>(options: WatchOptions<T>): Store<T> {
    const { type, name = type.kind } = options;
    if (this.#watched.length === 0 || (!type.namespaced && type.kind !== 'Namespace')) return this.watch(options).store;
    return mergedStore(
      this.#watched.map(namespace => {
        const where = type.namespaced ? { namespace } : only(namespace);
        return this.watch({ ...options, name: `${name} ${namespace}`, ...where }).store;
      }),
    );
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

/**
 * Takes all stores in one tick. What did not change for compile is the very same object as in the snapshot before, and a kind in which nothing did
 * is the same Map: publications are incremental by identity, and a status write must not make everything new that depends on the object.
 */
export function createSnapshots(stores: Stores['snapshot']): () => Snapshot {
  const fields = {
    meshConfigs: steady(stores.meshConfigs),
    namespaces: steady(stores.namespaces),
    services: steady(stores.services),
    endpointSlices: steady(stores.endpointSlices),
    pods: steady(stores.pods),
    networkPolicies: steady(stores.networkPolicies),
    nodes: steady(stores.nodes),
    trafficPolicies: steady(stores.trafficPolicies),
    trafficSplits: steady(stores.trafficSplits),
    httpRouteGroups: steady(stores.httpRouteGroups),
    servers: steady(stores.servers),
    serverAuthorizations: steady(stores.serverAuthorizations),
  };
  return () => ({
    meshConfigs: fields.meshConfigs(),
    namespaces: fields.namespaces(),
    services: fields.services(),
    endpointSlices: fields.endpointSlices(),
    pods: fields.pods(),
    networkPolicies: fields.networkPolicies(),
    nodes: fields.nodes(),
    trafficPolicies: fields.trafficPolicies(),
    trafficSplits: fields.trafficSplits(),
    httpRouteGroups: fields.httpRouteGroups(),
    servers: fields.servers(),
    serverAuthorizations: fields.serverAuthorizations(),
  });
}

function steady<T extends object>(store: Pick<Store<T>, 'snapshot'>): () => ReadonlyMap<ObjectKey, T> {
  // Of each object in the store, the equal one that was taken first; asked once per object, not once per snapshot.
  const firsts = new WeakMap<T, T>();
  let seen: ReadonlyMap<ObjectKey, T> | undefined;
  let taken: ReadonlyMap<ObjectKey, T> = new Map();
  const firstOf = (key: ObjectKey, object: T): T => {
    const known = firsts.get(object);
    if (known !== undefined) return known;
    const before = taken.get(key);
    const first = before === undefined || concernsCompile(before, object) ? object : before;
    firsts.set(object, first);
    return first;
  };
  return () => {
    const stored = store.snapshot();
    if (stored === seen) return taken;
    seen = stored;
    const next = new Map(Array.from(stored, ([key, object]) => [key, firstOf(key, object)]));
    const same = next.size === taken.size && [...next].every(([key, object]) => taken.get(key) === object);
    if (!same) taken = next;
    return taken;
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
