// What an informer knows of one kind: the trimmed objects by key, swapped as a whole after a list, changed one by one by a watch.
import type { ObjectKey } from '../kernel/index.ts';
import type { Unsubscribe } from '../runtime/index.ts';

export interface Change<T> {
  readonly key: ObjectKey;
  /** Undefined: the object is new. */
  readonly before: T | undefined;
  /** Undefined: the object is gone. */
  readonly after: T | undefined;
  /** Whether the change was found by a list rather than told by a watch. */
  readonly listed: boolean;
}

export interface Store<T> {
  get(key: ObjectKey): T | undefined;
  /** An immutable copy: the same Map until something changes, so that consumers can tell "nothing changed" by identity. */
  snapshot(): ReadonlyMap<ObjectKey, T>;
  readonly size: number;
  /** Called after the change is in place. Listeners must not throw. */
  onChange(listener: (change: Change<T>) => void): Unsubscribe;
}

export interface Entry<T> {
  readonly value: T;
  readonly resourceVersion: string;
}

export interface WritableStore<T> extends Store<T> {
  set(key: ObjectKey, entry: Entry<T>): void;
  delete(key: ObjectKey): void;
  /** Takes the place of everything; objects with an unchanged resource version keep their identity. */
  replace(entries: ReadonlyMap<ObjectKey, Entry<T>>): void;
}

export function createStore<T>(): WritableStore<T> {
  let entries = new Map<ObjectKey, Entry<T>>();
  let copy: ReadonlyMap<ObjectKey, T> | undefined;
  const listeners = new Set<(change: Change<T>) => void>();

  function emit(change: Change<T>): void {
    for (const listener of listeners) listener(change);
  }

  return {
    get: key => entries.get(key)?.value,
    snapshot: () => {
      copy ??= new Map(Array.from(entries, ([key, entry]) => [key, entry.value]));
      return copy;
    },
    get size() {
      return entries.size;
    },
    onChange: listener => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    set: (key, entry) => {
      const before = entries.get(key);
      if (before?.resourceVersion === entry.resourceVersion) return;
      entries.set(key, entry);
      copy = undefined;
      emit({ key, before: before?.value, after: entry.value, listed: false });
    },
    delete: key => {
      const before = entries.get(key);
      if (before === undefined) return;
      entries.delete(key);
      copy = undefined;
      emit({ key, before: before.value, after: undefined, listed: false });
    },
    replace: next => {
      const previous = entries;
      const changes: Change<T>[] = [];
      entries = new Map();
      for (const [key, entry] of next) {
        const before = previous.get(key);
        const kept = before?.resourceVersion === entry.resourceVersion ? before : entry;
        entries.set(key, kept);
        if (kept !== before) changes.push({ key, before: before?.value, after: entry.value, listed: true });
      }
      for (const [key, before] of previous) {
        if (!entries.has(key)) changes.push({ key, before: before.value, after: undefined, listed: true });
      }
      if (changes.length > 0) copy = undefined;
      for (const change of changes) emit(change);
    },
  };
}
