import { canonicalJson, type ObjectKey } from '../../kernel/index.ts';
import type { Snapshot } from '../../model/index.ts';

/** The second snapshot as stores make it: an object that did not change is the same JavaScript object as in the first, a kind without changes the same Map. */
export function likeStores(first: Snapshot, second: Snapshot): Snapshot {
  const fields = Object.entries(second) as [keyof Snapshot, ReadonlyMap<ObjectKey, object>][];
  const reused = fields.map(([field, map]) => {
    const objects = [...map].map(([key, object]): [ObjectKey, object] => {
      const known = first[field].get(key);
      return [key, known !== undefined && canonicalJson(known) === canonicalJson(object) ? known : object];
    });
    const same =
      objects.length === first[field].size && objects.every(([key, object]) => first[field].get(key) === object);
    return [field, same ? first[field] : new Map(objects)];
  });
  return Object.fromEntries(reused) as Snapshot;
}
