// What a change of the plan can have touched, told from the collections that differ: they stay the very same where nothing in them has changed. May
// say too much, never too little: what is said not to differ is not looked at again.
import { type ObjectKey, parseAddress, podKey, serviceKey } from '../../kernel/index.ts';
import type { EndpointSliceFacts, Who } from '../../model/index.ts';
import { parseTrafficSplit } from '../parse/index.ts';
import type { Plan } from '../plan/index.ts';
import { destinationOf, peersOf } from '../resolve/index.ts';

/** Whether the resource of a name may be another one for the asker than under the former plan. */
export type Changes = (who: Who, name: string) => boolean;

/** Everything that the inputs of resources are looked up in, see `inputs.ts`. */
const COLLECTIONS = {
  controlNamespace: ({ world }) => world.options.controlNamespace,
  clusterDomain: ({ world }) => world.options.clusterDomain,
  meshes: ({ world }) => world.meshes,
  pods: ({ world }) => world.snapshot.pods,
  nodes: ({ world }) => world.snapshot.nodes,
  namespaces: ({ world }) => world.snapshot.namespaces,
  services: ({ world }) => world.services,
  servers: ({ world }) => world.servers,
  grants: ({ world }) => world.grants,
  networkPolicies: ({ world }) => world.networkPolicies,
  traffic: ({ world }) => world.traffic,
  slices: ({ world }) => world.slices,
  handWritten: ({ world }) => world.handWritten,
  splits: ({ world }) => world.snapshot.trafficSplits,
  groups: ({ world }) => world.snapshot.httpRouteGroups,
} as const satisfies Readonly<Record<string, (plan: Plan) => unknown>>;
type Collection = keyof typeof COLLECTIONS;

/** Collections that a kind of resource does not depend on. */
const BLIND: Readonly<Record<string, readonly Collection[]>> = {
  workload: ['slices', 'networkPolicies', 'splits', 'groups'],
  outbound: ['slices'],
  endpoints: ['splits', 'groups', 'grants'],
};

export function changesBetween(former: Plan, plan: Plan): Changes {
  const names = Object.keys(COLLECTIONS) as Collection[];
  const differing = names.filter(name => COLLECTIONS[name](former) !== COLLECTIONS[name](plan));
  const seenBy = new Map(
    Object.entries(BLIND).map(([kind, blind]) => [kind, differing.filter(name => !blind.includes(name))] as const),
  );
  const narrow = { outbound: outboundChanges(former, plan), endpoints: endpointsChanges(former, plan) };
  // The same name is asked about for every view.
  const known = new Map<string, boolean>();

  function judge(who: Who, name: string): boolean {
    const [, kind = name, rest = ''] = /^([^/]+)\/(.*)$/s.exec(name) ?? [];
    const seen = seenBy.get(kind);
    // Roots are compared by content, and of a name that means nothing nothing is known.
    if (seen === undefined) return true;
    if (seen.length === 0) return false;
    const only = (...few: readonly Collection[]): boolean => seen.every(collection => few.includes(collection));
    if (kind === 'workload') return !only('pods') || podOf(former, who) !== podOf(plan, who) || hasPeers(plan, who);
    if (kind === 'outbound') return !only('pods', 'splits') || narrow.outbound(rest);
    return !only('pods', 'slices') || narrow.endpoints(rest);
  }

  return (who, name) => {
    if (name === 'workload') return judge(who, name);
    const before = known.get(name);
    if (before !== undefined) return before;
    const may = judge(who, name);
    known.set(name, may);
    return may;
  };
}

/** Between meshes that trust each other, whom a grant means follows the pods of the namespaces that it names. */
function hasPeers({ world }: Plan, { view }: Who): boolean {
  const mesh = world.meshes.get(view.mesh);
  return mesh !== undefined && peersOf(world, mesh).length > 0;
}

const podOf = ({ world }: Plan, who: Who) => world.snapshot.pods.get(who.podKey);

/** Keys of what was added, removed or replaced. */
function differences<T>(former: ReadonlyMap<ObjectKey, T>, now: ReadonlyMap<ObjectKey, T>): ReadonlySet<ObjectKey> {
  const keys = new Set<ObjectKey>();
  if (former === now) return keys;
  for (const [key, value] of now) if (former.get(key) !== value) keys.add(key);
  for (const key of former.keys()) if (!now.has(key)) keys.add(key);
  return keys;
}

/** Where pods and splits alone differ: what leads to a Service follows its own split and no pod. */
function outboundChanges(former: Plan, plan: Plan): (address: string) => boolean {
  const roots = new Set<ObjectKey>();
  for (const key of differences(former.world.snapshot.trafficSplits, plan.world.snapshot.trafficSplits)) {
    for (const { world } of [former, plan]) {
      const object = world.snapshot.trafficSplits.get(key);
      const split = object === undefined ? undefined : parseTrafficSplit(object).value;
      if (split !== undefined) roots.add(serviceKey(split.object.meta.namespace, split.root.name));
    }
  }
  return text => {
    const address = parseAddress(text);
    if (address === undefined) return true;
    // An address can pass from a pod to a Service, for those of Services from outside the cluster are anybody's.
    return [former, plan].some(({ world }) => {
      const destination = destinationOf(world, address);
      return destination?.kind !== 'service' || roots.has(destination.service.key);
    });
  };
}

/** Where pods and slices alone differ: a Service's own slices, and the pods that they name. */
function endpointsChanges(former: Plan, plan: Plan): (rest: string) => boolean {
  const pods = differences(former.world.snapshot.pods, plan.world.snapshot.pods);
  const slices = (of: Plan, key: ObjectKey): readonly EndpointSliceFacts[] => of.world.slices.get(key) ?? [];
  return rest => {
    const [, namespace = '', service = ''] = /^([^/]+)\/([^/:]+):/.exec(rest) ?? [];
    const key = serviceKey(namespace, service);
    const [before, now] = [slices(former, key), slices(plan, key)];
    if (before.length !== now.length || now.some((slice, index) => slice !== before[index])) return true;
    if (pods.size === 0) return false;
    return now.some(slice =>
      slice.endpoints.some(({ pod }) => pod === '' || pods.has(podKey(slice.meta.namespace, pod))),
    );
  };
}
