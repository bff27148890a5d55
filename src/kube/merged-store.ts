import type { ObjectKey } from '../kernel/index.ts';
import type { Store } from './store.ts';

/** Stores of one kind, each of a namespace of its own, as one: no key is in two of them. */
export function mergedStore<T>(stores: readonly Store<T>[]): Store<T> {
  let parts: readonly ReadonlyMap<ObjectKey, T>[] = [];
  let whole: ReadonlyMap<ObjectKey, T> = new Map();
  return {
    get: key => stores.map(store => store.get(key)).find(found => found !== undefined),
    snapshot: () => {
      const now = stores.map(store => store.snapshot());
      if (now.length === parts.length && now.every((part, index) => part === parts[index])) return whole;
      parts = now;
      whole = new Map(now.flatMap(part => [...part]));
      return whole;
    },
    get size() {
      return stores.reduce((sum, { size }) => sum + size, 0);
    },
    onChange: listener => {
      const subscriptions = stores.map(store => store.onChange(listener));
      return () => {
        for (const unsubscribe of subscriptions) unsubscribe();
      };
    },
  };
}
