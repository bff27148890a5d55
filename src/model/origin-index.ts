import type { ObjectKey } from '../kernel/index.ts';
import type { Resource } from './resources.ts';

/** Who holds resources that are derived from an object. */
export interface OriginIndex<T> {
  /** Puts the holder in the place of what its former resource said. */
  move(holder: T, former: Resource | undefined, now: Resource | undefined): void;
  of(key: ObjectKey): Iterable<T>;
  clear(): void;
}

export function createOriginIndex<T>(): OriginIndex<T> {
  const holders = new Map<ObjectKey, Set<T>>();
  return {
    move: (holder, former, now) => {
      for (const { key } of former?.derivedFrom ?? []) {
        const linked = holders.get(key);
        linked?.delete(holder);
        if (linked?.size === 0) holders.delete(key);
      }
      for (const { key } of now?.derivedFrom ?? []) {
        const linked = holders.get(key);
        if (linked === undefined) holders.set(key, new Set([holder]));
        else linked.add(holder);
      }
    },
    of: key => holders.get(key) ?? [],
    clear: () => holders.clear(),
  };
}
