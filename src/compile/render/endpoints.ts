import { compareText, podKey } from '../../kernel/index.ts';
import type {
  Endpoint,
  EndpointSliceFacts,
  PodFacts,
  ServiceFacts,
  SliceEndpointFacts,
  View,
} from '../../model/index.ts';
import type { Mesh } from '../parse/index.ts';
import { nodeOf, type World } from '../resolve/index.ts';
import { endpointAt } from './endpoint.ts';

interface Candidate {
  readonly endpoint: SliceEndpointFacts;
  readonly port: number;
  readonly namespace: string;
}

/** The endpoints of one Service port as a view sees them, sorted; by the rules of kube-proxy. */
export function renderEndpoints(
  world: World,
  mesh: Mesh,
  service: ServiceFacts,
  ask: { readonly port: number; readonly view: View },
): readonly Endpoint[] {
  const named = service.ports.find(({ port }) => port === ask.port);
  if (named === undefined) return [];
  const candidates = ofOneFamily(service, world.slices.get(service.key) ?? []).flatMap(slice =>
    candidatesOf(slice, named.name),
  );
  const chosen = nearby(world, service, usable(candidates), ask.view);
  const endpoints = new Map(
    chosen.map(({ endpoint, port, namespace }) => {
      const pod = podBehind(world, endpoint, namespace);
      const zone = endpoint.zone === '' ? (nodeOf(world, endpoint.node)?.zone ?? '') : endpoint.zone;
      return [`${endpoint.address} ${port}`, endpointAt(world, mesh, { address: endpoint.address, port, pod, zone })];
    }),
  );
  return [...endpoints.values()].toSorted(
    (left, right) => compareText(left.address, right.address) || left.port - right.port,
  );
}

/** A dual-stack pod is in slices of both families and must count once: the family of the first cluster IP, else whichever has endpoints. */
function ofOneFamily(service: ServiceFacts, slices: readonly EndpointSliceFacts[]): readonly EndpointSliceFacts[] {
  const first = service.clusterIps[0]?.includes(':') === true ? 'IPv6' : 'IPv4';
  const preferred = slices.filter(slice => slice.addressType === first && slice.endpoints.length > 0);
  return preferred.length > 0
    ? preferred
    : slices.filter(slice => slice.addressType !== first && slice.addressType !== 'FQDN');
}

function candidatesOf(slice: EndpointSliceFacts, portName: string): readonly Candidate[] {
  const namespace = slice.meta.namespace;
  const ports = slice.ports.filter(({ name }) => name === portName);
  return ports.flatMap(({ port }) => slice.endpoints.map(endpoint => ({ endpoint, port, namespace })));
}

/** Ready ones; when there is none, those that still serve while they terminate. */
function usable(candidates: readonly Candidate[]): readonly Candidate[] {
  const ready = candidates.filter(({ endpoint }) => endpoint.ready);
  return ready.length > 0 ? ready : candidates.filter(({ endpoint }) => endpoint.serving && endpoint.terminating);
}

/** `internalTrafficPolicy: Local` never leaves the node. Zone hints hold only when every endpoint has one, and never empty the set. */
function nearby(
  world: World,
  service: ServiceFacts,
  candidates: readonly Candidate[],
  view: View,
): readonly Candidate[] {
  if (service.internalTrafficPolicy === 'Local') {
    return candidates.filter(candidate => candidate.endpoint.node !== '' && candidate.endpoint.node === view.node);
  }
  const hinted = view.zone !== '' && candidates.every(({ endpoint }) => endpoint.zoneHints.length > 0);
  const own = hinted ? candidates.filter(({ endpoint }) => endpoint.zoneHints.includes(view.zone)) : [];
  return own.length > 0 ? own : candidates;
}

/** The pod that the slice names, while it is the same pod; for slices without references, whoever owns the address. */
function podBehind(world: World, endpoint: SliceEndpointFacts, namespace: string): PodFacts | undefined {
  if (endpoint.pod === '') return world.podsByIp.get(endpoint.address);
  const pod = world.snapshot.pods.get(podKey(namespace, endpoint.pod));
  return pod !== undefined && (endpoint.podUid === '' || endpoint.podUid === pod.meta.uid) ? pod : undefined;
}
