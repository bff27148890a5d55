// Trust bundle: ConfigMap `weft-trust` in every meshed namespace: ca.crt, the roots of the namespace's mesh, for applications that want to verify the
// mesh themselves, and mesh.<name>.crt for each mesh that has proxies there, which is what those read. Root kind
// Namespace; pods and the ConfigMaps map to it. A namespace is meshed when injection is enabled on it or a pod in it has a proxy. Owns those
// ConfigMaps (marked by a label), sets no condition. RBAC: rbac.ts. Imports L0 to L3.
import { ApiError, type Store, type WriteGate, type Writer } from '../../kube/index.ts';
import type { IssuerStore, NamespaceFacts, PodFacts } from '../../model/index.ts';
import { type Clock, type Controller, createController, done, type Logger, type Metrics } from '../../runtime/index.ts';
import { decide } from './decide.ts';
import { BUNDLE_NAME, type BundleFacts, CONFIG_MAPS } from './facts.ts';
import { gather } from './gather.ts';
import { namespaceOfBundle, namespaceOfNamespace, proxyOfPod } from './map.ts';

export { BUNDLE_NAME, type BundleFacts, CONFIG_MAPS, decodeBundle } from './facts.ts';
export { rbac } from './rbac.ts';

export interface TrustBundleReconcilerOptions {
  readonly namespaces: Store<NamespaceFacts>;
  readonly pods: Store<PodFacts>;
  readonly bundles: Store<BundleFacts>;
  readonly issuers: Pick<IssuerStore, 'trust' | 'onChange'>;
  readonly gate: WriteGate;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
}

export interface TrustBundleReconciler {
  readonly controller: Controller;
  /** Looks at every namespace again, e.g. after becoming leader. */
  resync(): void;
}

export function createTrustBundleReconciler(options: TrustBundleReconcilerOptions): TrustBundleReconciler {
  const { namespaces, pods, bundles, issuers, gate, writer, clock, log, metrics, random } = options;
  const proxies = new Map<string, Map<string, number>>();

  const controller = createController({
    name: 'trust-bundle',
    clock,
    log,
    metrics,
    random,
    reconcile: async (namespace, { signal }) => {
      if (!gate.mayWrite()) return done;
      const input = gather(namespace, { namespaces, bundles, issuers, proxies });
      const decision = decide(input);
      try {
        if (decision.kind === 'apply')
          await writer.apply(CONFIG_MAPS, decision.desired, { current: input.current, signal });
        if (decision.kind === 'remove')
          await writer.remove(CONFIG_MAPS, { namespace, name: BUNDLE_NAME, uid: decision.uid }, signal);
      } catch (thrown) {
        // Nothing can be made in a namespace that is being deleted; trying again would only fill the log until it is gone.
        if (!(thrown instanceof ApiError && thrown.status === 403 && /being terminated/.test(thrown.message)))
          throw thrown;
      }
      return done;
    },
  });

  // Counted as pods come and go, because looking through all pods for every namespace would not scale.
  function count(pod: PodFacts | undefined, by: number): void {
    const proxy = pod === undefined ? undefined : proxyOfPod(pod);
    if (proxy === undefined) return;
    const { namespace, mesh } = proxy;
    const meshes = proxies.get(namespace) ?? new Map<string, number>();
    const next = (meshes.get(mesh) ?? 0) + by;
    if (next === 0) meshes.delete(mesh);
    else meshes.set(mesh, next);
    if (meshes.size === 0) proxies.delete(namespace);
    else proxies.set(namespace, meshes);
    // Only the first and the last pod of a mesh change the answer.
    if (next === 0 || (next === 1 && by > 0)) controller.enqueue(namespace);
  }

  function resync(): void {
    for (const facts of namespaces.snapshot().values()) controller.enqueue(facts.meta.name, 'low');
  }

  for (const pod of pods.snapshot().values()) count(pod, 1);
  pods.onChange(({ before, after }) => {
    // The new one first, so that an update never passes through zero.
    count(after, 1);
    count(before, -1);
  });
  namespaces.onChange(({ before, after }) => {
    for (const facts of [before, after]) if (facts !== undefined) controller.enqueue(namespaceOfNamespace(facts));
  });
  bundles.onChange(({ before, after }) => {
    for (const facts of [before, after]) if (facts !== undefined) controller.enqueue(namespaceOfBundle(facts));
  });
  issuers.onChange(resync);
  return { controller, resync };
}
