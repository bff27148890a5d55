import {
  compareText,
  DEFAULT_MESH,
  formatAddress,
  MESH_LABEL,
  namespaceKey,
  nodeKey,
  type ObjectKey,
  PROXY_LABEL,
  serviceKey,
  setting,
  type SettingName,
  sortedUnique,
} from '../../kernel/index.ts';
import type {
  EndpointSliceFacts,
  NetworkPolicyFacts,
  NodeFacts,
  ObjectMeta,
  PodFacts,
  ServiceFacts,
  Snapshot,
} from '../../model/index.ts';
import type { CompileOptions } from '../options.ts';
import { once, onceForBoth } from '../once.ts';
import { byPrecedence } from '../order.ts';
import {
  type Grant,
  type Mesh,
  parseMeshConfig,
  parseServer,
  parseServerAuthorization,
  parseTrafficPolicy,
  type ServerRule,
  type Traffic,
} from '../parse/index.ts';
import { mutualTrust } from './trust.ts';

/** The snapshot with the indexes that later stages look things up in. Lists are in order of precedence. */
export interface World {
  readonly snapshot: Snapshot;
  readonly options: CompileOptions;
  readonly meshes: ReadonlyMap<string, Mesh>;
  /** By mesh: the others that it trusts and that trust it, by name. */
  readonly peers: ReadonlyMap<string, readonly Mesh[]>;
  /** Pods that own their address now: not of the host's network, not finished. */
  readonly podsByIp: ReadonlyMap<string, PodFacts>;
  /** By cluster IP. */
  readonly servicesByIp: ReadonlyMap<string, ServiceFacts>;
  /** By `ip:port`, for addresses that the cluster did not hand out. */
  readonly servicesByExternalAddress: ReadonlyMap<string, ServiceFacts>;
  readonly nodesByIp: ReadonlyMap<string, NodeFacts>;
  readonly pods: ReadonlyMap<string, readonly PodFacts[]>;
  readonly services: ReadonlyMap<string, readonly ServiceFacts[]>;
  readonly servers: ReadonlyMap<string, readonly ServerRule[]>;
  readonly grants: ReadonlyMap<string, readonly Grant[]>;
  /** Only those that restrict what comes in. */
  readonly networkPolicies: ReadonlyMap<string, readonly NetworkPolicyFacts[]>;
  /** The one that holds for each Service: of those that name it, the first by precedence. */
  readonly traffic: ReadonlyMap<ObjectKey, Traffic>;
  readonly slices: ReadonlyMap<ObjectKey, readonly EndpointSliceFacts[]>;
  /** Those of Services without a selector, by namespace. */
  readonly handWritten: ReadonlyMap<string, readonly EndpointSliceFacts[]>;
}

export function worldOf(snapshot: Snapshot, options: CompileOptions): World {
  const { services } = snapshot;
  const meshes = meshesOf(snapshot.meshConfigs);
  return {
    snapshot,
    options,
    meshes,
    peers: trustBetween(meshes),
    podsByIp: podsByIp(snapshot.pods),
    servicesByIp: servicesByIp(services),
    servicesByExternalAddress: servicesByExternalAddress(services),
    nodesByIp: nodesByIp(snapshot.nodes),
    pods: podsOf(snapshot.pods),
    services: servicesOf(services),
    servers: serversOf(snapshot.servers),
    grants: grantsByNamespace(snapshot.serverAuthorizations),
    networkPolicies: restricting(snapshot.networkPolicies),
    traffic: trafficByService(snapshot.trafficPolicies),
    slices: slicesOf(snapshot.endpointSlices).byService,
    handWritten: handWritten(snapshot.endpointSlices, services),
  };
}

const meshesOf = once((objects: Snapshot['meshConfigs']): ReadonlyMap<string, Mesh> => {
  const meshes = [...objects.values()].map(object => parseMeshConfig(object).value).filter(mesh => mesh !== undefined);
  return new Map(meshes.map(mesh => [mesh.name, mesh]));
});

const trustBetween = once(mutualTrust);

const podsByIp = once((pods: Snapshot['pods']) => youngestBy(pods.values(), addressesOwned));
const servicesByIp = once((services: Snapshot['services']) =>
  youngestBy(services.values(), service => service.clusterIps),
);
const servicesByExternalAddress = once((services: Snapshot['services']) =>
  firstBy(services.values(), ({ externalIps, ports }) =>
    externalIps.flatMap(ip => ports.map(({ port }) => formatAddress(ip, port))),
  ),
);
const nodesByIp = once((nodes: Snapshot['nodes']) => youngestBy(nodes.values(), node => node.ips));
const podsOf = once((pods: Snapshot['pods']) => grouped(pods.values(), pod => pod.meta.namespace));
const servicesOf = once((services: Snapshot['services']) =>
  grouped(services.values(), service => service.meta.namespace),
);

const serversOf = once((objects: Snapshot['servers']) => {
  const rules = [...objects.values()].map(object => parseServer(object).value).filter(rule => rule !== undefined);
  return grouped(
    rules.toSorted((left, right) => byPrecedence(left.object.meta, right.object.meta)),
    rule => rule.object.meta.namespace,
  );
});

const grantsByNamespace = once((objects: Snapshot['serverAuthorizations']) => {
  const grants = [...objects.values()]
    .map(object => parseServerAuthorization(object).value)
    .filter(grant => grant !== undefined);
  return grouped(
    grants.toSorted((left, right) => byPrecedence(left.object.meta, right.object.meta)),
    grant => grant.object.meta.namespace,
  );
});

const restricting = once((policies: Snapshot['networkPolicies']) =>
  grouped(
    [...policies.values()].filter(policy => policy.ingress),
    policy => policy.meta.namespace,
  ),
);

const slicesOf = once((slices: Snapshot['endpointSlices']) => {
  const sorted = [...slices.values()]
    .filter(slice => slice.service !== '')
    .toSorted((left, right) => compareText(left.key, right.key));
  return { sorted, byService: grouped(sorted, slice => serviceKey(slice.meta.namespace, slice.service)) };
});

/** The very same while there are none, which is the usual case. */
const NONE_WRITTEN: World['handWritten'] = new Map();

const handWritten = onceForBoth((slices: Snapshot['endpointSlices'], services: Snapshot['services']) => {
  const written = slicesOf(slices).sorted.filter(slice => {
    const service = services.get(serviceKey(slice.meta.namespace, slice.service));
    return service !== undefined && Object.keys(service.selector).length === 0;
  });
  return written.length === 0 ? NONE_WRITTEN : grouped(written, slice => slice.meta.namespace);
});

/** The mesh whose proxy the pod carries; undefined: none, or one that is not configured. */
export function meshOfPod(world: World, pod: PodFacts): Mesh | undefined {
  return world.meshes.get(pod.meta.labels[PROXY_LABEL] ?? '');
}

/** The mesh of the pod as a proxy of `mesh` sees it; undefined: the pod counts as unmeshed. */
export function trustedMeshOf(world: World, mesh: Mesh, pod: PodFacts): Mesh | undefined {
  const other = meshOfPod(world, pod);
  if (other === undefined || other.name === mesh.name) return other;
  return peersOf(world, mesh).find(peer => peer.name === other.name);
}

/** The mesh that new pods of a namespace get; those that run keep the one that they were injected with. */
export function meshOfNamespace(world: World, namespace: string): string {
  return world.snapshot.namespaces.get(namespaceKey(namespace))?.meta.labels[MESH_LABEL] ?? DEFAULT_MESH;
}

/**
 * Meshes in which pods of a namespace can have identities now, sorted, with commas between: its own, and those of proxies that still run there.
 */
export function meshesIn(world: World, namespace: string): string {
  const running = (world.pods.get(namespace) ?? []).map(pod => pod.meta.labels[PROXY_LABEL] ?? '');
  return sortedUnique([meshOfNamespace(world, namespace), ...running].filter(name => name !== '')).join();
}

export function peersOf(world: World, mesh: Mesh): readonly Mesh[] {
  return world.peers.get(mesh.name) ?? [];
}

/** A setting of a pod: its own annotation, else that of its namespace. */
export function podSetting(world: World, pod: PodFacts, name: SettingName): string | undefined {
  return setting(pod.meta.annotations, name) ?? namespaceSetting(world, pod.meta.namespace, name);
}

export function namespaceSetting(world: World, namespace: string, name: SettingName): string | undefined {
  return setting(world.snapshot.namespaces.get(namespaceKey(namespace))?.meta.annotations ?? {}, name);
}

export function nodeOf(world: World, name: string): NodeFacts | undefined {
  return world.snapshot.nodes.get(nodeKey(name));
}

const trafficByService = once((policies: Snapshot['trafficPolicies']): ReadonlyMap<ObjectKey, Traffic> => {
  const index = new Map<ObjectKey, Traffic>();
  for (const object of [...policies.values()].toSorted((left, right) => byPrecedence(left.meta, right.meta))) {
    const traffic = parseTrafficPolicy(object).value;
    if (traffic !== undefined && !index.has(traffic.service)) index.set(traffic.service, traffic);
  }
  return index;
});

function grouped<K, T>(items: Iterable<T>, key: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** Should two claim one address that the cluster hands out, the younger is right: the other's end was not seen yet. */
function youngestBy<T extends { readonly meta: ObjectMeta }>(
  items: Iterable<T>,
  keys: (item: T) => readonly string[],
): ReadonlyMap<string, T> {
  return firstBy(items, keys, (left, right) => byPrecedence(right, left));
}

function firstBy<T extends { readonly meta: ObjectMeta }>(
  items: Iterable<T>,
  keys: (item: T) => readonly string[],
  order = byPrecedence,
): ReadonlyMap<string, T> {
  const index = new Map<string, T>();
  for (const item of items) {
    for (const key of keys(item)) {
      const other = index.get(key);
      if (other === undefined || order(item.meta, other.meta) < 0) index.set(key, item);
    }
  }
  return index;
}

function addressesOwned(pod: PodFacts): readonly string[] {
  return pod.hostNetwork || pod.phase === 'Succeeded' || pod.phase === 'Failed' ? [] : pod.ips;
}
