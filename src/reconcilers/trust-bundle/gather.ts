// Everything that the bundle of one namespace depends on.
import { DEFAULT_MESH, MESH_LABEL, namespaceKey } from '../../kernel/index.ts';
import type { RawObject, Store } from '../../kube/index.ts';
import type { IssuerStore, NamespaceFacts, TrustInput } from '../../model/index.ts';
import { type BundleFacts, bundleKey } from './facts.ts';

export interface BundleInput {
  readonly namespace: string;
  /** Undefined: it is gone, or going. */
  readonly facts: NamespaceFacts | undefined;
  readonly hasProxies: boolean;
  /** Of the namespace's mesh; undefined while that has no issuer. */
  readonly trust: TrustInput | undefined;
  readonly current: RawObject | undefined;
}

export interface GatherPorts {
  readonly namespaces: Store<NamespaceFacts>;
  readonly bundles: Store<BundleFacts>;
  readonly issuers: Pick<IssuerStore, 'trust'>;
  /** Number of pods with a proxy, by namespace. */
  readonly proxies: ReadonlyMap<string, number>;
}

export function gather(namespace: string, ports: GatherPorts): BundleInput {
  const facts = ports.namespaces.get(namespaceKey(namespace));
  const mesh = facts?.meta.labels[MESH_LABEL] ?? DEFAULT_MESH;
  return {
    namespace,
    facts,
    hasProxies: (ports.proxies.get(namespace) ?? 0) > 0,
    trust: ports.issuers.trust().get(mesh),
    current: ports.bundles.get(bundleKey(namespace))?.raw,
  };
}
