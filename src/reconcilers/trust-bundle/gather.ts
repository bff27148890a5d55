// Everything that the bundle of one namespace depends on.
import { compareText, DEFAULT_MESH, MESH_LABEL, namespaceKey } from '../../kernel/index.ts';
import type { RawObject, Store } from '../../kube/index.ts';
import type { IssuerStore, NamespaceFacts, TrustInput } from '../../model/index.ts';
import { type BundleFacts, bundleKey } from './facts.ts';

export interface BundleInput {
  readonly namespace: string;
  /** Undefined: it is gone, or going. */
  readonly facts: NamespaceFacts | undefined;
  readonly mesh: string;
  /** Meshes of the proxies that run in it. */
  readonly running: readonly string[];
  /** Of those meshes that have an issuer. */
  readonly trust: ReadonlyMap<string, TrustInput>;
  readonly current: RawObject | undefined;
}

export interface GatherPorts {
  readonly namespaces: Store<NamespaceFacts>;
  readonly bundles: Store<BundleFacts>;
  readonly issuers: Pick<IssuerStore, 'trust'>;
  /** Number of pods with a proxy, by namespace, then mesh. */
  readonly proxies: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

export function gather(namespace: string, ports: GatherPorts): BundleInput {
  const facts = ports.namespaces.get(namespaceKey(namespace));
  return {
    namespace,
    facts,
    mesh: facts?.meta.labels[MESH_LABEL] ?? DEFAULT_MESH,
    running: [...(ports.proxies.get(namespace) ?? new Map<string, number>()).keys()].toSorted(compareText),
    trust: ports.issuers.trust(),
    current: ports.bundles.get(bundleKey(namespace))?.raw,
  };
}
