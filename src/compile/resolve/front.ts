import type { PodFacts, ServiceFacts } from '../../model/index.ts';
import { byPrecedence } from '../order.ts';
import { portNumbers, servicesOfPod } from './pod-ports.ts';
import type { World } from './world.ts';

/** A Service port through which clients reach a port of a pod. */
export interface Front {
  readonly service: ServiceFacts;
  readonly port: number;
}

/**
 * The Service that stands for a port of a pod towards clients who dial the pod and name another host: of those that `matters` says something about
 * the first by precedence. Undefined where a headless Service selects the pod on that port: its clients dial pods by name and mean them.
 */
export function frontOf(
  world: World,
  pod: PodFacts,
  port: number,
  matters: (front: Front) => number,
): Front | undefined {
  const fronts = servicesOfPod(world, pod).flatMap(service => {
    const found = service.ports.find(({ targetPort }) => portNumbers(pod, targetPort).includes(port));
    return found === undefined ? [] : [{ service, port: found.port }];
  });
  if (fronts.some(({ service }) => service.headless)) return undefined;
  return fronts
    .map(front => ({ front, rank: matters(front) }))
    .filter(({ front, rank }) => rank > 0 && front.service.type !== 'ExternalName')
    .toSorted(
      (left, right) => right.rank - left.rank || byPrecedence(left.front.service.meta, right.front.service.meta),
    )[0]?.front;
}
