// Which slot of a stream is sent next. Make before break: what an outbound resource names goes before it, what is taken away goes last. Apart
// from that first come, first served, so that no busy resource starves another.
import type { Resource } from '../model/index.ts';
import { type Slot, isStale } from './slot.ts';

export interface Waiting {
  /** Slots with a resource to send, in the order in which they became stale. */
  readonly upserts: Set<Slot>;
  readonly removals: Set<Slot>;
}

export function createWaiting(): Waiting {
  return { upserts: new Set(), removals: new Set() };
}

/** Puts a slot where it now belongs; one that waits already keeps its place. */
export function enqueue(waiting: Waiting, slot: Slot): void {
  const [to, from] =
    slot.topic.resource === undefined ? [waiting.removals, waiting.upserts] : [waiting.upserts, waiting.removals];
  from.delete(slot);
  if (isStale(slot)) to.add(slot);
  else to.delete(slot);
}

export function dequeue(waiting: Waiting, slot: Slot): void {
  waiting.upserts.delete(slot);
  waiting.removals.delete(slot);
}

/** Takes the next slot out, or undefined when nothing waits. `slots` are those of the stream, by name. */
export function takeNext(waiting: Waiting, slots: ReadonlyMap<string, Slot>): Slot | undefined {
  for (const first of waiting.upserts) {
    const resource = first.topic.resource;
    const next = resource === undefined ? first : (namedAndWaiting(resource, waiting, slots) ?? first);
    waiting.upserts.delete(next);
    return next;
  }
  for (const slot of waiting.removals) {
    waiting.removals.delete(slot);
    return slot;
  }
  return undefined;
}

function namedAndWaiting(resource: Resource, waiting: Waiting, slots: ReadonlyMap<string, Slot>): Slot | undefined {
  for (const name of endpointsNamedBy(resource)) {
    const slot = slots.get(name);
    if (slot !== undefined && waiting.upserts.has(slot)) return slot;
  }
  return undefined;
}

const named = new WeakMap<Resource, readonly string[]>();

/** Names of the endpoints resources without which an outbound resource is no use; worked out once per resource. */
function endpointsNamedBy(resource: Resource): readonly string[] {
  const { body } = resource;
  if (body.kind !== 'outbound' || body.outbound.target.kind !== 'routed') return [];
  const known = named.get(resource);
  if (known !== undefined) return known;
  const { routes, defaultBackends } = body.outbound.target;
  const backends = [...routes.flatMap(route => route.backends), ...defaultBackends];
  const names = new Set(backends.flatMap(({ target }) => (target.kind === 'endpoints' ? [target.name] : [])));
  const list = [...names];
  named.set(resource, list);
  return list;
}
