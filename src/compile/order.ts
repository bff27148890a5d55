import { compareText } from '../kernel/index.ts';
import type { ObjectMeta } from '../model/index.ts';

/**
 * The total order in which objects of one kind that want the same thing are served: older first, then by namespace, then by name. An object without
 * a creation time (it is not stored yet) comes last. More specific objects come before all that, where a kind knows such a thing.
 */
export function byPrecedence(left: ObjectMeta, right: ObjectMeta): number {
  return (
    compareText(age(left), age(right)) ||
    compareText(left.namespace, right.namespace) ||
    compareText(left.name, right.name)
  );
}

/** Sorts after every RFC 3339 time. */
const NEVER = '~';

function age(meta: ObjectMeta): string {
  return meta.creationTimestamp === '' ? NEVER : meta.creationTimestamp;
}
