import { namespaceKey, parseAddress, podKey, serviceKey } from '../../kernel/index.ts';
import type { PodFacts, Resource, ServiceFacts, Who } from '../../model/index.ts';
import type { Plan } from '../plan/index.ts';
import { destinationOf, meshesIn, nodeOf, peersOf, servicesOfPod, type World } from '../resolve/index.ts';
import { render } from './index.ts';

/** A resource with everything that it was made from. */
export interface Rendered {
  readonly resource: Resource | undefined;
  /** Compared one by one by identity; objects of a snapshot never change. */
  readonly inputs: readonly unknown[];
}

/**
 * Renders, unless nothing that the resource depends on has changed since `before`: then it is the very same. One change in the cluster makes a few
 * resources new, and all others cost a comparison of pointers.
 */
export function renderAgain(
  ask: { readonly plan: Plan; readonly who: Who; readonly name: string },
  before?: Rendered,
): Rendered {
  const inputs = inputsOf(ask.plan, ask.who, ask.name);
  const same =
    before?.inputs.length === inputs.length && inputs.every((input, index) => input === before.inputs[index]);
  return same ? before : { resource: render(ask.plan, ask.who, ask.name), inputs };
}

/** Everything that {@link render} looks at for this name, and perhaps more. */
function inputsOf(plan: Plan, who: Who, name: string): readonly unknown[] {
  const { world } = plan;
  const { options, meshes, snapshot } = world;
  const mesh = meshes.get(who.view.mesh);
  const peers = mesh === undefined ? [] : peersOf(world, mesh);
  const general = [options.controlNamespace, options.clusterDomain, mesh, ...peers];
  if (name === 'trust')
    return [options.trust.get(who.view.mesh), ...peers.map(peer => options.trust.get(peer.name)), ...peers];
  if (name === 'workload') {
    const pod = snapshot.pods.get(who.podKey);
    if (pod === undefined) return [];
    return [...general, ...podInputs(world, pod), ...(peers.length === 0 ? [] : grantedInputs(world, pod))];
  }
  const [, kind, rest = ''] = /^([^/]+)\/(.*)$/.exec(name) ?? [];
  if (kind === 'outbound') return [...general, ...outboundInputs(plan, rest)];
  const [, namespace = '', service = ''] = /^([^/]+)\/([^/:]+):/.exec(rest) ?? [];
  const facts = snapshot.services.get(serviceKey(namespace, service));
  return facts === undefined ? [] : [...general, ...endpointsInputs(world, facts)];
}

function outboundInputs(plan: Plan, address: string): readonly unknown[] {
  const { world } = plan;
  const parsed = parseAddress(address);
  const destination = parsed && destinationOf(world, parsed);
  if (destination?.kind === 'pod')
    return [
      ...podInputs(world, destination.pod),
      ...namespaceInputs(world, destination.pod.meta.namespace),
      ...servicesOfPod(world, destination.pod).flatMap(service => splitInputs(plan, service)),
    ];
  if (destination?.kind === 'node') return [destination.node.key];
  if (destination?.kind !== 'service') return [destination?.kind];
  const { service } = destination;
  return [
    service,
    world.traffic.get(service.key),
    world.snapshot.namespaces.get(namespaceKey(service.meta.namespace)),
    ...splitInputs(plan, service),
  ];
}

function splitInputs(plan: Plan, service: ServiceFacts): readonly unknown[] {
  const split = plan.splits.get(service.key);
  return split === undefined ? [] : [split.split, ...split.backends.map(backend => backend.service), ...split.groups];
}

function endpointsInputs(world: World, service: ServiceFacts): readonly unknown[] {
  const slices = world.slices.get(service.key) ?? [];
  const endpoints = slices.flatMap(slice =>
    slice.endpoints.map(endpoint => ({ endpoint, namespace: slice.meta.namespace })),
  );
  const pods = endpoints.map(({ endpoint, namespace }) =>
    endpoint.pod === ''
      ? world.podsByIp.get(endpoint.address)
      : world.snapshot.pods.get(podKey(namespace, endpoint.pod)),
  );
  const namespaces = new Set([
    service.meta.namespace,
    ...pods.flatMap(pod => (pod === undefined ? [] : [pod.meta.namespace])),
  ]);
  return [
    service,
    world.traffic.get(service.key),
    ...slices,
    ...pods.flatMap(pod => [pod, pod === undefined ? '' : zoneOf(world, pod.node)]),
    ...endpoints.map(({ endpoint }) => zoneOf(world, endpoint.node)),
    ...[...namespaces].flatMap(namespace => namespaceInputs(world, namespace)),
  ];
}

function podInputs(world: World, pod: PodFacts): readonly unknown[] {
  const namespace = pod.meta.namespace;
  return [
    pod,
    zoneOf(world, pod.node),
    world.snapshot.namespaces.get(namespaceKey(namespace)),
    ...(world.servers.get(namespace) ?? []),
    ...(world.grants.get(namespace) ?? []),
    ...(world.services.get(namespace) ?? []),
    ...(world.handWritten.get(namespace) ?? []),
    ...servicesOfPod(world, pod).map(service => world.traffic.get(service.key)),
  ];
}

/** Where service accounts that may call the pod have their identities. */
function grantedInputs(world: World, pod: PodFacts): readonly unknown[] {
  return (world.grants.get(pod.meta.namespace) ?? []).flatMap(({ clients }) =>
    clients.kind === 'meshTls' ? clients.serviceAccounts.map(account => meshesIn(world, account.namespace)) : [],
  );
}

/** What decides how any pod of the namespace is reached. */
function namespaceInputs(world: World, namespace: string): readonly unknown[] {
  return [
    world.snapshot.namespaces.get(namespaceKey(namespace)),
    ...(world.servers.get(namespace) ?? []),
    ...(world.services.get(namespace) ?? []),
    ...(world.handWritten.get(namespace) ?? []),
    ...(world.networkPolicies.get(namespace) ?? []),
  ];
}

/** The zone, not the node: nodes change with every heartbeat. */
function zoneOf(world: World, node: string): string {
  return nodeOf(world, node)?.zone ?? '';
}
