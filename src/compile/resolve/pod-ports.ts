import { parsePortList, type PortRange, portListHas, sortedUnique } from '../../kernel/index.ts';
import { type PodFacts, selectorMatches, type ServiceFacts } from '../../model/index.ts';
import { onceForBoth } from '../once.ts';
import { PROXY_PORTS } from '../options.ts';
import type { Mesh, ServerRule } from '../parse/index.ts';
import { podSetting, type World } from './world.ts';

/** The numbers that a port of a Server or Service means in this pod: a name may stand for none, one or several. */
export function portNumbers(pod: PodFacts, port: number | string): readonly number[] {
  if (typeof port === 'number') return [port];
  return sortedUnique(pod.ports.filter(({ name }) => name === port).map(declared => declared.port));
}

/** Which Server rules which port of the pod: the first in order of precedence. */
export function serversOfPod(world: World, pod: PodFacts): ReadonlyMap<number, ServerRule> {
  const rules = new Map<number, ServerRule>();
  for (const rule of world.servers.get(pod.meta.namespace) ?? []) {
    if (!selectorMatches(rule.selector, pod.meta.labels)) continue;
    for (const port of portNumbers(pod, rule.port))
      if (!rules.has(port) && !PROXY_PORTS.has(port)) rules.set(port, rule);
  }
  return rules;
}

/** Services whose selector selects the pod. */
export function servicesOfPod(world: World, pod: PodFacts): readonly ServiceFacts[] {
  return selecting(world.services, pod);
}

const selecting = onceForBoth((services: World['services'], pod: PodFacts) =>
  (services.get(pod.meta.namespace) ?? []).filter(
    service =>
      Object.keys(service.selector).length > 0 && selectorMatches({ matchLabels: service.selector }, pod.meta.labels),
  ),
);

/** Asked for once per endpoint of every Service; a world never changes, so neither do its answers. */
const inboundPorts = new WeakMap<World, Map<PodFacts, readonly number[]>>();

/**
 * Ports that the mesh may address in this pod, sorted: of its containers, of the Services that select it or, in its own namespace, name its address,
 * and those that a Server rules.
 */
export function inboundPortsOfPod(world: World, pod: PodFacts): readonly number[] {
  const known = inboundPorts.get(world) ?? new Map<PodFacts, readonly number[]>();
  inboundPorts.set(world, known);
  const before = known.get(pod);
  if (before !== undefined) return before;
  const targets = servicesOfPod(world, pod).flatMap(service =>
    service.ports.flatMap(port => portNumbers(pod, port.targetPort)),
  );
  const written = (world.handWritten.get(pod.meta.namespace) ?? [])
    .filter(slice => slice.endpoints.some(({ address }) => pod.ips.includes(address)))
    .flatMap(slice => slice.ports.map(({ port }) => port));
  const all = [...pod.ports.map(({ port }) => port), ...targets, ...written, ...serversOfPod(world, pod).keys()];
  const ports = sortedUnique(all.filter(port => port > 0 && !PROXY_PORTS.has(port)));
  known.set(pod, ports);
  return ports;
}

/** Whether bytes to this port of the pod go past its proxy. */
export function skipsProxy(world: World, mesh: Mesh, pod: PodFacts, port: number): boolean {
  const own = portsSetting(podSetting(world, pod, 'skip-inbound-ports'), mesh.skipInboundPorts);
  return PROXY_PORTS.has(port) || portListHas(own, port);
}

/** A list of ports from an annotation over the mesh's own: `+` at the front adds to that, anything else replaces it. What cannot be read counts as absent. */
export function portsSetting(text: string | undefined, fallback: readonly PortRange[]): readonly PortRange[] {
  if (text === undefined) return fallback;
  const adds = text.trimStart().startsWith('+');
  const parsed = parsePortList(adds ? text.trimStart().slice(1) : text);
  if (!parsed.ok) return fallback;
  return adds ? [...fallback, ...parsed.value] : parsed.value;
}
