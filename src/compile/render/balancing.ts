import type { Balancing, View } from '../../model/index.ts';
import type { Traffic } from '../parse/index.ts';

/** How a view spreads its requests over the endpoints of a Service; undefined: by the proxy's own ways. */
export function renderBalancing(traffic: Traffic | undefined, view: View): Balancing | undefined {
  const balancing = traffic?.balancing;
  if (balancing === undefined) return undefined;
  const { prefersZone, ...rest } = balancing;
  return { ...rest, localZone: prefersZone ? view.zone : '' };
}
