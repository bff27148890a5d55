import { serviceKey } from '../../kernel/index.ts';
import type { Who } from '../../model/index.ts';
import type { Plan } from '../plan/index.ts';

/**
 * Who else has the very same resource of this name: askers with equal scopes. As narrow as what {@link render} looks at, so that thousands of views
 * share one rendering.
 */
export function scopeOf({ world }: Plan, { view, podKey }: Who, name: string): string {
  if (name === 'workload') return `${view.mesh} ${podKey}`;
  const [, namespace = '', service = ''] = /^endpoints\/([^/]+)\/([^/:]+):/.exec(name) ?? [];
  const facts = service === '' ? undefined : world.snapshot.services.get(serviceKey(namespace, service));
  if (facts === undefined) return view.mesh;
  if (facts.internalTrafficPolicy === 'Local') return `${view.mesh} ${view.zone} ${view.node}`;
  const zoned =
    world.traffic.has(facts.key) ||
    (world.slices.get(facts.key) ?? []).some(slice => slice.endpoints.some(({ zoneHints }) => zoneHints.length > 0));
  return zoned ? `${view.mesh} ${view.zone}` : view.mesh;
}
