import { sortedUnique, spiffeId } from '../../kernel/index.ts';
import type { CustomObject, PodFacts, Workload } from '../../model/index.ts';
import { accessLogOf, forwardedForOf, inboundPortsOfPod, meshOfPod, podSetting, type World } from '../resolve/index.ts';
import { inboundRules } from './inbound-ports.ts';
import { labelsOf, ownerLabel } from './refs.ts';

/** What a pod is told of itself; undefined when it has no proxy of a mesh that is configured. */
export function renderWorkload(
  world: World,
  pod: PodFacts,
): { readonly workload: Workload; readonly objects: readonly CustomObject[] } | undefined {
  const mesh = meshOfPod(world, pod);
  if (mesh === undefined) return undefined;
  const { namespace, name, uid } = pod.meta;
  const { ports, defaultPort, objects } = inboundRules(world, mesh, pod);
  const workload: Workload = {
    mesh: mesh.name,
    namespace,
    pod: name,
    podUid: uid,
    identity: spiffeId(mesh.trustDomain, { namespace, serviceAccount: pod.serviceAccount }),
    labels: labelsOf({ namespace, pod: name, ...ownerLabel(pod.owner) }),
    ports,
    defaultPort,
    inboundPorts: sortedUnique([...inboundPortsOfPod(world, pod), ...ports.map(({ port }) => port)]),
    unknownDestination: mesh.unknownDestination,
    accessLog: accessLogOf(world, mesh, pod),
    logLevel: podSetting(world, pod, 'proxy-log-level') ?? mesh.logLevel,
    podIps: pod.ips,
    detectTimeoutMs: mesh.detectTimeoutMs,
    forwardedFor: forwardedForOf(world, mesh, pod),
    applicationEnded: pod.applicationEnded,
  };
  return { workload, objects: [mesh.object, ...objects] };
}
