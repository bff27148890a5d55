import { gcd } from '../../kernel/index.ts';
import type {
  Backend,
  CustomObject,
  Outbound,
  OutboundRoute,
  PodFacts,
  Ref,
  Routed,
  ServiceFacts,
} from '../../model/index.ts';
import type { Mesh } from '../parse/index.ts';
import type { Plan } from '../plan/index.ts';
import {
  destinationOf,
  type Front,
  frontOf,
  podSetting,
  portsSetting,
  serversOfPod,
  trafficOf,
  type EffectiveSplit,
} from '../resolve/index.ts';
import { endpointAt } from './endpoint.ts';
import { protocolOfPodPort, protocolOfServicePort } from './protocol.ts';
import { defaultRef, labelsOf, refOf, serviceLabels } from './refs.ts';

export interface RenderedOutbound {
  readonly outbound: Outbound;
  readonly objects: readonly CustomObject[];
}

/** Where a connection to `ip:port` goes; undefined when the address is nothing of the cluster. */
export function renderOutbound(
  plan: Plan,
  mesh: Mesh,
  address: { readonly ip: string; readonly port: number },
): RenderedOutbound | undefined {
  const destination = destinationOf(plan.world, address);
  if (destination?.kind === 'service') return toService(plan, mesh, destination.service, address.port);
  if (destination?.kind === 'pod') return toPod(plan, mesh, destination.pod, address);
  if (destination?.kind === 'node') return { outbound: past(refOf(destination.node.key)), objects: [] };
  return destination && { outbound: past(defaultRef('link-local')), objects: [] };
}

/** Node ports, pods on the network of a host, metadata services: as the application sent it, whatever the mesh does with the unknown. */
function past(destination: Ref): Outbound {
  return { destination, protocol: 'opaque', target: { kind: 'passThrough' }, labels: [] };
}

function toService(plan: Plan, mesh: Mesh, service: ServiceFacts, port: number): RenderedOutbound {
  const { namespace, name } = service.meta;
  const destination = refOf(service.key, port);
  const labels = serviceLabels(service.meta);
  const declared = service.ports.find(candidate => candidate.port === port);
  if (declared === undefined) {
    const reason = `Service ${namespace}/${name} has no port ${port}`;
    return { outbound: { destination, protocol: 'opaque', target: { kind: 'refused', reason }, labels }, objects: [] };
  }
  const { routed, objects } = routedTo(plan, { service, port });
  const protocol = protocolOfServicePort(plan.world, mesh, service, declared);
  return { outbound: { destination, protocol, target: { kind: 'routed', ...routed }, labels }, objects };
}

/** Where requests to a Service port go, and the objects that say so. */
function routedTo(
  plan: Plan,
  { service, port }: Front,
): { readonly routed: Routed; readonly objects: readonly CustomObject[] } {
  const split = plan.splits.get(service.key);
  const route = split === undefined ? undefined : splitRoute(split, port);
  const traffic = trafficOf(plan.world, service);
  return {
    routed: {
      routes: route === undefined ? [] : [route],
      defaultBackends: [backendOf(service, port, 1)],
      policies: traffic?.policies ?? [],
    },
    objects: [
      ...(split === undefined ? [] : [split.split.object, ...split.groups.map(group => group.object)]),
      ...(traffic?.object === undefined || traffic.policies.length === 0 ? [] : [traffic.object]),
    ],
  };
}

/** A Service that splits comes before one that only says how requests are carried; one that says nothing stands for no pod. */
function rankOf(plan: Plan, front: Front): number {
  const { routes, policies } = routedTo(plan, front).routed;
  return routes.length > 0 ? 2 : policies.length > 0 ? 1 : 0;
}

function toPod(
  plan: Plan,
  mesh: Mesh,
  pod: PodFacts,
  { ip, port }: { readonly ip: string; readonly port: number },
): RenderedOutbound {
  const { world } = plan;
  const opaque = portsSetting(podSetting(world, pod, 'opaque-ports'), mesh.opaquePorts);
  const protocol = serversOfPod(world, pod).get(port)?.protocol ?? protocolOfPodPort(world, pod, port, opaque);
  const endpoint = endpointAt(world, mesh, { address: ip, port, pod, zone: '' });
  const front = frontOf(world, pod, port, candidate => rankOf(plan, candidate));
  const named = front && routedTo(plan, front);
  return {
    outbound: {
      destination: refOf(pod.key),
      protocol,
      target: { kind: 'endpoint', endpoint, named: named?.routed },
      labels: labelsOf({ dst_namespace: pod.meta.namespace }),
    },
    objects: named?.objects ?? [],
  };
}

/** Undefined when no backend with a weight has this port: then the root's own endpoints serve, as if there were no split. */
function splitRoute(split: EffectiveSplit, port: number): OutboundRoute | undefined {
  const chosen = split.backends.filter(
    ({ service, weight }) => weight > 0n && service.ports.some(candidate => candidate.port === port),
  );
  if (chosen.length === 0) return undefined;
  const weights = wireWeights(chosen.map(({ weight }) => weight));
  return {
    route: refOf(split.split.object.key),
    matches: split.matches,
    backends: chosen.map(({ service }, index) => backendOf(service, port, weights[index] ?? 1)),
    cedeUnavailable: true,
  };
}

function backendOf(service: ServiceFacts, port: number, weight: number): Backend {
  const { namespace, name } = service.meta;
  return {
    weight,
    backend: refOf(service.key, port),
    target: { kind: 'endpoints', name: `endpoints/${namespace}/${name}:${port}` },
    labels: serviceLabels(service.meta),
  };
}

/** The same proportion in the smallest whole numbers. No weight is above MAX_WEIGHT, so a uint32 holds the sum of a whole object's. */
function wireWeights(weights: readonly bigint[]): readonly number[] {
  const divisor = weights.reduce(gcd, 0n);
  return weights.map(weight => Number(weight / divisor));
}
