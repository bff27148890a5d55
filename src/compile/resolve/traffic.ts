import type { Problem } from '../../kernel/index.ts';
import type { CustomObject, PodFacts, ServiceFacts } from '../../model/index.ts';
import { parseServiceAnnotations, parseTrafficPolicy, type Traffic } from '../parse/index.ts';
import { isDeclaredBytes } from './app-protocol.ts';
import { portNumbers, servicesOfPod } from './pod-ports.ts';
import { problem, type Verdict } from './verdict.ts';
import type { World } from './world.ts';

/** How requests to a Service are carried: its TrafficPolicy, else its annotations. */
export function trafficOf(world: World, service: ServiceFacts): Traffic | undefined {
  return world.traffic.get(service.key) ?? parseServiceAnnotations(service).traffic;
}

/**
 * The same for how requests are spread. Session affinity is a field of the Service and no annotation: it holds unless the TrafficPolicy says how the
 * load is balanced, so that one about failing endpoints alone breaks no session.
 */
export function balancingTrafficOf(world: World, service: ServiceFacts): Traffic | undefined {
  const own = parseServiceAnnotations(service).traffic;
  const policy = world.traffic.get(service.key);
  if (policy?.balancing === undefined) return own;
  if (own?.balancing?.hashKey === undefined || policy.balancing.algorithm !== 'default') return policy;
  const { algorithm, hashKey } = own.balancing;
  return { ...policy, balancing: { ...policy.balancing, algorithm, hashKey } };
}

/** The TrafficPolicies whose limits hold for one port of a pod, in the order of its Services. */
export function trafficOfPodPort(world: World, pod: PodFacts, port: number): readonly Traffic[] {
  if (world.traffic.size === 0) return [];
  return servicesOfPod(world, pod)
    .filter(service => service.ports.some(({ targetPort }) => portNumbers(pod, targetPort).includes(port)))
    .flatMap(service => world.traffic.get(service.key) ?? []);
}

/** The verdicts of all TrafficPolicies. */
export function trafficVerdicts(world: World): readonly Verdict[] {
  return [...world.snapshot.trafficPolicies.values()].map(object => {
    const { value, problems } = parseTrafficPolicy(object);
    const rejected = problems.filter(({ severity }) => severity === 'error');
    const notes = problems.filter(({ severity }) => severity === 'warning');
    if (value === undefined) return { object, rejected, unresolved: [], notes, readable: false };
    const winner = world.traffic.get(value.service)?.object;
    const service = world.snapshot.services.get(value.service);
    const name = (object.spec as { targetRef: { name: string } }).targetRef.name;
    const path = 'spec.targetRef.name';
    const conflict =
      winner === undefined || winner.key === object.key
        ? []
        : [
            problem(object, 'Conflicted', {
              path,
              message: `TrafficPolicy ${winner.meta.name}, which comes first by age and name, rules Service ${name} already; this one has no effect. Delete one of them.`,
            }),
          ];
    const missing =
      service !== undefined
        ? []
        : [
            problem(object, 'TargetNotFound', {
              path,
              message: `Service ${name} does not exist (yet), so this has no effect.`,
            }),
          ];
    const meaningless = service === undefined || conflict.length > 0 ? [] : keyOfBytes(world, object, value, service);
    return { object, rejected: conflict, unresolved: missing, notes: [...notes, ...meaningless], readable: true };
  });
}

/** Connections of bytes have neither headers nor cookies to be told apart by. */
function keyOfBytes(world: World, object: CustomObject, traffic: Traffic, service: ServiceFacts): readonly Problem[] {
  const { kind } = traffic.balancing?.hashKey ?? {};
  if (kind !== 'header' && kind !== 'cookie') return [];
  const ports = service.ports.filter(port => isDeclaredBytes(world, service, port)).map(({ port }) => port);
  if (ports.length === 0) return [];
  const path = 'spec.loadBalancing.hashOn.kind';
  const [which, has] = ports.length === 1 ? ['Port', 'is'] : ['Ports', 'are'];
  return [
    problem(object, 'NoKeyInBytes', {
      path,
      message: `${which} ${ports.join(', ')} of Service ${service.meta.name} ${has} declared opaque, and bytes have no ${kind}: connections to ${ports.length === 1 ? 'it' : 'them'} go to the least busy of two endpoints. Hash on Source or Identity, or declare an appProtocol that has headers.`,
    }),
  ];
}
