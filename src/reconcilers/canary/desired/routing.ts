// What tells the mesh how much goes where.
import type { RawObject } from '../../../kube/index.ts';
import { routeGroupSpec } from '../match.ts';
import { ROUTE_GROUPS, SPLITS } from '../types.ts';
import { objectOf, ownedMeta, type Subject } from './subject.ts';

export function trafficSplit(subject: Pick<Subject, 'canary' | 'plan'>, canaryWeight: number): RawObject {
  const { apex, strategy } = subject.plan;
  const matches = strategy.kind === 'ab' ? { matches: [{ kind: 'HTTPRouteGroup', name: apex }] } : {};
  return objectOf(SPLITS, ownedMeta(subject, apex), {
    spec: {
      service: apex,
      ...matches,
      backends: [
        { service: `${apex}-canary`, weight: canaryWeight },
        { service: `${apex}-primary`, weight: 100 - canaryWeight },
      ],
    },
  });
}

/** Which requests an A/B test is about; undefined for other strategies. */
export function routeGroup(subject: Pick<Subject, 'canary' | 'plan'>): RawObject | undefined {
  const { apex, strategy } = subject.plan;
  if (strategy.kind !== 'ab') return undefined;
  return objectOf(ROUTE_GROUPS, ownedMeta(subject, apex), { spec: routeGroupSpec(strategy.matches) });
}
