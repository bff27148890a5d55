// The parts that write to the cluster, each with a field manager of its own, behind the write gate.
import type { Identity } from '../identity/index.ts';
import {
  type ApiClient,
  createEventRecorder,
  createStatusWriter,
  createWriter,
  type WriteGate,
} from '../kube/index.ts';
import { type ProxyRegistry, type Snapshot, WATCHED_KINDS } from '../model/index.ts';
import { withEvents } from '../reconcilers/condition-events.ts';
import { createMeshConfigReconciler, rotatingProxies } from '../reconcilers/mesh-config/index.ts';
import type { Publisher } from '../reconcilers/publisher/index.ts';
import { createStatusReconciler, type StatusKind } from '../reconcilers/status/index.ts';
import { createTrustBundleReconciler } from '../reconcilers/trust-bundle/index.ts';
import { createUnmeshedReconciler } from '../reconcilers/unmeshed/index.ts';
import { createWebhookConfigReconciler } from '../reconcilers/webhook-config/index.ts';
import type { Clock, Controller, Logger, Metrics } from '../runtime/index.ts';
import type { Options, Part } from './options.ts';
import type { Stores } from './stores.ts';

export interface ReconcilersOptions {
  readonly options: Options;
  readonly client: ApiClient;
  readonly stores: Stores;
  readonly identity: Identity;
  readonly publisher: Publisher;
  readonly registry: ProxyRegistry;
  readonly snapshot: () => Snapshot;
  readonly gate: WriteGate;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
}

interface Reconciler {
  readonly controller: Controller;
  resync(): void;
}

/** All names by which the API server and people call the operator's HTTPS ports. */
function serviceNames({
  serviceName,
  namespace,
  clusterDomain,
}: Pick<Options, 'serviceName' | 'namespace' | 'clusterDomain'>): readonly string[] {
  const base = `${serviceName}.${namespace}`;
  return [`${base}.svc`, `${base}.svc.${clusterDomain}`, base, serviceName];
}

function statusKinds(stores: Stores): readonly StatusKind[] {
  return WATCHED_KINDS.filter(({ hasConditions }) => hasConditions).map(kind => ({
    type: kind,
    // Kinds with conditions are those that decode to a CustomObject.
    store: stores.snapshot[kind.field] as StatusKind['store'],
  }));
}

export function createReconcilers(options: ReconcilersOptions): readonly Reconciler[] {
  const { client, stores, identity, publisher, registry, gate, clock, log, metrics, random } = options;
  const { controllers, namespace } = options.options;
  const common = { gate, clock, log, metrics, random };
  const writer = (fieldManager: string) => createWriter({ client, fieldManager, gate, log, metrics });
  const events = createEventRecorder({ client, gate, clock, log, metrics, instance: options.options.podName });
  const status = (fieldManager: string) =>
    withEvents(createStatusWriter({ client, fieldManager, gate, clock, metrics }), events);
  const factories: Readonly<Partial<Record<Part, () => Reconciler>>> = {
    status: () =>
      createStatusReconciler({
        ...common,
        kinds: statusKinds(stores),
        plans: () => publisher.current()?.statuses ?? new Map(),
        onPublish: listener => void publisher.onPublish(listener),
        registry,
        status: status('weft-status'),
      }),
    'trust-bundle': () =>
      createTrustBundleReconciler({
        ...common,
        namespaces: stores.snapshot.namespaces,
        pods: stores.snapshot.pods,
        bundles: stores.bundles,
        issuers: identity.issuers,
        writer: writer('weft-trust-bundle'),
      }),
    'mesh-config': () =>
      createMeshConfigReconciler({
        ...common,
        stores: {
          meshConfigs: stores.meshConfigs,
          secrets: stores.issuerSecrets,
          certificates: stores.certificates.store,
          issuers: stores.certManagerIssuers,
        },
        certManagerPresent: () => !stores.certificates.health().absent,
        onCertManager: listener => void stores.certificates.onAbsence(listener),
        controlNamespace: namespace,
        proxies: (mesh, caPem) =>
          rotatingProxies(
            { registry, config: publisher, pods: () => stores.snapshot.pods.snapshot().values() },
            mesh,
            caPem,
          ),
        writer: writer('weft-mesh-config'),
        status: status('weft-mesh-config'),
      }),
    'webhook-config': () =>
      createWebhookConfigReconciler({
        ...common,
        stores: stores.webhooks,
        namespace,
        dnsNames: serviceNames(options.options),
        issuer: options.options.webhookIssuer,
        writer: writer('weft-webhook-config'),
      }),
    unmeshed: () =>
      createUnmeshedReconciler({
        ...common,
        snapshot: options.snapshot,
        onPublish: listener => void publisher.onPublish(listener),
        controlNamespace: namespace,
        evict: options.options.evictUnmeshed,
        client,
      }),
  };
  const made: Reconciler[] = [];
  for (const part of controllers) {
    const reconciler = factories[part]?.();
    if (reconciler !== undefined) made.push(reconciler);
  }
  return made;
}
