import { type PortRange, sortedUnique } from '../../kernel/index.ts';
import type { Authorization, CustomObject, InboundPort, InboundRoute, PodFacts, Protocol } from '../../model/index.ts';
import { PROXY_PORTS } from '../options.ts';
import type { Mesh, ServerRule, Traffic } from '../parse/index.ts';
import {
  grantsOf,
  inboundPolicyOf,
  inboundPortsOfPod,
  podSetting,
  portsSetting,
  serversOfPod,
  trafficOfPodPort,
  type World,
} from '../resolve/index.ts';
import { audits, grantAuthorization, policyAuthorizations } from './authorizations.ts';
import { protocolOfPodPort } from './protocol.ts';
import { defaultRef, refOf } from './refs.ts';

/** Protocols on which the proxy sees paths, and probes are plain HTTP. */
const HTTP_PROTOCOLS: ReadonlySet<Protocol> = new Set(['detect', 'http1', 'http2', 'grpc']);

export interface InboundRules {
  readonly ports: readonly InboundPort[];
  readonly defaultPort: InboundPort;
  /** The objects behind the rules. */
  readonly objects: readonly CustomObject[];
}

/** The rules of one pod: its Servers' ports, ports with probes or a known protocol, and one for all the rest. */
export function inboundRules(world: World, mesh: Mesh, pod: PodFacts): InboundRules {
  const servers = serversOfPod(world, pod);
  const policy = inboundPolicyOf(world, mesh, pod);
  const opaque = portsSetting(podSetting(world, pod, 'opaque-ports'), mesh.opaquePorts);
  const fallback: InboundPort = {
    port: 0,
    protocol: 'detect',
    server: defaultRef(policy),
    authorizations: policyAuthorizations(mesh, policy),
    routes: [],
    unmatchedNotFound: false,
    audit: audits(mesh, policy),
    maxRequests: 0,
    maxConnectionAgeMs: 0,
  };
  const all = [...servers.keys(), ...portsWithHints(world, pod, opaque), ...limitedPorts(world, pod)];
  const ports = sortedUnique(all).map(port => {
    const rule = servers.get(port);
    const base =
      rule === undefined
        ? { ...fallback, port, protocol: protocolOfPodPort(world, pod, port, opaque) }
        : ruledPort({ world, mesh, rule }, port);
    return {
      ...base,
      ...limitsOf(world, pod, port),
      routes: HTTP_PROTOCOLS.has(base.protocol) ? probeRoutes(mesh, pod, port) : [],
    };
  });
  const objects = [
    ...[...servers.values()].flatMap(({ object, closed }) => [
      object,
      ...(closed ? [] : grantsOf(world, object).map(grant => grant.object)),
    ]),
    ...limitedPorts(world, pod).flatMap(port => limiting(world, pod, port).flatMap(({ object }) => object ?? [])),
  ];
  return { ports, defaultPort: fallback, objects };
}

function limiting(world: World, pod: PodFacts, port: number): readonly Traffic[] {
  return trafficOfPodPort(world, pod, port).filter(
    traffic => traffic.maxRequestsPerPod > 0 || traffic.maxConnectionAgeMs > 0,
  );
}

/** Ports on which a TrafficPolicy of a Service in front of the pod limits something. */
function limitedPorts(world: World, pod: PodFacts): readonly number[] {
  if (world.traffic.size === 0) return [];
  return inboundPortsOfPod(world, pod).filter(port => limiting(world, pod, port).length > 0);
}

/** Where several Services lead to a port the narrowest limit holds. */
function limitsOf(world: World, pod: PodFacts, port: number): Pick<InboundPort, 'maxRequests' | 'maxConnectionAgeMs'> {
  const limits = limiting(world, pod, port);
  const narrowest = (values: readonly number[]): number => Math.min(...values.filter(value => value > 0), Infinity);
  const finite = (value: number): number => (Number.isFinite(value) ? value : 0);
  return {
    maxRequests: finite(narrowest(limits.map(({ maxRequestsPerPod }) => maxRequestsPerPod))),
    maxConnectionAgeMs: finite(narrowest(limits.map(({ maxConnectionAgeMs }) => maxConnectionAgeMs))),
  };
}

/** Ports without a Server that still differ from the default: a protocol is known, or the kubelet must get in. */
function portsWithHints(world: World, pod: PodFacts, opaque: readonly PortRange[]): readonly number[] {
  const known = inboundPortsOfPod(world, pod).filter(port => protocolOfPodPort(world, pod, port, opaque) !== 'detect');
  const probed = pod.probes.map(({ port }) => port).filter(port => typeof port === 'number');
  return [...known, ...probed.filter(port => port > 0 && !PROXY_PORTS.has(port))];
}

function ruledPort({ world, mesh, rule }: { world: World; mesh: Mesh; rule: ServerRule }, port: number): InboundPort {
  const granted: readonly Authorization[] = rule.closed
    ? []
    : [
        ...grantsOf(world, rule.object).map(grant => grantAuthorization(world, mesh, grant)),
        ...policyAuthorizations(mesh, rule.accessPolicy),
      ];
  return {
    port,
    protocol: rule.protocol,
    server: refOf(rule.object.key),
    authorizations: granted,
    routes: [],
    unmatchedNotFound: false,
    audit: !rule.closed && audits(mesh, rule.accessPolicy),
    maxRequests: 0,
    maxConnectionAgeMs: 0,
  };
}

/** Exactly what the kubelet asks for; a port that lets nobody in still answers its own probes. */
function probeRoutes(mesh: Mesh, pod: PodFacts, port: number): readonly InboundRoute[] {
  const probes = pod.probes.filter(probe => probe.port === port);
  const matches = (['GET', 'POST'] as const).flatMap(method =>
    sortedUnique(probes.filter(probe => probe.method === method).map(({ path }) => path)).map(
      (value): InboundRoute['matches'][number] => ({
        path: { kind: 'exact', value },
        headers: [],
        query: [],
        methods: [method],
      }),
    ),
  );
  if (matches.length === 0) return [];
  return [
    {
      route: defaultRef('probe'),
      matches,
      authorizations: [
        { authorization: defaultRef('probe'), networks: mesh.probeNetworks, clients: { kind: 'unauthenticated' } },
      ],
    },
  ];
}
