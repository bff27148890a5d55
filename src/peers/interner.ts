// Equal values once: most proxies of a view hold the same versions of the same resources, and a copy of that for each would be most of what their
// states take.
import type { HeldResource, Who } from '../model/index.ts';
import { viewKey } from '../model/index.ts';

/** Beyond so many, all are let go: what is in use stays with its users, and comes to be shared anew. */
const KEPT = 200_000;

export interface Interner {
  held(resource: HeldResource): HeldResource;
  who(who: Who): Who;
}

export function createInterner(): Interner {
  const resources = new Map<string, HeldResource>();
  const views = new Map<string, Who['view']>();

  function once<T>(pool: Map<string, T>, key: string, value: T): T {
    const known = pool.get(key);
    if (known !== undefined) return known;
    if (pool.size >= KEPT) pool.clear();
    pool.set(key, value);
    return value;
  }

  return {
    held: resource => {
      const { name, ackedVersion, sentVersion, nackReason = '' } = resource;
      return once(resources, `${name} ${ackedVersion} ${sentVersion} ${nackReason}`, resource);
    },
    who: who => ({ ...who, view: once(views, viewKey(who.view), who.view) }),
  };
}
