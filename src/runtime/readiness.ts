// Readiness is the set of named tasks that are not finished: empty means ready. A task may become unfinished again
// (a degraded part), so the answer always says why.
import type { Unsubscribe } from './ports.ts';

export interface ReadinessTask {
  finish(): void;
  /** Marks the task as unfinished again, with what to look at. */
  reopen(reason: string): void;
}

export interface Readiness {
  /** Registers an unfinished task. Names are unique: asking again returns the same task. */
  task(name: string, reason?: string): ReadinessTask;
  readonly ready: boolean;
  /** Unfinished tasks as `name` or `name: reason`, sorted. */
  pending(): readonly string[];
  /** Called on every flip between ready and not ready. */
  onChange(listener: (ready: boolean) => void): Unsubscribe;
}

export function createReadiness(): Readiness {
  const unfinished = new Map<string, string>();
  const tasks = new Map<string, ReadinessTask>();
  const listeners = new Set<(ready: boolean) => void>();

  function change(apply: () => void): void {
    const before = unfinished.size === 0;
    apply();
    const after = unfinished.size === 0;
    if (before !== after) for (const listener of listeners) listener(after);
  }

  return {
    task: (name, reason = '') => {
      const existing = tasks.get(name);
      if (existing !== undefined) return existing;
      const task: ReadinessTask = {
        finish: () => change(() => unfinished.delete(name)),
        reopen: why => change(() => unfinished.set(name, why)),
      };
      tasks.set(name, task);
      task.reopen(reason);
      return task;
    },
    get ready() {
      return unfinished.size === 0;
    },
    pending: () => [...unfinished].map(([name, reason]) => (reason === '' ? name : `${name}: ${reason}`)).toSorted(),
    onChange: listener => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
