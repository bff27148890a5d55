// A queue of keys for level-triggered controllers. Rules:
//  - a key waits at most once: adding it again changes nothing but its priority and, for delayed adds, its time
//    (the earliest wins);
//  - a key that is being worked on is never handed out a second time; added meanwhile, it runs once more after done();
//  - `low` keys (first list, resync) are handed out only when no `normal` key waits.
// The queue holds keys and nothing else, so a burst of events for one object costs one run.
import { type BackoffOptions, fullJitterMs } from './backoff.ts';

export type Priority = 'normal' | 'low';

export interface WorkqueueOptions {
  /** Delays of addRateLimited, per key. */
  readonly backoff: BackoffOptions;
  /** Told of every change in the number of keys ready to be handed out. */
  readonly onDepth?: (depth: number) => void;
}

export interface Workqueue {
  add(key: string, priority?: Priority): void;
  addAfter(key: string, delayMs: number): void;
  /** Adds after a delay that grows with each call until forget(key). Returns that delay in milliseconds. */
  addRateLimited(key: string): number;
  forget(key: string): void;
  /** The next key, which the caller owns until done(key); undefined once the queue is closed or `signal` aborts. */
  get(signal: AbortSignal): Promise<string | undefined>;
  done(key: string): void;
  /** Hands out nothing more and drops all waiting keys and timers. */
  close(): void;
  readonly depth: number;
}

interface Delayed {
  readonly dueMs: number;
  readonly timer: ReturnType<typeof setTimeout>;
}

type Waiter = (key: string | undefined) => void;

// Monotonic, and moved by fake timers together with setTimeout.
const monotonicMs = (): number => performance.now();

export function createWorkqueue(options: WorkqueueOptions): Workqueue {
  const ready = { normal: new Set<string>(), low: new Set<string>() };
  const running = new Set<string>();
  const again = new Map<string, Priority>();
  const delayed = new Map<string, Delayed>();
  const failures = new Map<string, number>();
  const waiters = new Set<Waiter>();
  let closed = false;

  const depth = (): number => ready.normal.size + ready.low.size;
  const reportDepth = (): void => options.onDepth?.(depth());

  function take(): string | undefined {
    for (const set of [ready.normal, ready.low]) {
      for (const key of set) {
        set.delete(key);
        running.add(key);
        return key;
      }
    }
    return undefined;
  }

  function handOut(): void {
    for (const waiter of waiters) {
      const key = take();
      if (key === undefined) break;
      waiters.delete(waiter);
      waiter(key);
    }
    reportDepth();
  }

  function cancelDelay(key: string): void {
    clearTimeout(delayed.get(key)?.timer);
    delayed.delete(key);
  }

  function add(key: string, priority: Priority = 'normal'): void {
    if (closed) return;
    cancelDelay(key);
    if (running.has(key)) {
      if (again.get(key) !== 'normal') again.set(key, priority);
      return;
    }
    if (priority === 'normal') ready.low.delete(key);
    else if (ready.normal.has(key)) return;
    ready[priority].add(key);
    handOut();
  }

  function addAfter(key: string, delayMs: number): void {
    if (closed) return;
    if (delayMs <= 0) return add(key);
    const dueMs = monotonicMs() + delayMs;
    const existing = delayed.get(key);
    if (existing !== undefined && existing.dueMs <= dueMs) return;
    if (ready.normal.has(key) || ready.low.has(key)) return;
    cancelDelay(key);
    const timer = setTimeout(() => {
      delayed.delete(key);
      add(key);
    }, delayMs);
    timer.unref();
    delayed.set(key, { dueMs, timer });
  }

  function get(signal: AbortSignal): Promise<string | undefined> {
    if (closed || signal.aborted) return Promise.resolve(undefined);
    const key = take();
    if (key !== undefined) {
      reportDepth();
      return Promise.resolve(key);
    }
    return new Promise(resolve => {
      const onAbort = (): void => {
        waiters.delete(waiter);
        resolve(undefined);
      };
      const waiter: Waiter = found => {
        signal.removeEventListener('abort', onAbort);
        resolve(found);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      waiters.add(waiter);
    });
  }

  return {
    add,
    addAfter,
    addRateLimited: key => {
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      const delayMs = fullJitterMs(count, options.backoff);
      addAfter(key, delayMs);
      return delayMs;
    },
    forget: key => void failures.delete(key),
    get,
    done: key => {
      if (!running.delete(key)) return;
      const priority = again.get(key);
      again.delete(key);
      if (priority !== undefined) add(key, priority);
    },
    close: () => {
      closed = true;
      for (const { timer } of delayed.values()) clearTimeout(timer);
      for (const waiter of waiters) waiter(undefined);
      for (const map of [delayed, again, failures, waiters, ready.normal, ready.low]) map.clear();
      reportDepth();
    },
    get depth() {
      return depth();
    },
  };
}
